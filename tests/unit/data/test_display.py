"""Series and panels as a notebook shows them."""

import numpy as np
import pandas as pd
import pytest

import kseq

pytestmark = pytest.mark.above_backends


def test_a_series_says_what_it_holds_and_shows_its_ends():
    frame = pd.DataFrame({"<b>": np.arange(40.0) ** 2}, pd.date_range("2001-01-01", periods=40, freq="MS"))
    shown = kseq.from_frame(frame, name="<i>x")._repr_html_()
    assert "2001-01-01" in shown
    assert "2004-04-01" in shown
    assert "1521.0" in shown
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown
    assert "<i>" not in shown


def test_a_panel_shows_rows_of_its_first_and_last_series():
    days = pd.date_range("2001-01-01", periods=30)
    rows = [{"unique_id": name, "ds": day, "y": float(day.day)} for name in ("a", "b", "c") for day in days]
    shown = kseq.panel_from_frame(pd.DataFrame(rows))._repr_html_()
    assert "3 series" in shown
    assert "<td>a</td>" in shown
    assert "<td>c</td>" in shown
    assert shown.count("<tr") <= 13
