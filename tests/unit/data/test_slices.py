import numpy as np
import pandas as pd
import pytest

from kseq import panel_from_frame
from kseq.data.slices import before, chosen, common_rows, extended, joined, last_rows, places_in

pytestmark = pytest.mark.above_backends


def days(lengths, first="2001-01-01", **columns):
    parts = []
    for id, rows in lengths.items():
        dates = pd.date_range(first, periods=rows)
        parts.append(pd.DataFrame({"unique_id": id, "ds": dates, "y": np.arange(rows) + 100.0 * len(parts)}))
    return pd.concat(parts, ignore_index=True).assign(**columns)


@pytest.fixture
def panel():
    """Three series, the second with a missing date and the third with two days that are known ahead."""
    frame = days({"a": 8, "b": 10, "c": 6}, price=1.0)
    frame.loc[[22, 23], "y"] = np.nan
    return panel_from_frame(frame.drop(index=13), future=["price"], freq="D")


def test_some_series(panel):
    two = chosen(panel, np.array([1, 2]))
    assert two.ids.tolist() == ["b", "c"]
    assert two.y[:9, 0].tolist() == [100, 101, 102, 103, 104, 106, 107, 108, 109]
    assert (two.gaps.tolist(), two.ends.tolist(), two.borders.tolist()) == ([5], [9, 13], [0, 9, 15])


def test_last_rows_keep_what_is_known_ahead(panel):
    last = last_rows(panel, 3)
    assert last.y[:, 0].tolist()[:-2] == [5, 6, 7, 107, 108, 109, 201, 202, 203]
    assert (last.ends.tolist(), last.borders.tolist()) == ([3, 6, 9], [0, 3, 6, 11])
    assert last.gaps.tolist() == []
    assert last_rows(panel, 5).gaps.tolist() == [6]
    assert last_rows(panel, 4).gaps.tolist() == [], "a gap before the first row that is kept is none"


def test_a_panel_as_it_was_known(panel):
    known = before(panel, panel.ends - 2)
    assert known.ends.tolist() == (panel.ends - 2).tolist()
    assert np.isnan(known.y[known.ends[0] : known.borders[1]]).all()
    assert (known.values[:, 1] == 1.0).all()
    assert known.stretches[-1].tolist() == [17, 19]
    assert not np.isnan(panel.y[:8]).any(), "the panel itself stays"


def test_steps_to_come(panel):
    longer = extended(panel, 3, "D")
    assert np.diff(longer.borders).tolist() == [11, 12, 7]
    assert longer.ends.tolist() == (longer.borders[1:] - 3).tolist()
    dates = longer.index.to_numpy()[longer.ends[:, None] + np.arange(3)].astype("datetime64[D]").astype(str)
    assert dates[1].tolist() == ["2001-01-11", "2001-01-12", "2001-01-13"]
    assert dates[2].tolist() == ["2001-01-05", "2001-01-06", "2001-01-07"]
    ahead = longer.values[longer.ends[2] :, 1]
    assert ahead[:2].tolist() == [1.0, 1.0]
    assert np.isnan(ahead[2])
    assert longer.stretches.tolist() == [[0, 8], [11, 16], [16, 20], [23, 27]]


def test_newer_rows_behind_those_that_are_kept():
    kept = panel_from_frame(days({"a": 8, "b": 8, "c": 8}))
    rows = panel_from_frame(days({"b": 4, "d": 2}, "2001-01-07", y=[-1.0, -2, -3, -4, 5, 6]))
    both, own = joined(kept, rows, places_in(rows.ids, kept.ids), "D")
    assert both.ids.tolist() == ["b", "d"]
    assert both.y[:, 0].tolist() == [100, 101, 102, 103, 104, 105, -1, -2, -3, -4, 5, 6]
    assert own.tolist() == [6, 10]
    assert both.stretches.tolist() == [[0, 10], [10, 12]]
    mine, theirs = common_rows(both, kept, np.array([1, -1]))
    assert mine.tolist() == [7, -1], "the last date that both have, of the series that both have"
    assert theirs.tolist() == [15, -1]


def test_ids_are_known_by_their_text():
    assert places_in(pd.Index([10, 3, 7]), pd.Index(["3", "10"])).tolist() == [1, 0, -1]
