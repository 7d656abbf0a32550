from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kseq import DataError, Panel, from_frame, panel_from_frame, read_csv

pytestmark = pytest.mark.above_backends

NAN = np.nan
Y = [1, 2, NAN, NAN, 5, 6, 7, 8, NAN, 10]


def frame(y=Y, freq="D"):
    index = pd.date_range("2001-01-01", periods=len(y), freq=freq)
    return pd.DataFrame({"y": np.array(y, dtype=float)}, index=index)


@pytest.mark.parametrize(
    ("fill", "season", "expected", "how"),
    [
        ("linear", None, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "on the line between their neighbours"),
        ("ffill", None, [1, 2, 2, 2, 5, 6, 7, 8, 8, 10], "with the last value before them"),
        # A week: day 9 takes day 2, and days 3 and 4 have none a week earlier.
        ("seasonal", None, [1, 2, 2, 2, 5, 6, 7, 8, 2, 10], "with the value one season (7 steps) earlier"),
        # Day 4 takes day 2, day 3 has none, and day 9 takes day 7.
        ("seasonal", 2, [1, 2, 1, 2, 5, 6, 7, 8, 7, 10], "one season (2 steps) earlier"),
    ],
)
def test_missing_values_are_filled_and_counted(fill, season, expected, how):
    series = from_frame(frame(), fill=fill, season=season)
    assert series.y[:, 0].tolist() == expected
    assert np.flatnonzero(series.filled).tolist() == [2, 3, 8]
    assert series.notes[0].startswith("3 missing values were filled")
    assert how in series.notes[0]
    assert series.notes[0].endswith("(column 'y' 3).")


def test_a_filled_value_can_fill_the_next_season():
    y = [1, 2, 3, 4, NAN, 6, 7, NAN, 9]
    assert from_frame(frame(y), fill="seasonal", season=3).y[[4, 7], 0].tolist() == [2, 2]


def test_a_season_earlier_is_found_by_date():
    # Day 3 of the first week is missing altogether, so that the row a week before day 10 is no row 7 earlier.
    values = frame(np.arange(14.0)).drop(index="2001-01-03")
    values.loc["2001-01-09", "y"] = NAN
    values.loc["2001-01-10", "y"] = NAN
    filled = from_frame(values, fill="seasonal").frame["y"]
    assert filled["2001-01-09"] == filled["2001-01-02"]
    assert filled["2001-01-10"] == filled["2001-01-09"]


def test_mask_marks_and_changes_nothing():
    series = from_frame(frame(), fill="mask")
    assert series.missing.tolist() == [2, 3, 8]
    assert series.stretches.tolist() == [[0, 2], [4, 8], [9, 10]]
    assert np.isnan(series.y[series.missing]).all()
    assert series.notes == ("3 rows with missing values are marked as such (first: 2001-01-03).",)
    whole = from_frame(frame(np.arange(10)), fill="mask")
    assert not whole.notes
    assert not len(whole.missing)


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        (frame(), {}, "3 missing values in column 'y' (at 2001-01-03, 2001-01-04, 2001-01-09), expected none"),
        (frame([1, 2, NAN], "YS"), {"fill": "seasonal"}, "fill seasonal needs a season, and yearly dates have none"),
        (frame([1, 2, NAN]).reset_index(drop=True), {"fill": "seasonal"}, "needs a season, and rows dates"),
        (frame(), {"fill": "mean"}, "received fill 'mean', expected linear, ffill, seasonal or mask"),
    ],
)  # fmt: skip
def test_what_cannot_be_filled(values, options, expected):
    with pytest.raises(DataError) as error:
        from_frame(values, **options)
    assert expected in str(error.value)


def test_rows_without_dates_have_the_season_that_is_given():
    values = frame([1, 2, 3, 4, NAN]).reset_index(drop=True)
    assert from_frame(values, fill="seasonal", season=3).y[4, 0] == 2


numbers = st.lists(st.one_of(st.none(), st.integers(1, 9)), min_size=8, max_size=30)


@settings(deadline=None)
@given(y=numbers, cut=st.integers(3, 7), fill=st.sampled_from(["ffill", "seasonal"]))
def test_no_fill_looks_ahead(y, cut, fill):
    y = [1.0, 2.0, *(NAN if value is None else value for value in y)]
    other = [*y[:cut], *(60 - value for value in y[cut:])]
    filled, again = (from_frame(frame(values), fill=fill).y[:cut] for values in (y, other))
    np.testing.assert_array_equal(filled, again)


def causal(series, known):
    return Panel.of(series).causal(np.array([known]))


@settings(deadline=None)
@given(y=numbers, known=st.integers(2, 8), cut=st.integers(2, 10))
def test_a_causal_series_does_not_look_ahead_after_its_known_rows(y, known, cut):
    y = [1.0, 2.0, *(NAN if value is None else value for value in y)]
    cut = max(cut, known)
    other = [*y[:cut], *(60 - value for value in y[cut:])]
    filled, again = (causal(from_frame(frame(values), fill="linear"), known).y[:cut] for values in (y, other))
    np.testing.assert_array_equal(filled, again)


def test_causal_keeps_lines_between_known_values():
    series = from_frame(frame(), fill="linear")
    assert causal(series, 5).y[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 8, 10]
    assert causal(series, 4).y[:, 0].tolist() == [1, 2, 2, 2, 5, 6, 7, 8, 8, 10]
    assert len(causal(series, 4).notes) == 2
    assert causal(series, 10).y.tolist() == series.y.tolist()
    ffilled = Panel.of(from_frame(frame(), fill="ffill"))
    assert ffilled.causal(np.array([2])) is ffilled


def test_each_series_of_a_panel_is_causal_as_it_is_alone():
    alone = [
        from_frame(frame([1.0, NAN, 3.0, 4.0, NAN, *values]), fill="linear") for values in ([7.0, 8.0], [2.0, 9.0])
    ]
    first, second = (Panel.of(series) for series in alone)
    together = replace(
        first,
        ids=pd.Index(["a", "b"]),
        borders=np.array([0, 7, 14]),
        ends=np.array([7, 14]),
        index=first.index.append(second.index),
        values=np.concatenate([first.values, second.values]),
        filled=np.concatenate([first.filled, second.filled]),
        static=pd.DataFrame(index=["a", "b"]),
    )
    made = together.causal(np.array([5, 13])).y
    np.testing.assert_array_equal(made, np.concatenate([causal(alone[0], 5).y, causal(alone[1], 6).y]))


def test_each_column_is_filled_on_its_own(tmp_path):
    path = tmp_path / "two.csv"
    path.write_text("y,z\n1,5\n,\n3,7\n4,\n")
    series = read_csv(path, target="y", features=["z"], fill="ffill")
    assert series.frame.to_numpy().tolist() == [[1, 5], [1, 5], [3, 7], [4, 7]]
    assert series.filled.tolist() == [[False, False], [True, True], [False, False], [False, True]]
    assert series.notes == ("3 missing values were filled with the last value before them (column 'y' 1, 'z' 2).",)


def two(y):
    half = len(y) // 2
    days = pd.date_range("2001-01-01", periods=half)
    return pd.DataFrame({"unique_id": ["a"] * half + ["b"] * half, "ds": [*days, *days], "y": y})


@pytest.mark.parametrize(
    ("fill", "expected"),
    [("ffill", [1, 2, 2, 4, 5, 6, 6, 6]), ("seasonal", [1, 2, 1, 4, 5, 6, 5, 6])],
)
def test_a_panel_is_filled_within_its_series(fill, expected):
    panel = panel_from_frame(two([1, 2, NAN, 4, 5, 6, NAN, NAN]), fill=fill, season=2)
    assert panel.y[:, 0].tolist() == expected
    assert np.flatnonzero(panel.filled).tolist() == [2, 6, 7]


def test_a_panel_is_marked_or_refused():
    y = [1, 2, NAN, 4, NAN, 6, 7, 8]
    panel = panel_from_frame(two(y), fill="mask")
    assert panel.missing.tolist() == [2, 4]
    assert panel.stretches.tolist() == [[0, 2], [3, 4], [5, 8]]
    with pytest.raises(DataError, match=r"1 missing value .* \(at series 'a', 2001-01-03\)"):
        panel_from_frame(two(y))
    # Rows before the first value of a series hold nothing.
    begun = panel_from_frame(two(y), fill="ffill")
    assert begun.lengths.tolist() == [4, 3]
    assert begun.index[4] == pd.Timestamp("2001-01-02")
    assert begun.notes[0] == "1 row before the first value of the target of 1 series left out."
    with pytest.raises(DataError, match="received fill 'mean', expected linear, ffill, seasonal or mask"):
        panel_from_frame(two(y), fill="mean")


def test_lines_are_drawn_within_each_series_and_taken_back_where_they_look_ahead():
    panel = panel_from_frame(two([1, NAN, 3, NAN, 5, NAN, 9, NAN]), fill="linear")
    assert panel.y[:, 0].tolist() == [1, 2, 3, 3, 5, 7, 9, 9]
    assert panel.causal(np.array([4, 6])).y[:, 0].tolist() == [1, 2, 3, 3, 5, 5, 9, 9]
