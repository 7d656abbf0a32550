import numpy as np
import pandas as pd
import pytest

from kseq import Batches, ConfigError, DataError, from_frame, load_series, make_windows
from kseq.windows import Split


def series_of(values):
    index = pd.date_range("2000-01-01", periods=len(values), freq="D")
    return from_frame(pd.DataFrame({"y": values, "f": np.cos(values)}, index=index), target="y", features=["f"])


@pytest.mark.parametrize(("lookback", "horizon"), [(1, 1), (3, 1), (5, 4)])
def test_windows_equal_a_plain_loop(lookback, horizon):
    series = series_of(np.arange(100.0) ** 1.5)
    data = make_windows(series, lookback, horizon, dtype="float64")
    scaled_x = (series.frame - series.frame[:68].mean()) / series.frame[:68].std(ddof=0)
    assert (data.split.validation, data.split.test) == (68, 80)
    for part, start, stop in ((data.train, 0, 68), (data.validation, 68, 80), (data.test, 80, 100)):
        expected = [
            (scaled_x.to_numpy()[row - lookback : row], scaled_x[["y"]].to_numpy()[row : row + horizon])
            for row in range(max(start, lookback), stop - horizon + 1)
        ]
        x, y = part.gather(np.arange(len(part)))
        assert len(part) == len(expected)
        np.testing.assert_allclose(x, np.stack([e[0] for e in expected]), rtol=1e-12)
        np.testing.assert_allclose(y, np.stack([e[1] for e in expected]), rtol=1e-12)


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
    assert make_windows(series, scaler="minmax-leaks-test").target_scaler.scale[0] == 99
    assert make_windows(series, scaler="minmax").target_scaler.scale[0] == 67


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
        ({"test": 1.0}, "test share of 1"),
        ({"validation": -0.1}, "validation share of -0.1"),
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
    assert Split.by_fraction(3312, validation=0) == Split(2649, 2649, 3312)


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
    with pytest.raises(ConfigError, match="batch size 0"):
        Batches(data.train, 0)
    with pytest.raises(ConfigError, match="more than one"):
        Batches(data.train, seed=1, members=2)
