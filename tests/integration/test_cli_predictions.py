"""The file of all forecasts of a run: CSV, Parquet or none."""

import json

import pandas as pd
import pytest

import kseq
from kseq.cli import main

pytestmark = pytest.mark.above_backends
QUICK = ["compare", "--cells", "rnn", "--epochs", "1", "--seeds", "1", "--units", "2", "--baselines", "persistence",
         "--transform", "none", "--no-refit-on-validation", "--out", "run"]  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("how", ["csv", "parquet", "none"])
def test_forecasts_are_written_as_asked(folder, how):
    assert main([*QUICK, "--predictions", how]) == 0
    written = {path.name for path in (folder / "run").glob("predictions*")}
    assert written == ({f"predictions.{how}"} - {"predictions.none"})
    assert set(json.loads((folder / "run/run.json").read_text())["files"]) >= written
    if how == "parquet":
        kseq.compare("nino12", cells=(), baselines=("persistence",), out="again")
        frame, plain = pd.read_parquet("run/predictions.parquet"), pd.read_csv("again/predictions.csv")
        assert set(plain.columns) <= set(frame.columns)
        assert frame["Persistence-lo-80"].tolist() == pytest.approx(plain["Persistence-lo-80"].tolist())


def test_another_run_in_the_folder_replaces_the_file(folder):
    assert main([*QUICK, "--predictions", "parquet"]) == 0
    assert main([*QUICK, "--predictions", "csv"]) == 0
    assert [path.name for path in (folder / "run").glob("predictions*")] == ["predictions.csv"]


def test_from_python_and_from_a_file_of_options(folder):
    options = {"cells": (), "baselines": ("persistence",)}
    comparison = kseq.compare("nino12", out="run", predictions="parquet", **options)
    assert (folder / "run/predictions.parquet").exists()
    comparison.write("more", predictions="none")
    assert not list((folder / "more").glob("predictions*"))
    with pytest.raises(kseq.ConfigError, match="received predictions 'xlsx', expected one of csv, parquet, none"):
        kseq.compare("nino12", predictions="xlsx", **options)
    (folder / "options.toml").write_text('predictions = "none"')
    assert main([*QUICK[:-1], "other", "--config", "options.toml"]) == 0
    assert not list((folder / "other").glob("predictions*"))
