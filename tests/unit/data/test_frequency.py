import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kseq import ConfigError, DataError, from_frame
from kseq.data import frequency

pytestmark = pytest.mark.above_backends


def dates(freq, periods=60, start="2001-01-01", **options):
    return pd.date_range(start, periods=periods, freq=freq, **options)


def series(index, **options):
    return from_frame(pd.DataFrame({"y": np.arange(len(index)) % 7.0}, index=index), **options)


def six_a_month(years=2):
    days = [(month, day) for month in range(1, 13) for day in (3, 8, 13, 18, 23, 28)]
    return pd.DatetimeIndex([f"{2001 + year}-{month:02}-{day:02}" for year in range(years) for month, day in days])


@pytest.mark.parametrize(
    ("freq", "words", "alias", "season"),
    [
        ("D", "daily", "D", 7),
        ("5D", "5 days", "5D", 73),
        ("W", "weekly", "W", 52),
        ("W-WED", "weekly", "W", 52),
        ("2W", "2 weeks", "2W", 26),
        ("MS", "monthly", "MS", 12),
        ("ME", "monthly", "ME", 12),
        ("2MS", "2 months", "2MS", 6),
        ("QS", "quarterly", "QS", 4),
        ("QE", "quarterly", "QE", 4),
        ("YS", "yearly", "YS", 1),
        ("B", "business days", "B", 5),
        ("h", "hourly", "h", 24),
        ("15min", "15 minutes", "15min", 96),
        ("s", "every second", "s", 86400),
    ],
)
def test_frequencies_are_found_and_fit_their_own_name(freq, words, alias, season):
    found = series(dates(freq)).calendar
    assert (found.words, found.alias, found.season) == (words, alias, season)
    assert not len(found.gaps)
    named = series(dates(freq), freq=freq)
    assert named.step == words
    assert not named.notes


@pytest.mark.parametrize("index", [dates("MS", 3, "2001-07-01"), dates("MS", 3, "2001-07-15")])
def test_months_of_31_days_are_months(index):
    assert series(index).step == "monthly"


def test_middles_of_months_are_monthly():
    index = pd.DatetimeIndex([f"2001-{month:02}-{15 + month % 2}" for month in range(1, 13)])
    assert series(index).calendar.alias == "M"


def test_dates_without_a_frequency_are_described():
    assert series(six_a_month()).step == "5 days (3 to 6)"
    hours = np.cumsum(np.random.default_rng(0).integers(1, 400, 60))
    irregular = series(pd.Timestamp("2001-01-01") + pd.to_timedelta(hours, unit="h"))
    assert "days (" in irregular.step
    assert not len(irregular.gaps)


def test_gaps_are_found_counted_and_told():
    daily = series(dates("D", 100).delete([5, 30, 31]))
    assert daily.step == "daily"
    assert daily.gaps.tolist() == [5, 29]
    assert daily.calendar.sizes.tolist() == [1, 2]
    assert daily.stretches.tolist() == [[0, 5], [5, 29], [29, 97]]
    assert daily.notes == (
        "3 dates are missing in 2 places (time step: daily): first before 2001-01-07; most, 2, before 2001-02-02.",
    )
    assert series(dates("MS").delete([5])).notes == ("1 date is missing before 2001-07-01 (time step: monthly).",)
    assert series(dates("B").delete([40])).gaps.tolist() == [40]
    assert series(six_a_month().delete([20])).gaps.tolist() == [20]


def test_working_days_without_a_weekend_are_days():
    assert series(dates("B", 5)).step == "daily"


def test_many_long_steps_are_gaps_only_if_asked():
    index = pd.DatetimeIndex([day + pd.Timedelta(hours=hour) for day in dates("B", 20) for hour in range(9, 17)])
    found = series(index)
    assert found.step == "1 hours (1 to 65)"
    assert not len(found.gaps)
    assert "12% of the steps are longer than the usual one, hourly" in found.notes[0]
    assert series(index, freq="h").gaps.tolist() == list(range(8, 160, 8))


@pytest.mark.parametrize("freq", ["h", "D", "MS"])
def test_local_time_stays_even_when_clocks_change(freq):
    index = dates(freq, {"h": 24 * 260, "D": 260, "MS": 26}[freq], "2001-03-01", tz="Europe/Paris")
    local = series(index)
    assert local.index.equals(index)
    assert local.calendar.alias == freq
    assert not len(local.gaps)


@pytest.mark.parametrize("freq", [None, "D"])
def test_days_of_utc_in_local_time(freq):
    index = dates("D", 200, tz="UTC").tz_convert("Europe/Paris")
    assert series(index, freq=freq).step == "daily"
    assert series(index.delete([150]), freq=freq).gaps.tolist() == [150]


def test_local_time_without_its_zone_is_told():
    hours = dates("h", 24 * 260, "2001-03-01", tz="Europe/Paris").tz_localize(None)
    with pytest.raises(DataError, match=r"1 dates stand twice .*local clocks show an hour twice") as error:
        series(hours)
    assert "2001-10-28 02:00:00" in str(error.value)
    assert series(hours[: 24 * 60]).gaps.tolist() == [24 * 24 + 2]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (dates("MS", 24), dates("D", 60, "2003-01-01"), "(monthly, and daily from 2003-01-01 on)"),
        (dates("D", 300), dates("MS", 60, "2002-01-01"), "(daily, and monthly from 2002-01-01 on)"),
        (dates("h", 300), dates("30min", 20, "2002-01-01"), "(hourly, and 30 minutes from 2002-01-01 on)"),
        (dates("h", 300), dates("2h", 20, "2002-01-01"), "(hourly, and 2 hours from 2002-01-01 on)"),
    ],
)
def test_mixed_frequencies_are_refused(first, second, expected):
    with pytest.raises(DataError, match="dates mix frequencies") as error:
        series(first.append(second))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("freq", ["daily", "D", " D"])
def test_a_frequency_in_words(freq):
    assert series(dates("D").delete([5]), freq=freq).gaps.tolist() == [5]


@pytest.mark.parametrize(
    ("index", "freq", "expected"),
    [
        (dates("D"), "MS", "59 of 60 dates do not fit freq MS (first: 2001-01-02); the dates look like: daily"),
        (dates("D"), "h", "59 of 60 dates do not fit freq h"),
        (dates("D"), "B", "do not fit freq B (first: 2001-01-06)"),
        (dates("W-WED"), "W-MON", "1 of 60 dates do not fit freq W-MON (first: 2001-01-03); the dates look"),
        (dates("ME"), "MS", "1 of 60 dates do not fit freq MS (first: 2001-01-31)"),
        (six_a_month(), "5D", "do not fit freq 5D (first: 2001-02-03); the dates look like: 5 days (3 to 6)"),
    ],
)  # fmt: skip
def test_dates_that_do_not_fit_their_frequency(index, freq, expected):
    with pytest.raises(DataError) as error:
        series(index, freq=freq)
    assert expected in str(error.value)


def test_a_frequency_without_anchor_fits_any_day():
    assert series(dates("W-WED"), freq="W").step == "weekly"
    assert series(dates("ME"), freq="M").step == "monthly"


@pytest.mark.parametrize("freq", ["fortnightly", "", "0D", "Q-APR", "SMS", "C", "2B"])
def test_unknown_frequencies(freq):
    with pytest.raises(ConfigError, match="expected a frequency as pandas calls it"):
        series(dates("D"), freq=freq)


def test_a_frequency_needs_no_dates_to_be_checked():
    with pytest.raises(ConfigError):
        from_frame(pd.DataFrame({"y": [1.0, 2.0]}), freq="often")


def test_the_usual_step_of_many_dates_is_that_of_samples(monkeypatch):
    monkeypatch.setattr(frequency, "MANY", 1500)
    index = dates("D", 4000).delete([1700])
    assert series(index).gaps.tolist() == [1700]


def test_samples_that_hold_no_step_within_a_series():
    # Among 60,000 series of one day, one of three days, between two samples of the steps.
    index = dates("D", 1).repeat(10_500).append(dates("D", 3)).append(dates("D", 1).repeat(49_500))
    borders = np.concatenate([np.arange(10_501), np.arange(10_503, 60_004)])
    assert frequency.read(index, borders).words == "daily"
    # Nothing can be said of single dates.
    assert frequency.read(index[:2000], np.arange(2001)).words == "one date"


rows = st.lists(st.integers(0, 39), unique=True, max_size=12).map(lambda rows: np.array(sorted(rows), dtype=int))


@settings(deadline=None)
@given(gaps=rows, missing=rows, cuts=rows, ahead=st.integers(0, 3))
def test_stretches_are_all_rows_that_follow_one_another(gaps, missing, cuts, ahead):
    borders = np.unique([0, *cuts, 40])
    gaps = np.setdiff1d(gaps, borders)
    ends = np.maximum(borders[1:] - ahead, borders[:-1] + 1)
    found = frequency.stretches(borders, ends, gaps, missing)
    # Row by row: a stretch goes on where the row before belongs to it and no gap lies between.
    expected = []
    for first, end in zip(borders[:-1], ends, strict=True):
        for row in range(first, end):
            if row in missing:
                continue
            if row > first and row not in gaps and expected and expected[-1][1] == row:
                expected[-1][1] = row + 1
            else:
                expected.append([row, row + 1])
    assert found.tolist() == expected
