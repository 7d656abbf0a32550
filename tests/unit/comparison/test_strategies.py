from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kseq import ConfigError, Settings, build_model, compare, from_frame, panel_from_frame, predict
from kseq.comparison.backtest import cut_windows
from kseq.comparison.jobs import train_cell
from kseq.comparison.networks import build_cell
from kseq.comparison.strategies import Recursive, one_step
from kseq.evaluation.evidence import Evidence
from kseq.evaluation.significance import Row
from kseq.evaluation.verdict import reach, verdict
from kseq.experiments.audit import audit
from kseq.layers import kernel_policy
from kseq.models.seq2seq import build_seq2seq
from kseq.training.callbacks import kernel_of

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

QUICK = {"seeds": (0, 1), "units": 3, "lookback": 5, "baselines": ("persistence",), "training": {"epochs": 2}}


@pytest.fixture(scope="module")
def series():
    generator = np.random.default_rng(0)
    dates = pd.date_range("2001-01-01", periods=144, freq="MS")
    y = 20 + 3 * np.sin(np.arange(144) * np.pi / 6) + generator.normal(size=144)
    frame = pd.DataFrame({"y": y, "price": generator.normal(size=144)}, index=dates)
    return from_frame(frame, target="y", future=["price"], name="shop")


def step_by_step(model, near, settings, windows, horizon):
    """What a recursive forecast is, said plainly: every step cut from a series that ends with the forecasts so far."""
    forecasts = []
    for rows in windows.target_rows:
        series, known = near.series, near.series.one("shop").frame.copy()
        for row in rows:
            # Rows from this one on must not matter.
            known.iloc[row:, known.columns.get_loc("y")] = 1e6
            own = from_frame(known, target="y", future=list(series.future), name="so far")
            here = replace(near.split, test=np.array([row]), end=np.array([row + 1]))
            cut = cut_windows(own, settings, here)
            known.iloc[row, known.columns.get_loc("y")] = predict(model, cut, cut.test)[:, 0, 0, 0].item()
        forecasts.append(known["y"].to_numpy()[rows])
    return np.array(forecasts)


@pytest.mark.parametrize(
    ("transform", "calendar"),
    [
        ("none", False),
        ("none", True),
        ("anomaly", False),
        ("anomaly,change", True),
        ("difference", False),
        ("log,last", True),
        ("mean,spread", False),
        ("anomaly,ar", False),
        ("season", False),
    ],
)
def test_recursion_is_one_step_after_another(series, transform, calendar):
    settings = Settings(**QUICK, horizon=3, transform=transform, calendar=calendar, strategy="recursive")
    data = cut_windows(series, settings)
    near = one_step(data, settings)
    assert near.horizon == 1
    # Both have one inverse transform to the unit.
    np.testing.assert_array_equal(near.target_scaler.center, data.target_scaler.center)
    if data.transform is None or data.transform.reference is None:
        np.testing.assert_array_equal(near.target_scaler.scale, data.target_scaler.scale)
    model = build_cell("gru", near, settings, (0,))
    found = Recursive(near)(model, data, data.validation)
    assert found.shape == (1, len(data.validation), 3, 1)
    few = 3
    segments = (range(data.validation.segments[0].start, data.validation.segments[0].start + few),)
    part = replace(data.validation, segments=segments, owners=np.array([0]))
    expected = step_by_step(model, near, Settings(**QUICK, transform=transform, calendar=calendar), part, 3)
    np.testing.assert_allclose(found[0, :few, :, 0], expected, rtol=1e-5)
    # Later steps are no copies of the first.
    assert np.ptp(found[0, :, :, 0], axis=1).min() > 0


def test_members_forecast_what_they_forecast_alone(series):
    settings = Settings(**QUICK, horizon=4, strategy="recursive")
    data = cut_windows(series, settings)
    near = one_step(data, settings)
    both = Recursive(near)(build_cell("lstm", near, settings, (3, 7)), data, data.test)
    for number, seed in enumerate((3, 7)):
        alone = Recursive(near)(build_cell("lstm", near, settings, (seed,)), data, data.test)
        np.testing.assert_allclose(both[number], alone[0], rtol=1e-5)
    assert not np.allclose(both[0], both[1])


def test_one_step_ahead_recursive_is_direct(series):
    direct, recursive = (
        compare(series, Settings(**QUICK, cells=("rnn", "gru"), strategy=strategy, transform="none"))
        for strategy in ("direct", "recursive")
    )
    for row, other in zip(direct.rows, recursive.rows, strict=True):
        np.testing.assert_array_equal(row.predictions, other.predictions)
        np.testing.assert_array_equal(row.validation, other.validation)
    assert len(direct.rows) == 1 + 2 + 2


def test_a_recursive_model_learns_one_step(series):
    settings = Settings(**QUICK, horizon=4, cells=("gru",), strategy="recursive", match="params")
    comparison = compare(series, settings)
    row = next(row for row in comparison.rows if row.name == "GRU")
    # Weights and biases of the cell, a head of one step, and a linear map of the window.
    assert row.parameters == 3 * 3 * (2 + 3 + 2) + 3 + 1 + 5 * 2
    assert comparison.table.set_index("model").loc["GRU", "units"] == "3"
    assert row.predictions.shape == (2, len(comparison.data.test), 4, 1)
    assert comparison.by_step["step"].max() == 4


@pytest.mark.parametrize("strategy", ["recursive", "seq2seq"])
def test_nothing_depends_on_what_comes_after(series, strategy):
    settings = Settings(**QUICK | {"seeds": (0,), "training": {"epochs": 1}}, cells=("gru",), horizon=3,
                        strategy=strategy, transform="anomaly,change")  # fmt: skip
    found = audit(series, settings)
    assert found.clean, found.leaks
    assert {"GRU: weights", "GRU: forecasts"} <= set(found.table["name"])


@pytest.mark.parametrize("strategy", ["recursive", "seq2seq"])
def test_in_a_backtest_each_fold_is_forecast(series, strategy):
    plan = {"horizon": 3, "n_windows": 2, "refit": True, "cells": ("rnn",), "strategy": strategy}
    comparison = compare(series, Settings(**QUICK | {"seeds": (0,)}, **plan, transform="none"))
    row = next(row for row in comparison.rows if row.name == "SimpleRNN")
    assert row.predictions.shape == (1, 2, 3, 1)
    assert np.isfinite(row.predictions).all()


def test_without_the_past_target_recursion_reads_what_is_known_ahead(series):
    settings = Settings(**QUICK, horizon=3, strategy="recursive", past_target=False)
    data = cut_windows(series, settings)
    near = one_step(data, settings)
    model = build_cell("rnn", near, settings, (0,))
    found = Recursive(near)(model, data, data.test)
    # Nothing is fed back: the second step of a window is the first of the next.
    np.testing.assert_allclose(found[0, :-1, 1], found[0, 1:, 0], rtol=1e-6)


def test_recursion_needs_to_know_what_it_reads():
    frame = pd.DataFrame({"y": np.arange(60.0) % 7, "wind": np.arange(60.0) % 5})
    blown = from_frame(frame, target="y", features=["wind"], name="blown")
    with pytest.raises(ConfigError, match=r"recursive and past covariates \(wind\)"):
        compare(blown, **QUICK, horizon=2, strategy="recursive")
    assert compare(blown, **QUICK, cells=("rnn",), strategy="recursive").best


def shops(lengths=(60, 75, 48)):
    """Shops of several lengths and scales, with a price that is known ahead, a size and a kind."""
    rng = np.random.default_rng(0)
    parts = [
        pd.DataFrame({
            "unique_id": f"s{i}", "ds": pd.date_range("2001-01-01", periods=n), "size": float(i), "kind": "ab"[i % 2],
            "y": (rng.normal(size=n).cumsum() + 30) * 10.0**i, "z": rng.normal(size=n) + i, "price": rng.normal(size=n),
        })
        for i, n in enumerate(lengths)
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


#: A date is missing in the test part of the first shop, and a value in that of the second.
GAPPED = shops().drop(index=52).assign(y=lambda frame: frame["y"].where(frame.index != 127)).reset_index(drop=True)


def panel_of(frame, target=("y",)):
    return panel_from_frame(
        frame, target=list(target), future=["price"], static=["size", "kind"], fill="mask", name="shops"
    )


def shop_by_shop(model, near, settings, windows, frame):
    """The same for a panel: of each window of each shop every step is cut from rows that end with those so far."""
    targets = list(near.series.targets)
    forecasts = []
    for rows, shop in zip(windows.target_rows, windows.series, strict=True):
        known = frame.copy()
        for row in rows:
            # Later rows of the shop must not matter.
            later = (known.index >= row) & (known["unique_id"] == f"s{shop}") & known["y"].notna()
            known.loc[later, targets] = 1e6
            own = cut_windows(panel_of(known, targets), settings, split=near.split)
            window = replace(own.test, segments=(range(row, row + 1),), owners=np.array([shop]))
            known.loc[row, targets] = predict(model, own, window)[0, 0, 0]
        forecasts.append(known.loc[rows, targets].to_numpy())
    return np.array(forecasts)


@pytest.mark.parametrize(
    ("options", "target"),
    [
        ({"transform": "none"}, ["y"]),
        ({"transform": "none", "scaler": "minmax"}, ["y", "z"]),
        ({"transform": "anomaly,change", "calendar": True}, ["y"]),
        ({"transform": "difference"}, ["z", "y"]),
        ({"transform": "log"}, ["y"]),
        ({"transform": "change", "past_target": False}, ["y"]),
        ({"transform": "last"}, ["y"]),
        ({"transform": "mean,spread"}, ["y", "z"]),
        ({"transform": "log,season", "season": 3}, ["y"]),
    ],
)
def test_recursion_in_a_panel_goes_on_in_each_series(options, target):
    settings = Settings(**QUICK, horizon=3, strategy="recursive", **options)
    data = cut_windows(panel_of(GAPPED, target), settings)
    near = one_step(data, settings)
    assert near.horizon == 1
    np.testing.assert_array_equal(near.members, data.members)
    if data.transform is None or data.transform.reference is None:
        np.testing.assert_array_equal(near.target_scaler.scale, data.target_scaler.scale)
    both = build_cell("gru", near, settings, (0, 1))
    alone = build_cell("gru", near, settings, (1,))
    for part in (data.validation, data.test):
        found = Recursive(near)(both, data, part)
        assert found.shape == (2, len(part), 3, len(target))
        np.testing.assert_allclose(Recursive(near)(alone, data, part)[0], found[1], rtol=1e-4)
        # A window of each stretch of each series, the two parts of one with a gap among them.
        which = np.unique(np.cumsum([0, *map(len, part.segments)])[:-1])
        few = replace(part, segments=tuple(segment[:1] for segment in part.segments))
        expected = shop_by_shop(alone, near, replace(settings, horizon=1), few, GAPPED)
        np.testing.assert_allclose(found[1, which], expected, rtol=1e-4)
        assert set(few.series) == {0, 1, 2}


def test_recursion_in_a_panel_takes_so_many_windows_as_memory_allows(monkeypatch):
    settings = Settings(**QUICK, horizon=3, strategy="recursive")
    data = cut_windows(panel_of(GAPPED), settings)
    near = one_step(data, settings)
    model = build_cell("rnn", near, settings, (0, 1))
    whole = Recursive(near)(model, data, data.test)
    sizes = []
    monkeypatch.setattr("kseq.training.memory.windows_at_once", lambda *given: 4)
    monkeypatch.setattr(
        "kseq.training.rollout.forecast_batch", lambda *given: sizes.append(len(given[1])) or at_once(*given)
    )
    np.testing.assert_allclose(Recursive(near)(model, data, data.test), whole, rtol=1e-5)
    # The last batch is filled up, so that all have one shape.
    assert sizes == [4] * 3 * -(-len(data.test) // 4)


def at_once(model, x):
    return model.predict_on_batch(x)


@pytest.mark.parametrize("transform", ["auto", "anomaly,change"])
def test_one_step_ahead_in_a_panel_recursive_is_direct(transform):
    direct, recursive = (
        compare(panel_of(GAPPED), Settings(**QUICK, cells=("rnn",), strategy=strategy, transform=transform))
        for strategy in ("direct", "recursive")
    )
    for row, other in zip(direct.rows, recursive.rows, strict=True):
        np.testing.assert_array_equal(row.predictions, other.predictions)
        np.testing.assert_array_equal(row.validation, other.validation)
    assert len(direct.rows) == 1 + 1 + 1


def test_a_series_too_short_for_the_horizon_is_not_learnt_from():
    # Eleven training rows of the last one hold windows of one step, and none of eight.
    panel = panel_of(shops((60, 75, 17)))
    settings = Settings(**QUICK | {"lookback": 8}, horizon=8, strategy="recursive", transform="none")
    data = cut_windows(panel, settings)
    near = one_step(data, settings)
    assert len(cut_windows(panel, replace(settings, horizon=1)).members) == 3
    assert set(near.train.series) == set(data.members) == {0, 1}
    x, _ = near.train.gather(np.arange(len(near.train)))
    # Sizes of 0 and 1 stand for the shops that are learnt from, in the scale of these two.
    assert set(x[..., -3].ravel()) == {-1, 1}


@pytest.mark.parametrize("strategy", ["recursive", "seq2seq"])
def test_strategies_serve_panels_as_they_serve_a_series(strategy):
    settings = Settings(**QUICK, horizon=3, cells=("gru",), strategy=strategy, n_windows=2)
    comparison = compare(panel_of(shops()), settings)
    row = next(row for row in comparison.rows if row.name == "GRU")
    assert row.predictions.shape == (2, len(comparison.data.test), 3, 1)
    assert row.validation.shape == (2, len(comparison.data.validation), 3, 1)
    assert np.isfinite(row.predictions).all()
    assert comparison.by_step["step"].max() == 3
    assert set(comparison.by_series["unique_id"]) == {"s0", "s1", "s2"}
    # It has learnt: after two epochs less is missed than after one.
    loss = row.history["loss"]
    assert (loss[:, 1] < loss[:, 0]).all()


@pytest.mark.parametrize("strategy", ["recursive", "seq2seq"])
def test_nothing_in_a_panel_depends_on_what_comes_after(strategy):
    settings = Settings(**QUICK | {"seeds": (0,), "training": {"epochs": 1}}, cells=("gru",), horizon=3,
                        strategy=strategy, transform="anomaly,change")  # fmt: skip
    found = audit(panel_of(GAPPED), settings)
    assert found.clean, found.leaks
    assert {"GRU: weights", "GRU: forecasts"} <= set(found.table["name"])


def test_recursion_in_a_panel_needs_to_know_what_it_reads():
    windy = panel_from_frame(shops(), target="y", features=["z"])
    with pytest.raises(ConfigError, match=r"recursive and past covariates \(z\)"):
        compare(windy, **QUICK, horizon=2, strategy="recursive")


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_decoder_begins_where_the_encoder_ends(cell):
    """Against the encoder's states and the decoder's steps, computed layer by layer."""
    model = build_seq2seq(cell, lookback=6, features=2, horizon=3, targets=2, units=(4, 3), seed=1)
    layers = {layer.name: layer for layer in model.layers}
    x = np.random.default_rng(0).normal(size=(5, 6, 2)).astype("float32")
    first, *states = layers["encoder_0"](x)
    summary, *final = layers["encoder_1"](first)
    decoded = layers["decoder_0"](
        np.repeat(np.asarray(summary.detach() if hasattr(summary, "detach") else summary)[:, None], 3, axis=1),
        initial_state=states,
    )
    steps = layers["forecast"](layers["decoder_1"](decoded, initial_state=final))
    expected = np.asarray(steps.detach() if hasattr(steps, "detach") else steps).reshape(5, 6)
    np.testing.assert_allclose(model.predict_on_batch(x), expected, rtol=1e-5, atol=1e-6)
    with kernel_policy("off"):
        np.testing.assert_allclose(model.predict_on_batch(x), expected, rtol=1e-4, atol=1e-5)


def test_a_decoder_is_of_the_encoders_cells_and_runs_their_kernels():
    model = build_seq2seq("lstm", lookback=6, horizon=3, units=4, num_layers=2, dropout=0.5)
    model.predict_on_batch(np.zeros((2, 6, 1), "float32"))
    assert [type(layer).__name__ for layer in model.layers if "coder_" in layer.name] == [
        "LSTM", "Dropout", "LSTM", "LSTM", "Dropout", "LSTM",
    ]  # fmt: skip
    assert kernel_of(model) == kernel_of_plain()


def kernel_of_plain():
    model = build_model("lstm", lookback=6, units=4)
    model.predict_on_batch(np.zeros((2, 6, 1), "float32"))
    return kernel_of(model)


def test_seeds_of_a_decoder_train_one_after_another(series):
    settings = Settings(**QUICK, cells=("gru",), horizon=3, strategy="seq2seq", num_layers=2, dropout=0.2)
    comparison = compare(series, settings)
    row = next(row for row in comparison.rows if row.name == "GRU")
    assert (row.seeds, row.members_at_once) == ((0, 1), 1)
    alone = train_cell("gru", comparison.data, replace(settings, seeds=(1,)))
    np.testing.assert_array_equal(alone.predictions[0], row.predictions[1])
    assert not np.allclose(row.predictions[0], row.predictions[1])
    # Two layers each for encoder and decoder, one head for all steps, and a linear map of the window to them.
    gates = [3 * 3 * (features + 3 + 2) for features in (2, 3, 3, 3)]
    assert row.parameters == sum(gates) + 3 + 1 + 5 * 2 * 3
    loss = row.history["loss"]
    assert (loss[:, 1] < loss[:, 0]).all()


def by_step(name, misses, kind="cell", seeds=(0.99, 1.0, 1.01)):
    """A row that misses by so much at each step, in windows that are no copies of each other."""
    sizes = (1 + 0.5 * np.sin(np.arange(40)))[:, None] * np.array(misses)
    return Row(name, (np.array(seeds)[:, None, None] * sizes)[..., None], kind)


def evidence(*rows, **known):
    steps = rows[0].errors.shape[2]
    y = np.random.default_rng(0).normal(size=(40, steps, 1))
    return Evidence(rows, y, y[:, 0], np.array([-9.0]), np.array([9.0]), **known)


def test_the_step_is_named_at_which_a_cell_stops_beating_the_best_baseline():
    ar = by_step("AR(2)", (1, 1, 1), "baseline", (1,))
    weaker = by_step("Persistence", (2, 2, 2), "baseline", (1,))
    cells = by_step("LSTM", (0.5, 0.7, 1.2)), by_step("GRU", (0.5, 0.6, 0.9)), by_step("SimpleRNN", (1.1, 0.9, 0.9))
    assert reach(evidence(ar, weaker, *cells)) == (
        "Step by step, below AR(2) in mean absolute error: GRU at all 3 steps; LSTM up to step 2 of 3, not at step 3; "
        "SimpleRNN not at step 1."
    )
    assert reach(evidence(ar, weaker, *cells)) in verdict(evidence(ar, weaker, *cells))
    # Where no cell stops on the way, there is nothing to say.
    assert reach(evidence(ar, weaker, *cells[1:])) is None
    assert reach(evidence(*cells)) is None
    assert reach(evidence(ar, cells[0], series=2)) is None
    one = by_step("AR(2)", (1,), "baseline", (1,)), by_step("GRU", (0.5,))
    assert reach(evidence(*one)) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strategy": "guess"}, "received strategy 'guess'"),
        ({"strategy": "seq2seq", "bidirectional": True}, "seq2seq and bidirectional"),
        ({"strategy": "seq2seq", "match": "params"}, "seq2seq and match params"),
        ({"strategy": "seq2seq", "members": 5}, "seq2seq and members 5"),
    ],
)
def test_strategies_that_mean_nothing_are_refused(options, said):
    with pytest.raises(ConfigError, match=said):
        Settings(**options)


@pytest.mark.parametrize("options", [{"cell": "elman"}, {"cell": "gru", "dropout": 1.0}, {"cell": "gru", "horizon": 0}])
def test_a_decoder_of_nothing_is_refused(options):
    with pytest.raises(ConfigError, match="received"):
        build_seq2seq(**options)
