import pandas as pd
import pytest

from kseq.data.future_dates import dates_after

pytestmark = pytest.mark.above_backends

FREQUENCIES = ["h", "15min", "s", "ms", "D", "5D", "B", "W-MON", "4W", "36h", "MS", "ME", "2MS", "QS", "QE-NOV", "YS"]


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
@pytest.mark.parametrize("freq", FREQUENCIES)
def test_dates_go_on_by_their_frequency(freq, zone):
    # Summer time ends in Berlin on 29 October.
    dates = pd.date_range("2023-10-01", periods=60, freq=freq, tz=zone)
    for known in (20, 29, 45):
        ahead = dates_after(dates[:known], 15)
        assert ahead.equals(dates[known : known + 15])
        assert ahead.dtype == dates.dtype


def test_days_that_begin_at_midnight_in_utc():
    dates = pd.date_range("2023-10-20", periods=30, freq="D", tz="UTC").tz_convert("Europe/Berlin")
    assert dates_after(dates[:20], 10).equals(dates[20:])


def test_a_frequency_that_is_given():
    # Two dates tell no frequency of months: it may be 31 days.
    dates = pd.DatetimeIndex(["2024-01-31", "2024-02-29"])
    assert dates_after(dates, 2, "monthly").strftime("%Y-%m-%d").tolist() == ["2024-03-31", "2024-04-30"]


@pytest.mark.parametrize(
    ("dates", "ahead"),
    [
        (["2023-01-15", "2023-02-15", "2023-03-16", "2023-04-15"], ["2023-05-15", "2023-06-15"]),
        (["2023-10-30", "2023-11-30", "2023-12-30", "2024-01-30"], ["2024-02-29", "2024-03-30"]),
    ],
)
def test_days_within_a_month(dates, ahead):
    assert dates_after(pd.DatetimeIndex(dates), 2).equals(pd.DatetimeIndex(ahead))


def test_six_dates_a_month_go_on_as_in_the_year_before():
    days = [pd.Timestamp(year, month, day) for year in (1999, 2000, 2001) for month in range(1, 13)
            for day in (3, 8, 13, 18, 23, 28)]  # fmt: skip
    dates = pd.DatetimeIndex(days)
    assert dates_after(dates[:80], 130).equals(dates[80:210])


@pytest.mark.parametrize(
    "dates",
    [
        ["2000-01-01", "2000-01-06", "2000-01-11", "2000-01-17"],
        ["2000-01-01", "2002-01-05", "2003-12-30", "2006-02-01"],
    ],
)
def test_uneven_dates_without_a_year_like_it_go_on_by_the_usual_step(dates):
    dates = pd.DatetimeIndex(dates)
    ahead = dates_after(dates, 2)
    usual = (dates[1:] - dates[:-1]).to_series().median()
    assert (ahead - dates[-1]).tolist() == [usual, 2 * usual]


def test_a_midnight_that_clocks_leave_out():
    # In Beirut summer time begins at midnight.
    dates = pd.date_range("2022-03-10", "2022-03-26", freq="D", tz="Asia/Beirut")
    assert dates_after(dates, 3).strftime("%d %H").tolist() == ["27 01", "28 00", "29 00"]


def test_rows_without_dates():
    assert dates_after(pd.RangeIndex(5), 3).tolist() == [5, 6, 7]
