import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kseq import ConfigError, DataError, from_frame, make_windows, panel_from_frame
from kseq.comparison.backtest import lay_folds
from kseq.data import Panel
from kseq.preprocessing._runs import groups, reduce_runs
from kseq.preprocessing.auto_transform import Transform
from kseq.preprocessing.scalers import Scaler
from kseq.preprocessing.splits import Split
from kseq.settings import Settings

pytestmark = pytest.mark.above_backends

LENGTHS = (60, 75, 34, 90, 50)
PARTS = ("train", "validation", "test")
NAMES = (
    "log", "anomaly", "trend", "difference", "change", "log,anomaly,change", "log,anomaly,trend", "trend,anomaly",
    "trend,difference",
)  # fmt: skip


def long(lengths=LENGTHS, seed=0, freq="D"):
    """Series of several lengths and scales, all from the first of January on, with covariates."""
    rng = np.random.default_rng(seed)
    return pd.concat(
        [
            pd.DataFrame({
                "unique_id": f"s{i}", "ds": pd.date_range("2001-01-01", periods=n, freq=freq),
                "y": rng.normal(size=n).cumsum() * (i + 1) + 50 + 10 * i, "wind": rng.normal(size=n),
                "price": rng.normal(size=n) + i, "size": float(i), "kind": "xyz"[i % 3],
            })
            for i, n in enumerate(lengths)
        ],
        ignore_index=True,
    )  # fmt: skip


#: Two dates are missing in the first two series, and a value in the fourth.
GAPPED = long().drop(index=[30, 100]).assign(y=lambda frame: frame["y"].where(frame.index != 220))
ROLES = {"target": "y", "features": ["wind"], "future": ["price"]}


@pytest.mark.parametrize("past_target", [True, False])
@pytest.mark.parametrize("scaler", ["standard", "minmax", "minmax-leaks-test"])
def test_each_series_has_the_windows_that_it_has_alone(scaler, past_target):
    options = {"lookback": 5, "horizon": 2, "scaler": scaler, "past_target": past_target, "dtype": "float64"}
    panel = panel_from_frame(GAPPED, fill="mask", **ROLES)
    data = make_windows(panel, **options)
    for number, id in enumerate(panel.ids):
        alone = make_windows(panel.one(id), **options)
        assert data.input_columns == alone.input_columns
        for part in PARTS:
            windows, expected = getattr(data, part), getattr(alone, part)
            which = np.flatnonzero(windows.series == number)
            assert len(which) == len(expected) > 0
            for ours, theirs in zip(windows.gather(which), expected.gather(np.arange(len(expected))), strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    assert any("Windows across missing dates or values are left out: 19 of" in note for note in data.notes)


@pytest.mark.parametrize(
    "names",
    ["log", "anomaly", "trend", "difference", "change", "log,anomaly,change", "log,anomaly,trend", "trend,anomaly"],
)
def test_transforms_and_calendar_are_those_of_each_series_alone(names):
    options = {"lookback": 5, "horizon": 2, "calendar": True, "dtype": "float64"}
    panel = panel_from_frame(GAPPED, fill="mask", **ROLES)
    data = make_windows(panel, transform=Transform(names), **options)
    for number, id in enumerate(panel.ids):
        alone = make_windows(panel.one(id), transform=Transform(names), **options)
        assert sorted(data.input_columns) == sorted(alone.input_columns)
        order = [alone.input_columns.index(column) for column in data.input_columns]
        for part in PARTS:
            windows, expected = getattr(data, part), getattr(alone, part)
            which = np.flatnonzero(windows.series == number)
            (x, y), (x_alone, y_alone) = windows.gather(which), expected.gather(np.arange(len(expected)))
            np.testing.assert_allclose(x, x_alone[..., order], rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(y, y_alone, rtol=1e-3, atol=1e-4)
    _, y = data.test.gather(np.arange(len(data.test)))
    np.testing.assert_allclose(data.to_units(y, data.test), data.test_y, rtol=1e-5)


def test_auto_takes_for_several_series_what_it_takes_for_one_of_them_alone():
    frame = long((120,))
    panel = panel_from_frame(pd.concat([frame.assign(unique_id=f"s{number}") for number in range(4)]), target="y")
    alone = make_windows(panel_from_frame(frame, target="y"), lookback=5, transform=Transform("auto"))
    data = make_windows(panel, lookback=5, transform=Transform("auto"))
    # Of one series the trend is tried too.
    alike = {"change", "last", "mean", "difference"}
    assert (data.transform.name in alike) == (alone.transform.name.replace("trend,", "") in alike)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.data())
def test_a_window_lies_in_one_part_of_one_series_and_in_rows_that_follow_one_another(lengths, draw):
    frame = long(tuple(lengths))
    dropped = draw.draw(st.sets(st.integers(0, len(frame) - 1), max_size=len(frame) // 4))
    lookback, horizon = draw.draw(st.integers(1, 4)), draw.draw(st.integers(1, 3))
    step = draw.draw(st.sampled_from([0, 1, 2]))
    frame = frame.drop(index=list(dropped))
    try:
        panel = panel_from_frame(frame, target="y", freq="D")
        data = make_windows(panel, lookback, horizon, n_windows=2 * bool(step), step_size=step or None)
    except DataError:
        return
    days = panel.index.to_numpy().astype("datetime64[D]").astype(int)
    split = data.split
    bounds = {"train": (split.start, split.validation), "validation": (split.validation, split.stop),
              "test": (split.test, split.end)}  # fmt: skip
    # A validation part that is shorter than the horizon has a window that begins before it.
    bounds["validation"] = (np.minimum(split.validation, split.stop - horizon), split.stop)
    for name in PARTS:
        part = getattr(data, name)
        for first, owner in zip(part.target_rows[:, 0], part.series, strict=True):
            rows = np.arange(first - lookback, first + horizon)
            assert (panel.series_of(rows) == owner).all()
            assert (np.diff(days[rows]) == 1).all()
            low, high = (bound[owner] for bound in bounds[name])
            assert low <= first
            assert first + horizon <= high
    ends = data.test.target_rows[:, -1] + 1
    if step == 1 and not dropped:
        assert set(ends) >= set(panel.ends[data.members])


def test_nothing_after_a_cutoff_moves_a_training_window_or_a_scale():
    frame = long()
    known = make_windows(panel_from_frame(frame, **ROLES), lookback=5).split.validation
    row = np.arange(len(frame))
    owner = frame["unique_id"].str[1:].astype(int).to_numpy()
    changed = frame.assign(**{
        column: frame[column].where(row < known[owner], frame[column] * 7 + 90) for column in ("y", "wind", "price")
    })  # fmt: skip
    for transform in (None, Transform("anomaly,change")):
        before, after = (
            make_windows(panel_from_frame(rows, **ROLES), lookback=5, transform=transform) for rows in (frame, changed)
        )
        for scaler in ("input_scaler", "target_scaler"):
            assert (getattr(before, scaler).center == getattr(after, scaler).center).all()
            assert (getattr(before, scaler).scale == getattr(after, scaler).scale).all()
        which = np.arange(len(before.train))
        for one, other in zip(before.train.gather(which), after.train.gather(which), strict=True):
            assert (one == other).all()


def test_static_covariates_are_constant_inputs():
    panel = panel_from_frame(long(), target="y", static=["size", "kind"])
    data = make_windows(panel, lookback=5)
    assert data.input_columns == ("y", "size", "kind=x", "kind=y", "kind=z")
    which = np.array([[0, 3], [len(data.train) - 1, 1]])
    x, _ = data.train.gather(which)
    assert x.shape == (2, 2, 5, 5)
    owners = data.train.series_of(which)
    size = (owners - 2) / np.std(np.arange(5))
    np.testing.assert_allclose(x[..., 1], np.broadcast_to(size[..., None], (2, 2, 5)), rtol=1e-6)
    assert (x[..., 2:] == x[..., :1, 2:]).all()
    # Of one category it is said by the sign.
    assert ((x[..., 0, 2] > 0) == np.isin(owners, (0, 3))).all()


def test_what_is_known_ahead_stands_in_the_rows_before():
    panel = panel_from_frame(long(), target="y", future=["price"])
    data = make_windows(panel, lookback=4, horizon=3, dtype="float64")
    assert data.input_columns == ("y", "price[t+3]")
    which = np.arange(len(data.test))
    x, _ = data.test.gather(which)
    scale, center = (getattr(data.input_scaler, name)[data.test.series, 1] for name in ("scale", "center"))
    rows = data.test.target_rows[:, :1] + np.arange(-1, 3)
    price = panel.values_of(["price"])[rows, 0]
    np.testing.assert_allclose(x[..., 1], (price - center[:, None]) / scale[:, None], rtol=1e-6)
    with pytest.raises(ConfigError, match="received lookback 2, horizon 3 and future covariates"):
        make_windows(panel, lookback=2, horizon=3)


def test_series_that_are_too_short_are_left_out_and_counted():
    panel = panel_from_frame(long((60, 9, 60, 12)), target="y")
    data = make_windows(panel, lookback=10)
    assert data.members.tolist() == [0, 2]
    assert data.notes[-1] == (
        "2 of 4 series are too short for lookback 10 and horizon 1, and are left out (first: 's1', 9 rows)."
    )
    with pytest.raises(DataError, match="received a series of 60 rows, expected at least 90 for lookback 60"):
        make_windows(panel, lookback=60)
    with pytest.raises(DataError, match=r"received 4 series of 60 rows at most, [0-9]+ of them before the validation"):
        make_windows(panel, lookback=10, n_windows=55)


def test_a_part_without_any_window_is_told():
    frame = long((40, 40))
    frame["y"] = frame["y"].where(frame["ds"].dt.day % 5 > 0)
    panel = panel_from_frame(frame, target="y", fill="mask")
    with pytest.raises(DataError, match="all 38 training windows lie across missing dates or values, expected some"):
        make_windows(panel, lookback=8)


def test_series_that_end_at_other_dates_are_told():
    data = make_windows(panel_from_frame(long((60, 90)), target="y"), lookback=5)
    assert data.notes == (
        "Test parts of 1 of 2 series begin before the training part of another one ends (2001-03-02): a model may know "
        "from one series what is to come in another.",
    )
    assert not make_windows(panel_from_frame(long((60, 60)), target="y"), lookback=5).notes


def test_a_panel_of_one_target_is_held_once():
    data = make_windows(panel_from_frame(long(), target="y"), lookback=5)
    assert data.train.targets is data.train.inputs is data.test.inputs
    assert data.train.inputs.dtype == np.float32


def test_forecasts_of_a_panel_need_their_windows():
    data = make_windows(panel_from_frame(long(), target="y"), lookback=5)
    with pytest.raises(ConfigError, match="received forecasts without their windows"):
        data.to_units(np.zeros((1, len(data.test), 1)))


def test_a_series_that_does_not_vary_is_scaled_by_one():
    frame = long((60, 60)).assign(y=lambda frame: frame["y"].where(frame["unique_id"] == "s0", 0.1))
    data = make_windows(panel_from_frame(frame, target="y"), lookback=5)
    assert data.target_scaler.scale[1] == 1
    assert data.target_scaler.center[1] == pytest.approx(0.1)
    x, y = data.train.gather(np.flatnonzero(data.train.series == 1))
    assert np.abs(x).max() < 1e-6
    assert np.abs(y).max() < 1e-6


@pytest.mark.parametrize("more", [{}, {"gap": 3}, {"train_size": 22}, {"gap": 2, "train_size": 20, "step_size": 1}])
def test_last_origins_are_those_of_a_backtest_that_trains_once(more):
    asked = Settings(lookback=5, horizon=2, n_windows=3, **more)
    panel = panel_from_frame(long(), target="y")
    data = make_windows(panel, 5, 2, n_windows=3, **more)
    for number in range(len(LENGTHS)):
        alone = Panel.of(panel.one(panel.ids[number]))
        folds = lay_folds(alone, asked)
        border, first = panel.borders[number], folds[0]
        assert [fold.test[0] + border for fold in folds] == data.test.target_rows[
            data.test.series == number, 0
        ].tolist()
        split = data.split
        assert (first.start + border, first.validation + border, first.stop + border) == (
            split.start[number], split.validation[number], split.stop[number],
        )  # fmt: skip
        trained = data.train.target_rows[data.train.series == number]
        assert trained.min() == border + first.start + 5
        assert trained.max() == border + first.validation - 1


def test_a_series_of_a_panel_is_one_with_static_and_future_covariates_too():
    one = from_frame(long((60,)).drop(columns="unique_id"), target="y", future=["price"], static=["size", "kind"])
    data = make_windows(one, lookback=4, horizon=2)
    assert data.input_columns == ("y", "price[t+2]", "size", "kind=x")
    x, _ = data.train.gather(np.arange(3))
    # A covariate that never changes says nothing in a single series.
    assert (x[..., 2:] == 0).all()
    assert x[0, -1, 1] == pytest.approx((one.frame["price"].iloc[5] - one.frame["price"][:41].mean())
                                        / one.frame["price"][:41].std(ddof=0), rel=1e-5)  # fmt: skip


def test_a_gap_and_a_masked_row_part_the_windows_of_one_series():
    days = pd.date_range("2001-01-01", periods=100)
    frame = pd.DataFrame({"ds": days, "y": np.random.default_rng(0).normal(size=100)}).drop(index=40)
    frame.loc[70, "y"] = np.nan
    data = make_windows(from_frame(frame, fill="mask"), lookback=4, horizon=1)
    for part, count in ((data.train, 59), (data.validation, 7), (data.test, 20)):
        first = part.target_rows[:, 0]
        rows = first[:, None] + np.arange(-4, 1)
        steps = np.diff(data.series.index.to_numpy()[rows]) / np.timedelta64(1, "D")
        assert (steps == 1).all()
        assert not np.isnan(data.series.y[rows]).any()
        assert len(first) == count
    assert data.notes[-1] == (
        "Windows across missing dates or values are left out: 4 of 63 training, 5 of 12 validation windows."
    )


def test_groups_hold_no_more_rows_than_asked_for():
    assert groups(np.array([5, 5, 5]), limit=10) == [slice(0, 2), slice(2, 3)]
    assert groups(np.array([50, 5]), limit=10) == [slice(0, 1), slice(1, 2)]
    assert groups(np.array([], int)) == []


def test_parts_are_reduced_one_by_one():
    rows = np.arange(20.0).reshape(10, 2)
    assert reduce_runs(np.add, rows, np.array([0, 5]), np.array([2, 10])).tolist() == [[2, 4], [70, 75]]
    assert reduce_runs(np.maximum, rows, np.array([1]), np.array([4])).tolist() == [[6, 7]]


def test_an_unknown_scaler_is_told():
    with pytest.raises(ConfigError, match="received scaler 'robust'"):
        Scaler.fit_series("robust", [np.zeros(3)], np.array([0]), np.array([2]), np.zeros((3, 1)))


def test_parts_without_a_test_part():
    panel = panel_from_frame(long().drop(columns=["size", "kind"]), **ROLES)
    data = make_windows(panel, 7, 2, split=Split.without_test(panel, 0.2))
    assert len(data.test) == 0
    assert data.validation.target_rows.max() == len(panel) - 1
    first = np.rint(0.8 * panel.lengths).astype(int) + panel.borders[:-1]
    assert [segment.start for segment in data.validation.segments] == first.tolist()
    whole = make_windows(panel, 7, 2, split=Split.without_test(panel, 0.0))
    assert len(whole.validation) == 0
    assert len(whole.train) == sum(panel.lengths - 7 - 1)


@pytest.mark.parametrize("transform", ["none", "change", "log", "log,difference"])
def test_the_unit_of_errors_is_that_of_values_where_logarithms_are_forecast(transform):
    panel = panel_from_frame(long().drop(columns=["size", "kind"]), **ROLES)
    data = make_windows(panel, 7, 2, transform=Transform(transform))
    if not transform.startswith("log"):
        assert data.unit is data.target_scaler.scale
        return
    for number, begin in enumerate(panel.borders[:-1]):
        known = panel.y[begin : data.split.validation[number], 0].astype("float64")
        assert data.unit[number, 0] == pytest.approx(known.std(), rel=1e-6)
