import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kseq import Batches, ConfigError, DataError, from_frame, load_series, make_windows
from kseq.data import Panel
from kseq.preprocessing.splits import Split
from kseq.preprocessing.windows import Windows, window_starts

pytestmark = pytest.mark.above_backends


def series_of(values):
    index = pd.date_range("2000-01-01", periods=len(values), freq="D")
    return from_frame(pd.DataFrame({"y": values, "f": np.cos(values)}, index=index), target="y", features=["f"])


@pytest.mark.parametrize(("lookback", "horizon"), [(1, 1), (3, 1), (5, 4)])
def test_windows_equal_a_plain_loop(lookback, horizon):
    series = series_of(np.arange(100.0) ** 1.5)
    data = make_windows(series, lookback, horizon, dtype="float64")
    scaled_x = (series.frame - series.frame[:68].mean()) / series.frame[:68].std(ddof=0)
    assert (data.split.validation.tolist(), data.split.test.tolist()) == ([68], [80])
    for part, start, stop in ((data.train, 0, 68), (data.validation, 68, 80), (data.test, 80, 100)):
        expected = [
            (scaled_x.to_numpy()[row - lookback : row], scaled_x[["y"]].to_numpy()[row : row + horizon])
            for row in range(max(start, lookback), stop - horizon + 1)
        ]
        x, y = part.gather(np.arange(len(part)))
        assert len(part) == len(expected)
        np.testing.assert_allclose(x, np.stack([e[0] for e in expected]), rtol=1e-12)
        np.testing.assert_allclose(y, np.stack([e[1] for e in expected]), rtol=1e-12)


@st.composite
def parts(draw):
    """Rows of one array that several series share, one after the other, and where windows of each may stand."""
    lookback, horizon = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    lengths = draw(st.lists(st.integers(0, 12), max_size=6))
    steps = [draw(st.integers(1, 4)) for _ in lengths]
    return lookback, horizon, lengths, steps


def by_plain_loop(values, lookback, horizon, lengths, steps):
    """The windows of every series, cut by hand so that none crosses a border."""
    found, border = [], 0
    for length, step in zip(lengths, steps, strict=True):
        own = values[border : border + length]
        row = lookback
        while row + horizon <= length:
            found.append((own[row - lookback : row], own[row : row + horizon], border + row))
            row += step
        border += length
    return found


@given(parts(), st.randoms(use_true_random=False))
def test_windows_of_several_segments_equal_a_plain_loop(part, random):
    lookback, horizon, lengths, steps = part
    values = np.arange(2.0 * sum(lengths)).reshape(-1, 2)
    borders = np.cumsum([0, *lengths])
    segments = tuple(
        window_starts(start, stop, lookback, horizon, step=step, border=start)
        for start, stop, step in zip(borders[:-1].tolist(), borders[1:].tolist(), steps, strict=True)
    )
    windows = Windows(values, values[:, 1:], segments, lookback, horizon)
    expected = by_plain_loop(values, lookback, horizon, lengths, steps)
    assert len(windows) == len(expected)
    which = list(range(len(expected)))
    random.shuffle(which)
    x, y = windows.gather(np.array(which, dtype=int))
    assert x.shape == (len(which), lookback, 2)
    assert y.shape == (len(which), horizon, 1)
    for place, number in enumerate(which):
        assert (x[place] == expected[number][0]).all()
        assert (y[place] == expected[number][1][:, 1:]).all()
    assert windows.target_rows.shape == (len(which), horizon)
    assert windows.target_rows[:, 0].tolist() == [first for _, _, first in expected]
    # Members of an ensemble ask for windows of their own.
    if which:
        pairs = np.stack([which, which[::-1]], axis=1)
        assert (windows.gather(pairs)[0][:, 1] == x[::-1]).all()


def test_one_segment_counts_as_many_do():
    values = np.arange(60.0)[:, None]
    one = Windows(values, values, (range(5, 58, 3),), lookback=5, horizon=2)
    halves = Windows(values, values, (range(5, 29, 3), range(29, 58, 3)), lookback=5, horizon=2)
    which = np.arange(len(one))[::-1]
    for a, b in zip(one.gather(which), halves.gather(which), strict=True):
        assert (a == b).all()


def test_a_million_windows_of_many_segments_are_numbers_not_copies():
    values = np.zeros((1_000_000, 1), "float32")
    windows = Windows(values, values, tuple(range(s + 10, s + 1000) for s in range(0, 1_000_000, 1000)), 10, 1)
    assert len(windows) == 990_000
    windows.gather(np.array([0, 989_999]))
    windows.series_of(np.array([0, 989_999]))
    held = [array for array in vars(windows).values() if isinstance(array, np.ndarray) and array is not values]
    assert sum(array.nbytes for array in held if not np.shares_memory(array, values)) < 100_000


@pytest.mark.parametrize("segment", [range(1, 5), range(2, 10), range(8, 2, -1)])
def test_windows_outside_the_rows_are_refused(segment):
    values = np.zeros((10, 1))
    with pytest.raises(ConfigError, match="expected first target rows in order of time, from 2 to 8"):
        Windows(values, values, (segment,), lookback=2, horizon=2)


def test_every_test_point_is_predicted():
    data = make_windows(load_series("nino12"))
    assert (len(data.train), len(data.validation), len(data.test)) == (485, 88, 147)
    assert data.test_dates[0] == data.series.index[585]
    assert data.test_cutoffs[0] == data.series.index[584]


def test_nothing_after_a_cutoff_moves_a_window_or_a_scale():
    values = np.sin(np.arange(200.0))
    changed = values.copy()
    changed[136:] = changed[136:] * 5 + 100
    before, after = (make_windows(series_of(v)) for v in (values, changed))
    assert before.split.validation == 136
    for scale in ("input_scaler", "target_scaler"):
        assert getattr(before, scale).center.tolist() == getattr(after, scale).center.tolist()
        assert getattr(before, scale).scale.tolist() == getattr(after, scale).scale.tolist()
    which = np.arange(len(before.train))
    for one, other in zip(before.train.gather(which), after.train.gather(which), strict=True):
        assert (one == other).all()


def test_leaking_scaler_leaks_and_the_others_do_not():
    series = series_of(np.arange(100.0))
    assert make_windows(series, scaler="minmax-leaks-test").target_scaler.scale.item() == 99
    assert make_windows(series, scaler="minmax").target_scaler.scale.item() == 67


def test_forecasts_come_back_to_units():
    data = make_windows(load_series("co2"), horizon=3, scaler="minmax", dtype="float64")
    _, y = data.test.gather(np.arange(len(data.test)))
    np.testing.assert_allclose(data.to_units(y.reshape(len(y), -1)), data.test_y)


def test_windows_are_not_copied_before_they_are_asked_for():
    data = make_windows(series_of(np.arange(5000.0)), lookback=1000)
    assert data.train.inputs.base is None or data.train.inputs.nbytes == 5000 * 2 * 4
    assert data.train.inputs.nbytes == 5000 * 2 * 4


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"lookback": 0}, "lookback 0"),
        ({"lookback": 2.5}, "lookback 2.5"),
        ({"horizon": -1}, "horizon -1"),
        ({"scaler": "log"}, "scaler 'log'"),
        ({"test": 1.0}, "received test 1.0"),
        ({"validation": -0.1}, "received validation -0.1"),
    ],
)
def test_bad_settings(options, expected):
    with pytest.raises(ConfigError, match=expected):
        make_windows(series_of(np.arange(100.0)), **options)


def test_nothing_to_read():
    with pytest.raises(ConfigError, match="past_target=False"):
        make_windows(load_series("co2"), past_target=False)


def test_short_series_says_the_minimum_and_the_minimum_is_enough():
    with pytest.raises(DataError) as error:
        make_windows(series_of(np.arange(15.0)), lookback=12)
    minimum = int(str(error.value).split("at least ")[1].split()[0])
    data = make_windows(series_of(np.arange(float(minimum))), lookback=12)
    assert min(len(data.train), len(data.validation), len(data.test)) >= 1
    with pytest.raises(DataError):
        make_windows(series_of(np.arange(float(minimum - 1))), lookback=12)


def test_split_without_validation():
    split = Split.by_fraction(Panel.of(series_of(np.arange(3312.0))), validation=0)
    assert [rows.item() for rows in (split.validation, split.test, split.end)] == [2649, 2649, 3312]


def test_batches_cover_each_window_once_in_an_order_of_the_seed():
    data = make_windows(series_of(np.arange(100.0)), lookback=2, dtype="float64")
    batches = Batches(data.train, 7, seed=3)
    first = np.concatenate([batches[i][1] for i in range(len(batches))])
    again = Batches(data.train, 7, seed=3)
    assert (first == np.concatenate([again[i][1] for i in range(len(again))])).all()
    batches.on_epoch_end()
    second = np.concatenate([batches[i][1] for i in range(len(batches))])
    ordered = data.train.gather(np.arange(len(data.train)))[1].reshape(-1, 1)
    assert not (first == second).all()
    assert (np.sort(first, axis=0) == ordered).all()
    assert (np.sort(second, axis=0) == ordered).all()


def test_each_member_reads_what_a_single_model_reads():
    data = make_windows(series_of(np.arange(100.0)), lookback=2)
    together = Batches(data.train, 16, seeds=[4, 9])
    for number, seed in enumerate((4, 9)):
        alone = Batches(data.train, 16, seed=seed)
        for batch in range(len(alone)):
            for one, all_members in zip(alone[batch], together[batch], strict=True):
                assert (one == all_members[:, number]).all()


def test_batches_refuse_nonsense():
    data = make_windows(series_of(np.arange(100.0)))
    with pytest.raises(ConfigError, match="batch_size 0"):
        Batches(data.train, 0)
    with pytest.raises(ConfigError, match="more than one"):
        Batches(data.train, seed=1, members=2)


@pytest.mark.parametrize("options", [{"seed": 3}, {"seeds": [4, 9]}, {"members": 2}, {}])
def test_batches_are_the_same_however_many_are_gathered_at_once(monkeypatch, options):
    data = make_windows(series_of(np.arange(100.0)), lookback=2, horizon=2)
    alone, together = [], []
    for made, size in ((alone, 1), (together, 2**20)):
        monkeypatch.setattr("kseq.training.batches.AT_ONCE", size)
        batches = Batches(data.train, 7, **options)
        for _ in range(2):
            # In any order, and again after the next shuffle.
            made += [batches[number] for number in (3, 0, len(batches) - 1, 1, 3)]
            batches.on_epoch_end()
    for one, other in zip(alone, together, strict=True):
        for a, b in zip(one, other, strict=True):
            assert (a == b).all()
            assert b.flags.c_contiguous
