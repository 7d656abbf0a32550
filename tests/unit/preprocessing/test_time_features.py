import numpy as np
import pandas as pd
import pytest

from kseq import ConfigError, from_frame, make_windows
from kseq.preprocessing.time_features import calendar_columns

pytestmark = pytest.mark.above_backends


def series_at(index):
    return from_frame(pd.DataFrame({"y": np.arange(len(index)) ** 1.5, "f": np.cos(np.arange(len(index)))}, index),
                      target="y", features=["f"])  # fmt: skip


@pytest.mark.parametrize(
    ("index", "cycles"),
    [
        (pd.date_range("2000-01-01", periods=60, freq="h"), ["hour of day", "day of week"]),
        (pd.date_range("2000-01-01", periods=60, freq="15min"), ["hour of day", "day of week"]),
        (pd.date_range("2000-01-01", periods=60, freq="D"), ["day of week", "day of year"]),
        (pd.bdate_range("2000-01-03", periods=60), ["day of week", "day of year"]),
        (pd.date_range("2000-01-01", periods=60, freq="5D"), ["day of year"]),
        (pd.date_range("2000-01-01", periods=60, freq="W"), ["day of year"]),
        (pd.date_range("2000-01-01", periods=60, freq="MS"), ["month of year"]),
        (pd.date_range("2000-01-01", periods=60, freq="QE"), ["month of year"]),
    ],
)
def test_the_time_step_decides_the_cycles(index, cycles):
    columns = calendar_columns(series_at(index))
    assert list(columns) == [f"{cycle} ({part})" for cycle in cycles for part in ("sin", "cos")]
    assert columns.index.equals(index)
    # Each pair is a point on the unit circle.
    np.testing.assert_allclose((columns.to_numpy() ** 2).reshape(len(index), -1, 2).sum(axis=2), 1)


@pytest.mark.parametrize(
    ("freq", "cycle", "rows"),
    [("h", "hour of day", 24), ("h", "day of week", 168), ("D", "day of week", 7), ("MS", "month of year", 12)],
)
def test_a_cycle_closes_and_has_no_two_places_alike(freq, cycle, rows):
    columns = calendar_columns(series_at(pd.date_range("2001-01-01", periods=2 * rows, freq=freq)))
    pair = columns[[f"{cycle} (sin)", f"{cycle} (cos)"]].to_numpy()
    np.testing.assert_allclose(pair[:rows], pair[rows:], atol=1e-12)
    assert len(np.unique(pair[:rows].round(9), axis=0)) == rows
    steps = np.linalg.norm(np.diff(pair, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[0])


def test_a_leap_year_ends_where_others_do():
    columns = calendar_columns(series_at(pd.date_range("2003-12-31", periods=400, freq="D")))
    sine = columns["day of year (sin)"]
    assert sine["2004-01-01"] == 0
    assert sine["2003-12-31"] == pytest.approx(-np.sin(2 * np.pi / 365))
    assert sine["2004-12-31"] == pytest.approx(-np.sin(2 * np.pi / 366))


def test_local_time_counts():
    local = pd.date_range("2024-03-30", periods=72, freq="h", tz="Europe/Berlin")
    columns = calendar_columns(series_at(local))
    noon = columns[local.hour == 12]
    assert len(noon) == 3
    np.testing.assert_allclose(noon["hour of day (cos)"], -1)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (pd.RangeIndex(60), "rows have no dates, expected dates; name their column with --time"),
        (pd.date_range("1950-01-01", periods=60, freq="YS"), "whose step is yearly, expected half a year or less"),
    ],
)
def test_series_without_a_calendar_are_refused(index, expected):
    with pytest.raises(ConfigError, match=expected) as error:
        make_windows(series_at(index), calendar=True)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("past_target", [True, False])
def test_windows_hold_the_calendar_of_their_own_rows(past_target):
    series = series_at(pd.date_range("2000-01-01", periods=120, freq="MS"))
    data = make_windows(series, 5, 3, calendar=True, past_target=past_target, dtype="float64")
    own = ["y", "f"][not past_target :]
    assert data.input_columns == (*own, "month of year (sin)", "month of year (cos)")
    x, _ = data.test.gather(np.arange(len(data.test)))
    read = data.input_scaler.inverse(x)
    rows = data.test.target_rows[:, :1] + np.arange(-5, 0)
    np.testing.assert_allclose(read[..., -2:], calendar_columns(series).to_numpy()[rows], atol=1e-12)
    np.testing.assert_allclose(read[..., : len(own)], series.frame[own].to_numpy()[rows])


def test_a_calendar_is_enough_to_read():
    series = from_frame(pd.DataFrame({"y": np.arange(60.0)}, pd.date_range("2000-01-01", periods=60, freq="MS")))
    assert make_windows(series, calendar=True, past_target=False).features == 2
