from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kseq import from_frame, load_series, read_csv
from kseq.data._origin import Origin

pytestmark = pytest.mark.above_backends


def write(path, name="sst"):
    rows = [f"{2000 + i // 12}-{i % 12 + 1:02}-01,{np.sin(i):.4f},{i % 5}" for i in range(60)]
    path.write_text("\n".join([f"date,{name},wind", *rows]))


def test_a_built_in_knows_its_name():
    assert load_series().origin == Origin("load_series", {"name": "nino12"}, load_series().fingerprint)
    assert load_series("co2").origin.arguments == {"name": "co2"}


def test_a_file_knows_how_it_was_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(Path("mine.csv"))
    series = read_csv(Path("mine.csv"), "date", "sst", pd.Index(["wind"]), header=np.int64(0), freq="MS")
    assert series.origin.reader == "read_csv"
    assert series.origin.sha256 == series.fingerprint
    # Plain values, the path as it was given, and those of the defaults that have a place.
    assert series.origin.arguments == {
        "path": "mine.csv", "time": "date", "target": "sst", "features": ["wind"], "header": 0, "freq": "MS",
    }  # fmt: skip
    again = read_csv(**series.origin.arguments)
    assert again.origin == series.origin


def test_other_values_are_kept_by_their_text(tmp_path):
    path = tmp_path / "many.csv"
    path.write_text("unique_id,y\n" + "".join(f"2001-02-03,{i % 7}\n" for i in range(30)))
    series = read_csv(path, series=pd.Timestamp("2001-02-03").date())
    assert series.origin.arguments["series"] == "2001-02-03"
    assert read_csv(**series.origin.arguments).fingerprint == series.fingerprint


def test_a_frame_has_no_origin():
    assert from_frame(pd.DataFrame({"y": [1.0, 2.0, 3.0]})).origin is None
