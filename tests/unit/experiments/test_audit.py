from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kseq import BackendError, Comparison, ConfigError, Settings, baselines, from_frame, make_windows, panel_from_frame
from kseq.evaluation.model_result import ModelResult
from kseq.experiments._audit_run import perturbed
from kseq.experiments.audit import audit
from kseq.preprocessing.auto_transform import Transform
from kseq.preprocessing.scalers import Scaler
from kseq.preprocessing.windows import Windows
from kseq.settings import CELL_NAMES
from kseq.training.fit import fit

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

QUICK = Settings(
    cells=("gru",),
    baselines=("persistence", "climatology", "ar"),
    seeds=(0,),
    lookback=3,
    units=2,
    transform="none",
    training={"epochs": 2},
)


def months(rows=72, **columns):
    """Warm summers and some noise."""
    generator = np.random.default_rng(0)
    values = {"sst": 20 + 3 * np.sin(np.arange(rows) * np.pi / 6) + generator.normal(size=rows)}
    dates = pd.date_range("2000-01-01", periods=rows, freq="MS")
    return pd.DataFrame(values | {name: generator.normal(size=rows) for name in columns} | columns, dates)


@pytest.fixture(scope="module")
def series():
    return from_frame(months(), name="sea")


values = st.lists(st.floats(-1e12, 1e12), min_size=3, max_size=12).filter(lambda numbers: len(set(numbers)) > 1)


@given(values=values, data=st.data())
def test_every_value_from_a_row_on_is_another_one(values, data):
    first = data.draw(st.integers(1, len(values) - 1))
    series = from_frame(pd.DataFrame({"y": values}), missing="none")
    other = perturbed(series, first)
    assert (other.y[:first] == series.y[:first]).all()
    assert (other.y[first:] > np.maximum(series.y[first:], series.y.max())).all()
    assert np.isfinite(other.y).all()
    assert (other.y > 0).all() or not (series.y > 0).all()
    np.testing.assert_array_equal(other.values, perturbed(series, first).values)


def test_what_is_known_ahead_and_what_is_missing_stays():
    frame = months(holiday=np.arange(72) % 2, wind=np.ones(72))
    frame.iloc[70, 2] = np.nan
    series = from_frame(frame, target="sst", features=["wind"], future=["holiday"], fill="mask")
    other = perturbed(series, 60).one("series").frame
    changed = (other != series.frame) & other.notna()
    assert changed.sum().to_dict() == {"sst": 12, "wind": 11, "holiday": 0}
    assert other["wind"].isna().to_numpy().nonzero()[0].tolist() == [70]


def test_values_filled_on_a_line_follow_what_comes_after_them():
    frame = months()
    frame.iloc[[40, 58, 59, 60, 61], 0] = np.nan
    series = from_frame(frame, fill="linear")
    changed = (perturbed(series, 60).y != series.y)[:, 0].nonzero()[0]
    assert changed.tolist() == list(range(58, 72))


@pytest.mark.parametrize(
    "options",
    [
        {"seeds": (0, 1), "baselines": ("seasonal-naive", "climatology-ar")},
        {"horizon": 2, "scaler": "minmax", "cells": ("lstm",), "transform": "log,change", "calendar": True},
        {"validation": 0.0, "past_target": False},
        {"n_windows": 3, "horizon": 2, "gap": 2, "train_size": 50, "cells": ()},
        {"n_windows": 2, "refit": True, "gap": 1, "transform": "anomaly"},
        {"horizon": 2, "transform": "log1p,mean,spread"},
        {"horizon": 2, "transform": "log1p,ar"},
        {"horizon": 2, "transform": "season", "season": 5, "scaler": "minmax", "n_windows": 2, "refit": True},
        {"horizon": 2, "strategy": "seq2seq"},
    ],
    ids=str,
)
def test_a_comparison_is_clean(options):
    series = from_frame(months(wind=1), target="sst", features=["wind"])
    result = audit(series, replace(QUICK, **options))
    assert result.clean, result.verdict
    assert result.verdict.startswith(f"Clean: {len(result.checks)} checks of ")
    trained = {check.name.partition(":")[0] for check in result.checks if ": weights" in check.name}
    assert trained == {CELL_NAMES[cell] for cell in options.get("cells", ("gru",))}
    assert {check.fold for check in result.checks} == ({1, 2} if options.get("refit") else {None})


def test_two_targets_without_dates():
    frame = months(depth=1).reset_index(drop=True)
    frame["depth"] = frame["sst"].to_numpy()[::-1] - 20
    result = audit(from_frame(frame, target=["sst", "depth"]), QUICK)
    assert result.clean, result.verdict
    assert {check.cutoff for check in result.checks} == {"47", "56", "63", "70"}


def test_a_line_over_a_cutoff_is_taken_back():
    frame = months()
    frame.iloc[[40, 46, 47, 48, 49, 56, 57, 58, 70], 0] = np.nan
    result = audit(from_frame(frame, fill="linear"), replace(QUICK, cells=()))
    assert result.clean, result.verdict


def test_a_line_over_a_cutoff_leaks(monkeypatch):
    monkeypatch.setattr("kseq.data.Panel.causal", lambda self, known: self)
    frame = months()
    frame.iloc[46:50, 0] = np.nan
    assert "training windows" in planted(from_frame(frame, fill="linear"), cells=())


def basins(count=3, rows=72, **columns):
    """Series that end on different dates, each ten times as large as the one before."""
    parts = []
    for number in range(count):
        frame = months(rows - 6 * number).rename_axis("ds").reset_index()
        parts.append(frame.assign(unique_id=f"basin {number}", sst=frame["sst"] * 10**number))
    return pd.concat(parts, ignore_index=True).assign(**columns)


def test_every_value_of_a_panel_from_a_row_of_each_series_on_is_another_one():
    panel = panel_from_frame(basins(holiday=1.0), target="sst", future=["holiday"])
    first = panel.borders[:-1] + np.array([0, 60, 30])
    other = perturbed(panel, first)
    for number, row in enumerate(first):
        before, after = slice(panel.borders[number], row), slice(row, panel.ends[number])
        assert np.array_equal(other.y[before], panel.y[before])
        assert (other.y[after] > panel.y[slice(*panel.borders[number : number + 2])].max()).all()
    assert np.array_equal(other.values[:, 1], panel.values[:, 1]), "what is known ahead stays"


@pytest.mark.parametrize(
    "options",
    [
        {"transform": "anomaly,change", "baselines": tuple(baselines.BASELINES), "horizon": 2},
        {"transform": "auto", "calendar": True, "n_windows": 3, "scaler": "minmax"},
        {"transform": "trend", "n_windows": 2, "refit": True, "gap": 1, "train_size": 40, "horizon": 2},
        # The last series is too short for the first fold.
        {"transform": "auto", "n_windows": 2, "step_size": 54, "refit": True, "cells": ()},
    ],
)
def test_a_panel_is_clean(options):
    result = audit(panel_from_frame(basins(), target="sst"), replace(QUICK, **options))
    assert result.clean, result.verdict
    expected = {"scaler", "training windows", "validation windows"} | (
        {"GRU: weights"} if options.get("cells", True) else set()
    )
    assert expected <= {c.name for c in result.checks}
    first = result.checks[0]
    assert (first.name, first.cutoff.count(" to ")) == ("scaler", 1)


def test_a_scale_of_all_rows_leaks_in_a_panel():
    result = audit(panel_from_frame(basins(), target="sst"), replace(QUICK, scaler="minmax-leaks-test", cells=()))
    assert {"scaler", "training windows", "inputs of forecasts"} <= set(result.leaks)
    assert "season" not in result.leaks


def test_one_leaking_series_of_a_panel_is_enough(monkeypatch):
    """Rows of one series alone are learnt from beyond its validation part."""
    fit_series = Scaler.fit_series.__func__

    def leaky(cls, kind, columns, start, stop, values):
        stop = stop.copy()
        stop[-1] += 20
        return fit_series(cls, kind, columns, start, stop, values)

    monkeypatch.setattr(Scaler, "fit_series", classmethod(leaky))
    result = audit(panel_from_frame(basins(), target="sst"), replace(QUICK, cells=()))
    assert "scaler" in result.leaks


def test_what_is_checked_and_where(series):
    checks = audit(series, QUICK).table.set_index(["name", "cutoff"])
    # 57 rows before the test part, 9 of them for validation.
    assert make_windows(series).split.validation == 48
    start, end = "2003-12-01", "2004-09-01"
    assert checks.loc[("scaler", start), ["rows", "values"]].tolist() == [24, 4]
    assert checks.loc[("training windows", start), "values"] == 45 * (3 + 1)
    assert checks.loc[("validation windows", end), ["rows", "values"]].tolist() == [15, 9 * (3 + 1)]
    # Nine validation windows and the first test window.
    assert checks.loc[("inputs of forecasts", end), "values"] == 10 * 3
    assert checks.loc[("Persistence: forecasts", end), "values"] == 10
    # Of both trainings.
    assert checks.loc[("GRU: weights", end), "values"] == 2 * (3 * 2 * (1 + 2 + 2) + 3 + 3)
    assert checks.loc[("GRU: early stopping", end), "values"] == 1 + 2 * 2
    assert checks.loc["AR(3): forecasts", "values"].to_dict() == {start: 1, end: 10, "2005-04-01": 17, "2005-11-01": 24}
    assert (checks["differing"] == 0).all()
    assert (checks["largest"] == 0).all()


def test_forecasts_that_are_fed_back(series):
    assert planted(series, horizon=2, strategy="recursive", transform="auto") == ()


def test_the_slowest_baseline(series):
    assert audit(series, replace(QUICK, cells=(), baselines=("ets",))).clean


def planted(series, **options):
    result = audit(series, replace(QUICK, **options))
    assert result.clean is not bool(result.leaks)
    if result.leaks:
        assert result.verdict == f"Leak: values after the cutoff move {', '.join(result.leaks)}."
    for check in result.checks:
        assert check.identical == (check.differing == 0) == (check.largest == 0)
    return result.leaks


def test_a_scaler_of_the_whole_series(series, monkeypatch):
    asked = planted(series, scaler="minmax-leaks-test")

    def leaking(*arguments, **options):
        return make_windows(*arguments, **options | {"scaler": "minmax-leaks-test"})

    monkeypatch.setattr("kseq.comparison.backtest.make_windows", leaking)
    assert set(planted(series, cells=())) == {name for name in asked if "GRU" not in name}
    assert asked == (
        "scaler",
        "training windows",
        "inputs of forecasts",
        "transform and scale undone",
        "validation windows",
        "GRU: weights",
        "GRU: early stopping",
        "GRU: forecasts",
    )


def test_a_baseline_that_looks_at_the_answer(series, monkeypatch):
    def looking(group, whole, before):
        def forecast(origins):
            return group.y[origins[:, None] + np.arange(1, group.horizon + 1)]

        return "Persistence", forecast, forecast

    monkeypatch.setitem(baselines.BASELINES, "persistence", looking)
    assert planted(series, cells=()) == ("Persistence: forecasts",)


def test_a_climatology_of_all_rows(series, monkeypatch):
    honest = baselines.BASELINES["climatology"]

    def of_all_rows(group, whole, before):
        return honest(group, group.grid.borders[1:], group.grid.borders[1:])

    monkeypatch.setitem(baselines.BASELINES, "climatology", of_all_rows)
    assert planted(series, cells=()) == ("Climatology + last anomaly: forecasts",)


def test_a_baseline_that_the_future_allows(series, monkeypatch):
    honest = baselines.baseline_row

    def row(name, data, *rest, **options):
        if data.series.y.max() > 40:
            return baselines.Skipped(name, "of what is to come")
        return honest(name, data, *rest, **options)

    monkeypatch.setattr("kseq.comparison.backtest.baseline_row", row)
    result = audit(series, replace(QUICK, cells=(), baselines=("persistence",)))
    assert result.leaks == ("Persistence: forecasts",)
    assert {check.largest for check in result.checks} == {0.0, np.inf}


def test_stopping_by_the_test_part(series, monkeypatch):
    def cheating(model, data, *rest):
        return fit(model, replace(data, validation=data.test), *rest)

    monkeypatch.setattr("kseq.comparison.jobs.fit", cheating)
    leaks = planted(series)
    assert "GRU: early stopping" in leaks
    assert all(name.startswith("GRU: ") for name in leaks)


def test_training_on_the_test_part(series, monkeypatch):
    def cheating(model, data, *rest):
        return fit(model, replace(data, train=data.test), *rest)

    monkeypatch.setattr("kseq.comparison.jobs.fit", cheating)
    assert planted(series) == ("GRU: weights", "GRU: early stopping", "GRU: forecasts")


def test_a_window_that_holds_its_own_target(series, monkeypatch):
    def gather(self, which):
        first = self.starts(which)[..., None]
        return self.inputs[first + np.arange(1 - self.lookback, 1)], self.targets[first + np.arange(self.horizon)]

    monkeypatch.setattr(Windows, "gather", gather)
    assert planted(series, cells=()) == ("inputs of forecasts",)


def test_a_way_back_that_knows_the_answer(series, monkeypatch):
    def to_units(self, scaled, windows=None):
        return 0 * scaled + self.series.y[windows.target_rows]

    monkeypatch.setattr("kseq.preprocessing.windows.WindowedPanel.to_units", to_units)
    assert planted(series, cells=()) == ("transform and scale undone",)


def test_a_climatology_of_a_transform_of_all_rows(series, monkeypatch):
    honest = Transform.fit

    def of_all_rows(self, panel, split, members, *sizes):
        return honest(self, panel, replace(split, validation=split.end), members, *sizes)

    monkeypatch.setattr(Transform, "fit", of_all_rows)
    leaks = planted(series, transform="anomaly", cells=())
    assert leaks == (
        "scaler",
        "training windows",
        "inputs of forecasts",
        "transform and scale undone",
        "validation windows",
    )


def test_a_season_found_in_all_rows(series, monkeypatch):
    monkeypatch.setattr(Comparison, "season", property(lambda self: 12 if self.data.series.y.max() < 40 else 6))
    assert planted(series, cells=(), baselines=("persistence",)) == ("season",)


def test_a_device_that_does_not_repeat_itself(series, monkeypatch):
    generator = np.random.default_rng(0)

    def noisy(model, *rest):
        model.set_weights([weight + generator.normal(size=weight.shape) for weight in model.get_weights()])
        return fit(model, *rest)

    monkeypatch.setattr("kseq.comparison.jobs.fit", noisy)
    with pytest.raises(BackendError, match=r"received GRU trainings on .* on the very same values, .* device cpu"):
        audit(series, QUICK)


def test_the_default_is_a_short_budget(series, monkeypatch):
    asked = []

    def train(self, seeds, *rest):
        data = self.first.data
        asked.append((self.cell, seeds, self.own.training["epochs"], self.own.training["patience"]))
        return ModelResult(
            self.cell, np.zeros((2, len(data.test), 1, 1)), validation=np.zeros((2, len(data.validation), 1, 1))
        )

    monkeypatch.setattr("kseq.comparison.jobs.Prepared.train", train)
    assert audit(series, baselines="persistence", transform="none").clean
    assert asked == [(cell, (0, 1), 5, 2) for cell in ("rnn", "lstm", "gru") for _ in range(2)]


def test_whoever_watches_is_told(series):
    told = []
    audit(series, QUICK, progress=lambda *news: told.append(news))
    assert [news for news in told if news[0] == "GRU, seed 0"] == 2 * [("GRU, seed 0", 1, 2), ("GRU, seed 0", 2, 2)]
    assert {what for what, _, _ in told} == {"GRU, seed 0", "GRU, seed 0, with the validation rows"}


def test_a_wrong_budget_is_told_first(series, monkeypatch):
    monkeypatch.setattr("kseq.experiments._audit_run.perturbed", None)
    with pytest.raises(ConfigError, match="received epochs 0"):
        audit(series, replace(QUICK, training={"epochs": 0}))


class Stopper:
    """Stops an audit as Ctrl-C does, as soon as a number of trainings were begun; counts what is trained."""

    def __init__(self, trainings=None):
        self.trainings, self.seen, self.kept = trainings, [], 0

    def jobs_planned(self, jobs, trainings, kept):
        self.kept = kept

    def __call__(self, what, epoch, epochs):
        if epoch == 1:
            self.seen.append(what)
        if len(self.seen) == self.trainings:
            raise KeyboardInterrupt


def test_an_audit_that_was_stopped_does_what_is_missing(series, tmp_path):
    settings = replace(QUICK, seeds=(0, 1), members=1)
    with pytest.raises(KeyboardInterrupt) as caught:
        audit(series, settings, keep=tmp_path, progress=Stopper(4))
    assert caught.value.__notes__ == ["2 of 8 trainings are kept: the same command goes on with the rest"]
    watched = Stopper()
    result = audit(series, settings, keep=tmp_path, progress=watched)
    # Each seed is trained twice, on the training part and on all rows.
    assert (watched.kept, len(watched.seen)) == (2, 6)
    assert result == audit(series, settings)
    watched = Stopper()
    assert audit(series, settings, keep=tmp_path, progress=watched) == result
    assert watched.seen == []


def test_an_audit_is_trained_by_an_executor(series):
    from concurrent.futures import ThreadPoolExecutor

    settings = replace(QUICK, n_windows=2, refit=True)
    with ThreadPoolExecutor(2) as pool:
        assert audit(series, settings, executor=pool) == audit(series, settings)


def test_kept_trainings_of_another_machine_are_no_leak(series, tmp_path, monkeypatch):
    """What differs is trained again here before anything is said of it."""
    from kseq.jobs import Store

    real = Store.get

    def of_another_machine(self, key):
        found = real(self, key)
        if isinstance(found, dict) and "weights" in found and not self.damaged:
            self.damaged.append(self.file(key))
            found["weights"][0] = np.nextafter(found["weights"][0], np.inf, dtype="float32")
        return found

    expected = audit(series, QUICK, keep=tmp_path)
    monkeypatch.setattr(Store, "get", of_another_machine)
    assert audit(series, QUICK, keep=tmp_path).checks == expected.checks


def test_a_long_training_keeps_the_weights_of_its_first_part(series, tmp_path, monkeypatch):
    from kseq.jobs import store as stores

    monkeypatch.setattr(stores, "STATE_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        # In the second training of the first job.
        audit(series, QUICK, keep=tmp_path, progress=Stopper(2))
    watched = Stopper()
    assert audit(series, QUICK, keep=tmp_path, progress=watched) == audit(series, QUICK)
    # What the first training has found is not looked for again.
    assert watched.seen[0] == "GRU, seed 0, with the validation rows"
    assert list(tmp_path.glob("states/*")) == []
