import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kseq.data._text import read_text
from kseq.storage.csv_text import csv_text, escaped, escaping, unescaped

pytestmark = pytest.mark.above_backends

RUN = tuple("=+-@\t\r")


def test_formulas_are_text_only_where_that_is_asked_for():
    frame = pd.DataFrame({"unique_id": ["=cmd()", "+x", "-x", "@x", "\tx", "shop"], "=y": [-1.5, -2, np.nan, 4, 5, 6]})
    assert csv_text(frame) == frame.to_csv(index=False, lineterminator="\n")
    with escaping():
        text = csv_text(frame)
    back = pd.read_csv(io.StringIO(text))
    assert list(back) == ["unique_id", "'=y"]
    assert back["unique_id"].tolist() == ["'=cmd()", "'+x", "'-x", "'@x", "'\tx", "shop"]
    np.testing.assert_array_equal(back["'=y"], frame["=y"])
    assert csv_text(frame) == frame.to_csv(index=False, lineterminator="\n")


def test_our_reader_takes_them_back(tmp_path):
    frame = pd.DataFrame({"unique_id": ["=a", "'=a", "-1", "'b"], "=y": [1.0, -2.0, 3.0, 4.0]})
    with escaping():
        (tmp_path / "made.csv").write_text(csv_text(frame))
    back = read_text(tmp_path / "made.csv").frame
    assert back["unique_id"].tolist() == frame["unique_id"].tolist()
    np.testing.assert_array_equal(back["=y"].astype(float), frame["=y"])


@given(st.lists(st.text("=+-@'\t\r1.ea", max_size=6), min_size=1))
def test_every_text_comes_back_and_none_is_run(texts):
    frame = pd.DataFrame({"id": texts, "y": np.arange(len(texts)) - 1.0})
    made = escaped(frame)
    assert unescaped(made)["id"].tolist() == texts
    for text in made["id"]:
        assert not text.startswith(RUN) or text.strip("+-") == "" or float(text) == float(text)
    assert made["y"].tolist() == frame["y"].tolist()
