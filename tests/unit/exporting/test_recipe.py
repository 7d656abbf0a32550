"""What an exported model computes is what kseq forecasts: each transform, cell and covariate, by NumPy alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kseq
from kseq.exporting import _numpy
from kseq.exporting.export import _parts_of
from kseq.exporting.inputs import at, example_of
from kseq.exporting.recipe import Recipe
from kseq.forecasting import model_file
from kseq.forecasting.forecast import covariates_ahead, forecast, rows_to_forecast
from kseq.forecasting.history import History

pytestmark = pytest.mark.above_backends

QUICK = {"max_steps": 2, "validation": 0.12, "units": 3, "lookback": 5, "horizon": 2, "transform": "none"}


def rows(count=60, ids=("a",), freq="MS"):
    """Series of different levels that rise, with covariates, and what is known of the six steps after them."""
    frames = []
    for number, id in enumerate(ids):
        random = np.random.default_rng(number)
        dates = pd.date_range("2000-01-01", periods=count + 6, freq=freq)
        y = 1000.0 * (number + 1) + 0.3 * np.arange(count + 6) + random.normal(size=count + 6).cumsum()
        frames.append(pd.DataFrame({"unique_id": id, "ds": dates, "y": y, "rain": random.normal(size=count + 6),
                                    "price": random.normal(size=count + 6), "kind": "xyz"[number]}))  # fmt: skip
    frame = pd.concat(frames)
    last = frame.groupby("unique_id").cumcount() >= count
    return frame[~last].reset_index(drop=True), frame[last].reset_index(drop=True)


def exported(model, steps, future=None):
    card, networks = _parts_of(model)
    recipe = Recipe(card, steps, tuple(card.settings["levels"]))
    history, ahead, _ = rows_to_forecast(card, recipe.made, None, future, None)
    inputs = at(recipe, replace(history, panel=ahead), ahead.ends)
    assert [(name, value.shape[1:], value.dtype) for name, value in inputs.items()] == [
        (one.name, one.shape, one.dtype) for one in recipe.inputs
    ]
    return _numpy.run(recipe, networks, inputs)


def require_same(found, made, spread):
    assert np.isfinite(made.values).all()
    assert np.abs(found["forecast"] - made.values).max() < 1e-5 * spread
    for level, band in made.intervals.items():
        for side, bound in (("lo", band.lo), ("hi", band.hi)):
            np.testing.assert_allclose(found[f"{side}_{level:g}"], bound, rtol=0, atol=1e-5 * spread)


@pytest.mark.parametrize(
    "transform",
    ["none", "log", "log1p,last", "anomaly", "trend", "difference", "anomaly,difference", "difference,anomaly,change",
     "log,trend,anomaly,season", "mean", "last,spread", "change,spread", "season,spread", "mean,spread",
     "anomaly,ar", "log,ar,spread"],
)  # fmt: skip
def test_every_transform_is_undone_within_and_beyond_the_horizon(transform):
    known, _ = rows()
    model = kseq.fit(known[["ds", "y"]], **QUICK | {"transform": transform})
    for steps in (1, 2, 5):
        require_same(exported(model, steps), forecast(model, steps), known.y.std())


def test_series_that_models_read_without_their_own_past():
    known, ahead = rows()
    model = kseq.fit(known[["ds", "y", "price"]], future=("price",), **QUICK, no_past_target=True)
    future = covariates_ahead(model.card, ahead, "ahead")
    found = exported(model, 5, future)
    require_same(found, forecast(model, 5, future=future), known.y.std())
    model = kseq.fit(known[["ds", "y", "rain"]], features=("rain",), **QUICK | {"transform": "last"}, past_target=False)
    future = covariates_ahead(model.card, ahead, "ahead")
    require_same(exported(model, 5, future), forecast(model, 5, future=future), known.y.std())


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_panel_with_every_kind_of_covariate(cell):
    known, ahead = rows(ids="abc")
    model = kseq.fit(
        known, features=("rain",), future=("price",), static=("kind",), calendar=True, cell=cell, seeds=2,
        bidirectional=True, **QUICK | {"units": (4, 3), "transform": "anomaly,last"},
    )  # fmt: skip
    future = covariates_ahead(model.card, ahead, "ahead")
    for steps in (2, 6):
        require_same(exported(model, steps, future), forecast(model, steps, future=future), 3.0)


def test_several_targets_each_in_its_scale():
    known, _ = rows()
    known["z"] = known.rain * 1e-3
    model = kseq.fit(known, target=("y", "z"), time="ds", **QUICK | {"transform": "trend,last,spread"})
    made, found = forecast(model, 4), exported(model, 4)
    far = np.abs(found["forecast"] - made.values).max(axis=(0, 1))
    assert (far < 1e-5 * known[["y", "z"]].std().to_numpy()).all()


def test_rows_that_are_counted_rather_than_dated():
    known, _ = rows(80)
    model = kseq.fit(known.y.to_numpy(), season=7, **QUICK | {"transform": "anomaly,trend"})
    require_same(exported(model, 3), forecast(model, 3), known.y.std())


def test_an_example_is_a_window_whose_covariates_are_known():
    known, _ = rows(ids="ab")
    model = kseq.fit(known, features=("rain",), future=("price",), **QUICK)
    recipe = Recipe(model.card, 5, ())
    example = example_of(recipe)
    assert example is not None
    first = known[known.unique_id == "a"].iloc[:-6]
    np.testing.assert_array_equal(example["past"][0], first[["y", "rain"]].iloc[-5:])
    np.testing.assert_array_equal(example["future"][0, -1], known[known.unique_id == "a"].price.iloc[[-1]])


def test_series_that_the_model_has_not_seen_are_refused():
    known, _ = rows()
    model = kseq.fit(known[["ds", "y"]], **QUICK)
    context = model.card.context
    with pytest.raises(kseq.ConfigError, match="expected one that the model was trained on"):
        at(Recipe(model.card, 1, ()), History(context, np.array([-1]), context.ends, 0), context.ends - 2)


@pytest.mark.parametrize("name", ["one_plain", "many_plain", "one_rows", "one_hours", "many_rows"])
def test_models_of_earlier_versions(name):
    path = Path(__file__).parents[1] / "forecasting" / "format1" / f"{name}.keras"
    model = model_file.load(path)
    made = forecast(model)
    require_same(exported(model, model.card.horizon), made, made.history.y.std())
