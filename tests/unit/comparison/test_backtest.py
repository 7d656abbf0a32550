import json
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from utilsforecast.processing import backtest_splits

from kseq import Comparison, ConfigError, DataError, Settings, compare, from_frame
from kseq.baselines import BASELINES
from kseq.cli import main
from kseq.comparison import jobs
from kseq.comparison.auto import settled
from kseq.comparison.backtest import cut_windows, join_folds, lay_folds, make_backtest
from kseq.data import Calendar, Panel
from kseq.evaluation.intervals import intervals
from kseq.evaluation.model_result import ModelResult
from kseq.report.plot import plot_history, plot_predictions
from kseq.report.table import words

pytestmark = pytest.mark.above_backends

N = 96

#: Small enough that a training takes a moment.
SMALL = {
    "cells": ("gru",),
    "lookback": 4,
    "horizon": 3,
    "units": 2,
    "seeds": (0, 1),
    "season": 12,
    "training": {"epochs": 2, "batch_size": 16},
    "transform": "none",
    "baselines": ("persistence", "climatology", "climatology-ar", "ar"),
    # One training a fold, which shows what it starts from; the second one has tests of its own.
    "refit_on_validation": False,
}


#: The same without a training.
FEW = {**SMALL, "cells": (), "baselines": ("persistence", "climatology")}


def monthly(values):
    return from_frame(pd.DataFrame({"y": values}, pd.date_range("2000-01-01", periods=len(values), freq="MS")))


@pytest.fixture(scope="module")
def series():
    rows = np.arange(N)
    noise = np.random.default_rng(0).normal(size=N)
    return monthly(20 + rows / 20 + np.sin(rows * np.pi / 6) + noise / 4)


@dataclass
class Fit:
    """What one training was given and what became of it."""

    model: object
    data: object
    callbacks: list
    before: list
    after: list


@contextmanager
def watching():
    """The trainings that take place, in their order."""
    fits, fit = [], jobs.fit

    def watched(model, data, training, seeds, callbacks=(), *rest):
        assert getattr(model, "optimizer", None) is None
        before = [weight.copy() for weight in model.get_weights()]
        result = fit(model, data, training, seeds, callbacks, *rest)
        fits.append(Fit(model, data, list(callbacks), before, model.get_weights()))
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "fit", watched)
        yield fits


def compared(series, **plan):
    """A comparison, and the trainings in it."""
    with watching() as fits:
        return compare(series, **{**SMALL, **plan}), fits


REFITTED = {"n_windows": 3, "step_size": 2, "gap": 1, "refit": True}


@pytest.fixture(scope="module")
def refitted_run(series):
    return compared(series, **REFITTED)


@pytest.fixture(scope="module")
def once_run(series):
    return compared(series, n_windows=3)


@pytest.fixture(scope="module")
def refitted(refitted_run):
    return refitted_run[0]


@pytest.fixture(scope="module")
def once(once_run):
    return once_run[0]


# --------------------------------------------------------------------------------------------------------------------
# Which rows.


def folds_of(rows, settings):
    """The folds of a series of so many rows: start, validation, stop, first and end of each."""
    values, ends = np.arange(float(rows))[:, None], np.array([rows])
    panel = Panel(
        "y", pd.Index(["y"]), np.array([0, rows]), pd.RangeIndex(rows), values, ("y",), (), (),
        pd.DataFrame(index=["y"]), ends, Calendar("rows"),
    )  # fmt: skip
    folds = lay_folds(panel, settings)
    return tuple(
        tuple(int(of[0]) for of in (fold.start, fold.validation, fold.stop, fold.test, fold.end)) for fold in folds
    )


def test_folds_by_hand():
    plan = {"lookback": 2, "horizon": 4, "n_windows": 3, "validation": 0.25}
    # Without a step of its own a fold follows the other's targets; what is learnt from ends before the first.
    assert folds_of(40, Settings(**plan)) == (
        (0, 21, 28, 28, 32),
        (0, 21, 28, 32, 36),
        (0, 21, 28, 36, 40),
    )
    assert folds_of(40, Settings(**plan, step_size=2, refit=True)) == (
        (0, 24, 32, 32, 36),
        (0, 26, 34, 34, 38),
        (0, 27, 36, 36, 40),
    )
    assert folds_of(40, Settings(**plan, step_size=6, refit=True, gap=2, train_size=16)) == (
        (6, 18, 22, 24, 28),
        (12, 24, 28, 30, 34),
        (18, 30, 34, 36, 40),
    )


@st.composite
def plans(draw):
    plan = {
        "lookback": draw(st.integers(1, 8)),
        "horizon": draw(st.integers(1, 5)),
        "n_windows": draw(st.integers(1, 6)),
        "step_size": draw(st.none() | st.integers(1, 7)),
        "gap": draw(st.integers(0, 4)),
        "refit": draw(st.booleans()),
        "validation": draw(st.sampled_from([0, 0.1, 0.15, 0.5])),
        "train_size": draw(st.none() | st.integers(1, 60)),
    }
    return Settings(**plan), draw(st.integers(1, 150))


@given(plans())
def test_folds_equal_a_loop_from_the_end(plan):
    settings, n = plan
    try:
        folds = folds_of(n, settings)
    except DataError:
        return
    expected, first = [], n - settings.horizon
    for _ in range(settings.n_windows):
        expected.insert(0, first)
        first -= settings.step_size or settings.horizon
    assert [first for _, _, _, first, _ in folds] == expected
    for start, validation, stop, first, end in folds:
        origin = first if settings.refit else expected[0]
        assert stop == origin - settings.gap
        assert start == (stop - settings.train_size if settings.train_size else 0)
        assert start >= 0
        assert end == first + settings.horizon
        known = stop - start
        assert stop - validation == round(known * settings.validation)
        # Something to learn from, and to stop by.
        assert validation - start >= settings.lookback + settings.horizon


@given(plans())
def test_too_short_says_the_minimum_and_the_minimum_is_enough(plan):
    settings, n = plan
    for _ in range(2):
        try:
            folds_of(n, settings)
            return
        except DataError as error:
            least = int(str(error).split("at least ")[1].split()[0])
            if "train size" in str(error):
                assert least > settings.train_size
                with pytest.raises(DataError, match="train size"):
                    folds_of(10_000, replace(settings, train_size=least - 1))
                settings = replace(settings, train_size=least)
            else:
                assert least > n
                with pytest.raises(DataError, match=f"received a series of {least - 1} rows"):
                    folds_of(least - 1, settings)
                n = least
    folds_of(n, settings)


@pytest.mark.parametrize(("n_windows", "h", "step_size", "input_size"), [(3, 4, None, None), (5, 6, 2, 40)])
def test_folds_are_those_of_other_packages(series, n_windows, h, step_size, input_size):
    frame = pd.DataFrame({"unique_id": "y", "ds": series.index, "y": series.y[:, 0]})
    splits = list(backtest_splits(frame, n_windows, h, "unique_id", "ds", "MS", step_size, input_size))
    settings = Settings(
        horizon=h, n_windows=n_windows, step_size=step_size, train_size=input_size, refit=True, cells=()
    )
    backtest = make_backtest(series, settings)
    assert backtest.data.test_cutoffs.tolist() == [cutoffs["cutoff"].item() for cutoffs, _, _ in splits]
    for (_, train, valid), training in zip(splits, backtest.trainings, strict=True):
        start, known = training.split.start.item(), training.split.test.item()
        assert training.series.index[start:known].tolist() == train["ds"].tolist()
        assert training.test_dates.tolist() == valid["ds"].tolist()
        assert training.test_y.ravel().tolist() == valid["y"].tolist()


@pytest.mark.parametrize("train_size", [None, 50])
@pytest.mark.parametrize("refit", [False, True])
def test_windows_equal_a_plain_loop(series, refit, train_size):
    parts = {"n_windows": 4, "step_size": 2, "gap": 3, "refit": refit, "train_size": train_size}
    settings = Settings(lookback=5, horizon=3, transform="none", **parts)
    backtest = make_backtest(series, settings)
    values = series.y[:, 0]
    firsts = [87, 89, 91, 93]
    assert backtest.data.test_y[..., 0].tolist() == [values[first : first + 3].tolist() for first in firsts]
    assert backtest.data.test_cutoffs.tolist() == [series.index[first - 1] for first in firsts]
    assert len(backtest.trainings) == (4 if refit else 1)
    for number, data in enumerate(backtest.trainings):
        origin = firsts[number]
        start = origin - 3 - train_size if train_size else 0
        known = values[start : origin - 3]
        cut = len(known) - round(0.15 * len(known))
        center, scale = known[:cut].mean(), known[:cut].std()
        assert (data.target_scaler.center.item(), data.target_scaler.scale.item()) == pytest.approx((center, scale))
        # Targets of training and validation lie apart and before the gap.
        for part, first, stop in ((data.train, 5, cut), (data.validation, cut, len(known))):
            x, y = part.gather(np.arange(len(part)))
            rows = range(first, stop - 3 + 1)
            np.testing.assert_allclose(x[..., 0] * scale + center, [known[r - 5 : r] for r in rows], rtol=1e-5)
            np.testing.assert_allclose(y[..., 0] * scale + center, [known[r : r + 3] for r in rows], rtol=1e-5)
        # A window reads the rows just before its targets, those of the gap too.
        x, _ = data.test.gather(np.arange(len(data.test)))
        own = [origin] if refit else firsts
        np.testing.assert_allclose(x[..., 0] * scale + center, [values[f - 5 : f] for f in own], rtol=1e-5)
        assert (data.split.start.item(), data.series.ends.item()) == (start, own[-1] + 3)


def test_what_is_known_of_rows_goes_with_them():
    index = pd.date_range("2000-01-01", periods=60, freq="MS")
    frame = pd.DataFrame({"y": np.arange(60.0), "holiday": np.arange(60.0) % 5}, index)
    frame.loc[index[[20, 50]], "y"] = np.nan
    series = from_frame(frame[:58], target="y", future=["holiday"], fill="ffill")
    series = replace(series, ahead=frame[["holiday"]][58:])
    settings = Settings(lookback=2, n_windows=2, step_size=10, refit=True, train_size=30, transform="none")
    first, second = (training.series for training in make_backtest(series, settings).trainings)
    assert (first.ends.item(), second.ends.item()) == (48, 58)
    assert np.flatnonzero(first.filled.any(axis=1)).tolist() == [20]
    assert np.flatnonzero(second.filled.any(axis=1)).tolist() == [20, 50]
    for known in (first, second):
        assert np.isnan(known.y[known.ends.item() :]).all()
        assert known.values_of(["holiday"])[:, 0].tolist() == frame["holiday"].tolist()


# --------------------------------------------------------------------------------------------------------------------
# Fresh starts, and nothing of the future.


@pytest.mark.parametrize(
    ("cells", "baselines", "train_size"), [(("rnn",), ("persistence",), 50), ((), tuple(BASELINES), None)]
)
def test_a_fold_is_a_comparison_of_its_own_on_the_series_cut_off_after_it(series, cells, baselines, train_size):
    plan = {**SMALL, "cells": cells, "baselines": baselines, "gap": 2, "train_size": train_size,
            "transform": "anomaly,last"}  # fmt: skip
    whole = compare(series, **plan, n_windows=2, step_size=4, refit=True)
    begin = 0
    for number, training in enumerate(whole.trainings):
        cut = replace(series, frame=series.frame.iloc[: 92 + 4 * number])
        alone = compare(cut, **plan, n_windows=1)
        assert len(alone.rows) == len(whole.rows) == len(baselines) + 2 * len(cells)
        end = begin + len(training.validation)
        for row, other in zip(whole.rows, alone.rows, strict=True):
            assert (row.predictions[:, [number]] == other.predictions).all(), row.name
            assert (row.validation[:, begin:end] == other.validation).all(), row.name
        begin = end


def test_each_fold_starts_afresh(refitted_run):
    comparison, fits = refitted_run
    assert len(fits) == len(comparison.folds) == 3
    for parts in (
        [fit.model for fit in fits],
        [fit.model.optimizer for fit in fits],
        [fit.data.target_scaler for fit in fits],
        [callback for fit in fits for callback in fit.callbacks],
    ):
        assert len({id(part) for part in parts}) == len(parts)
    for fit in fits:
        # As a seed draws them, whatever was trained before; then as many steps as two epochs have batches.
        assert all((a == b).all() for a, b in zip(fit.before, fits[0].before, strict=True))
        assert not any((a == b).all() for a, b in zip(fit.before, fit.after, strict=True))
        assert int(fit.model.optimizer.iterations) == 2 * -(-len(fit.data.train) // 16)


def changed_from(series, row):
    values = series.y[:, 0].copy()
    values[row:] = 3 * values[row:] + 50
    return monthly(values)


def alike(some, others):
    return all((a == b).all() for a, b in zip(some, others, strict=True))


@pytest.mark.parametrize(("part", "same"), [("stop", True), ("validation", False)])
def test_no_value_after_what_a_fold_knows_moves_what_it_learns(series, refitted_run, part, same):
    comparison, fits = refitted_run
    # The last training row is changed too where weights are expected to move.
    row = getattr(comparison.folds[0], part).item() - (not same)
    # What the validation part chooses may change with it.
    settings = settled(Settings(**SMALL, **REFITTED), comparison.data.choice)
    with watching() as trained:
        jobs.train_cell("gru", make_backtest(changed_from(series, row), settings).trainings[0], settings)
    (changed,) = trained
    assert alike(fits[0].after, changed.after) == same
    assert (fits[0].data.target_scaler.scale == changed.data.target_scaler.scale).all() == same
    which = np.arange(len(changed.data.train))
    assert alike(fits[0].data.train.gather(which), changed.data.train.gather(which)) == same


def test_no_value_from_the_first_target_on_moves_a_forecast(series, refitted, once):
    others = {"n_windows": 3, "cells": (), "baselines": tuple(BASELINES)}
    for before, plan in ((refitted, REFITTED), (once, {"n_windows": 3}), (compared(series, **others)[0], others)):
        after, _ = compared(changed_from(series, before.folds[1].test.item()), **plan)
        for row, other in zip(before.rows, after.rows, strict=True):
            assert (row.predictions[:, :2] == other.predictions[:, :2]).all(), row.name
            # The change is seen where it may be.
            if row.kind == "cell" or row.name == "Persistence":
                assert (row.predictions[:, 2] != other.predictions[:, 2]).all()


def test_same_seed_same_table(series, refitted):
    again, _ = compared(series, **REFITTED)
    pd.testing.assert_frame_equal(again.predictions, refitted.predictions, check_exact=True)
    timed = ["seconds_per_epoch_and_seed", "first_epoch_seconds"]
    pd.testing.assert_frame_equal(again.table.drop(columns=timed), refitted.table.drop(columns=timed), check_exact=True)


def test_without_refit_models_are_trained_once_as_without_a_backtest(series):
    # All rows of the test part, one by one, are the windows of a plain comparison one step ahead.
    plan = {"horizon": 1, "cells": ("rnn",)}
    plain, _ = compared(series, **plan)
    folds, fits = compared(series, **plan, n_windows=len(plain.data.test), step_size=1)
    assert len(fits) == len(folds.trainings) == 1
    pd.testing.assert_frame_equal(plain.predictions, folds.predictions, check_exact=True)
    pd.testing.assert_frame_equal(plain.table[["model", "mae", "mase"]], folds.table[["model", "mae", "mase"]])


# --------------------------------------------------------------------------------------------------------------------
# One comparison of all folds.


def test_forecasts_stand_in_the_order_of_time(refitted, series):
    frame = refitted.predictions
    firsts = [89, 91, 93]
    rows = np.concatenate([np.arange(first, first + 3) for first in firsts])
    assert frame["ds"].tolist() == series.index[rows].tolist()
    assert frame["cutoff"].tolist() == series.index[np.repeat(firsts, 3) - 1].tolist()
    assert frame["y"].tolist() == series.y[rows, 0].tolist()
    assert sum(row.kind == "baseline" for row in refitted.rows) == len(SMALL["baselines"])
    for row in refitted.rows:
        assert row.predictions.shape == (2 if row.kind == "cell" else 1, 3, 3, 1)
    assert frame["Persistence"].tolist() == np.repeat(series.y[np.array(firsts) - 1, 0], 3).tolist()


def test_baselines_learn_what_the_networks_learn(refitted, once, series):
    for comparison, stops in ((refitted, (88, 90, 92)), (once, (87, 87, 87))):
        (row,) = (row for row in comparison.rows if row.name == "Climatology + last anomaly")
        for window, (fold, stop) in enumerate(zip(comparison.folds, stops, strict=True)):
            known = series.y[:stop, 0]
            means = np.array([known[phase::12].mean() for phase in range(12)])
            rows = np.arange(fold.test.item(), fold.end.item())
            last = rows[0] - 1
            expected = means[rows % 12] + series.y[last, 0] - means[last % 12]
            np.testing.assert_allclose(row.predictions[0, window, :, 0], expected, rtol=1e-12)


def test_errors_by_fold(refitted, once):
    for comparison in (refitted, once):
        folds, table = comparison.by_fold, comparison.table.set_index("model")
        assert folds["fold"].tolist() == [1, 2, 3] * len(comparison.rows)
        assert folds["cutoff"].tolist() == comparison.data.test_cutoffs.tolist() * len(comparison.rows)
        for row in comparison.rows:
            errors = np.abs(row.predictions - comparison.data.test_y).mean(axis=(2, 3))
            own = folds[folds["model"] == row.name]
            np.testing.assert_allclose(own["mae"], errors.mean(axis=0))
            # Folds are of equal size.
            for name in ("mae", "bias", "mase"):
                assert own[name].mean() == pytest.approx(table.loc[row.name, name])
            if row.kind == "cell":
                np.testing.assert_allclose(own["mae_std"], errors.std(axis=0, ddof=1))


def test_scaled_errors_have_one_scale_that_the_first_fold_knows(refitted, series):
    known = series.y[: refitted.folds[0].stop.item(), 0]
    scale = np.abs(known[12:] - known[:-12]).mean()
    np.testing.assert_allclose(refitted.table["mase"], refitted.table["mae"] / scale)
    np.testing.assert_allclose(refitted.by_fold["mase"], refitted.by_fold["mae"] / scale)


def test_intervals_are_of_each_folds_own_validation_errors(refitted):
    row = next(row for row in refitted.rows if row.name == "GRU x2 mean")
    band, begin = refitted.intervals(row)[80], 0
    for window, data in enumerate(refitted.trainings):
        end = begin + len(data.validation)
        missed = row.validation[:, begin:end] - data.series.y[data.validation.target_rows]
        own = intervals(row.predictions[:, [window]], missed, [80])[80]
        np.testing.assert_allclose(band.lo[:, [window]], own.lo, rtol=1e-12)
        np.testing.assert_allclose(band.hi[:, [window]], own.hi, rtol=1e-12)
        begin = end
    assert begin == row.validation.shape[1]
    widths = (band.hi - band.lo)[0, :, 0, 0]
    assert len(set(widths.tolist())) > 1
    line = refitted.table.set_index("model").loc["GRU x2 mean"]
    inside = (band.lo <= refitted.data.test_y) & (refitted.data.test_y <= band.hi)
    assert line["coverage_80"] == pytest.approx(100 * inside.mean())
    assert line["width_80"] == pytest.approx((band.hi - band.lo).mean())


def test_a_level_that_one_fold_cannot_give_is_left_out(series):
    # Validation parts of 9 to 15 rows hold 7 to 13 windows of 3 steps: 9 are needed for 90 %, 4 for 80 %.
    comparison = compare(series, **FEW, n_windows=3, step_size=18, refit=True, levels=(80, 90))
    assert [len(data.validation) for data in comparison.trainings] == [7, 9, 12]
    assert list(comparison.intervals(comparison.rows[0])) == [80]
    assert any(text.startswith("No 90 % intervals: 7 validation errors") for text in comparison.cautions)


def test_evidence_knows_how_far_apart_windows_are(refitted, once, series):
    assert refitted.evidence.step_size == 2
    assert once.evidence.step_size == 3
    assert Comparison(cut_windows(series, Settings(transform="none"))).evidence.step_size == 1
    assert once.evidence.low.shape == (3, 1, 1)
    lows = [series.y[: fold.validation.item()].min() for fold in refitted.folds]
    assert refitted.evidence.low.ravel().tolist() == lows
    last = series.y[[fold.test.item() - 1 for fold in refitted.folds]]
    assert (refitted.evidence.last == last).all()


def test_windows_whole_seasons_apart_are_not_asked_whether_they_follow_the_last_value():
    # Persistence is exactly that, and of noise it leaves twice as much as the mean does; as a cell it would be told so
    # of windows that follow one another.
    noise = monthly(10 + np.random.default_rng(0).normal(size=120))
    plan = {**FEW, "horizon": 1, "baselines": ("persistence",)}
    for step_size, n_windows, season, told in ((1, 30, 0, True), (2, 30, 0, True), (2, 30, 2, False), (1, 9, 0, False)):
        comparison = compare(noise, **plan | {"n_windows": n_windows, "step_size": step_size, "season": season})
        comparison.add(replace(comparison.rows[0], name="GRU", kind="cell", seeds=(0,)))
        assert any("Forecasts that follow the last value: GRU" in text for text in comparison.cautions) == told


def test_values_outside_a_folds_own_training_range_are_told(series):
    values = series.y[:, 0].copy()
    # One training part ends before the jump, the next one holds it.
    values[60:] += 30
    comparison = compare(monthly(values), **FEW, n_windows=2, step_size=24, refit=True)
    assert comparison.folds[0].validation < 60 < comparison.folds[1].validation
    assert any(
        "1 of 2 test windows hold values outside the training range of their fold" in t for t in comparison.cautions
    )


def test_learning_curves_of_each_fold(refitted, once):
    history = refitted.history
    assert list(history) == ["model", "fold", "seed", "epoch", "loss", "val_loss"]
    keys = history[["model", "fold", "seed", "epoch"]].to_numpy().tolist()
    assert keys == [["GRU", fold, seed, epoch] for fold in (1, 2, 3) for seed in (0, 1) for epoch in (1, 2)]
    assert np.isfinite(history["loss"]).all()
    assert history["loss"].nunique() == len(history)
    assert "fold" not in once.history
    assert plot_history(refitted).axes[0].get_title(loc="left") == "GRU, 2 seeds, 3 folds"
    assert "GRU with 6 of 6 trainings (limit 2)" in " ".join(refitted.cautions)
    assert "GRU with 2 of 2 seeds (limit 2)" in " ".join(once.cautions)


def test_a_seed_that_diverged_in_one_fold_is_left_out(refitted, series):
    settings = Settings(**SMALL, **REFITTED)
    backtest = make_backtest(series, settings)
    comparison = Comparison(backtest.data, settings, backtest)
    rows = [
        ModelResult(
            "GRU",
            np.stack([data.test_y, data.test_y + 1, data.test_y + 2]),
            seeds=(4, 5, 6),
            diverged=(5,) if fold == 1 else (),
            validation=np.zeros((3, len(data.validation), 3, 1)),
        )
        for fold, data in enumerate(backtest.trainings)
    ]
    comparison.add(join_folds(rows))
    assert comparison.rows[0].diverged == (5,)
    assert comparison.table.loc[0, ["seeds", "diverged", "mae"]].tolist() == [2, 1, 1.0]
    assert comparison.predictions["GRU (seed 5)"].isna().all()


def test_forecasts_of_too_few_validation_windows_are_refused(refitted):
    row = refitted.rows[-1]
    short = replace(row, validation=row.validation[:, :-1])
    with pytest.raises(ConfigError, match=r"windows of the validation part"):
        refitted.add(short)


def test_a_baseline_that_chose_differently_is_named_by_all_that_it_chose():
    def named(*names):
        return join_folds([ModelResult(name, np.zeros((1, 1, 1, 1)), kind="baseline") for name in names]).name

    assert named("AR(12)", "AR(12)") == "AR(12)"
    assert named("Climatology + AR(12)", "Climatology + AR(2)", "Climatology + AR(12)") == "Climatology + AR(2 or 12)"
    assert named("ETS(A,N,A)", "ETS") == "ETS(mixed or A,N,A)"


def test_a_baseline_that_the_first_fold_does_not_allow_is_left_out_of_all(series):
    comparison = compare(
        series, **{**SMALL, "season": 0, "cells": (), "baselines": None}, n_windows=2, step_size=66, refit=True
    )
    # Two seasons take 24 rows before the validation part; the second fold has 79.
    assert [row.name for row in comparison.rows][:2] == ["Persistence", "AR(4)"]
    assert any("seasonal-naive, climatology" in text and "23 training rows" in text for text in comparison.cautions)


def test_without_a_validation_part(series):
    comparison = compare(series, **SMALL, n_windows=2, refit=True, validation=0)
    assert all(row.validation is None for row in comparison.rows)
    assert comparison.history["val_loss"].isna().all()
    assert all("validation" not in fold for fold in comparison.record["folds"])


# --------------------------------------------------------------------------------------------------------------------
# Files, pictures, words.


def test_files_of_a_backtest(refitted, series, tmp_path):
    names = [path.name for path in refitted.write(tmp_path)]
    assert names[2:5] == ["horizon.csv", "folds.csv", "predictions.csv"]
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "folds.csv", parse_dates=["cutoff"]), refitted.by_fold, check_dtype=False
    )
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["split"] is None
    assert len(record["folds"]) == 3
    last = record["folds"][2]
    assert last["cutoff"] == str(series.index[92])
    # 92 rows are learnt from, the last 14 of them to stop by; one is the gap.
    assert last["training"] == {"start": 0, "stop": 78, "first": str(series.index[0]), "last": str(series.index[77])}
    assert (last["validation"]["start"], last["validation"]["stop"]) == (78, 92)
    assert (last["targets"]["start"], last["targets"]["stop"]) == (93, 96)
    assert last["targets"]["last"] == str(series.index[-1])
    assert record["series"]["sha256"] == series.fingerprint
    one = compare(series, **FEW, n_windows=1)
    assert "folds.csv" not in [path.name for path in one.write(tmp_path)]
    assert not (tmp_path / "folds.csv").exists()
    assert one.record["folds"][0]["targets"]["start"] == 93
    assert compare(series, **FEW).by_fold.empty


def test_words_say_how_often_models_were_trained(refitted, once, series):
    assert "folds of a backtest; all models were trained anew for each" in " ".join(words(refitted).split())
    assert "all models were trained once, on what comes before the first" in " ".join(words(once).split())
    assert "backtest" not in words(compare(series, **FEW))


def drawn(comparison, name):
    axes = plot_predictions(comparison).axes[0]
    (line,) = (line for line in axes.get_lines() if line.get_label() == name)
    return axes.get_title(loc="left"), line


def test_folds_apart_are_lines_of_their_own(once, series):
    title, line = drawn(once, "GRU")
    assert title == "series: 3 folds of 3 steps"
    shown = once.rows[-2].predictions.mean(axis=0)[..., 0]
    expected = np.concatenate([np.append(window, np.nan) for window in shown])
    np.testing.assert_allclose(line.get_ydata(), expected)
    # What happened is one line, from as many rows before as a forecast has.
    _, actual = drawn(once, "actual")
    assert actual.get_ydata().tolist() == series.y[84:, 0].tolist()


def test_overlapping_folds_are_drawn_at_their_first_step(refitted):
    title, line = drawn(refitted, "GRU")
    assert title.endswith("3 test points, first of 3 steps ahead")
    shown = next(row for row in refitted.rows if row.name == "GRU").predictions.mean(axis=0)[:, 0, 0]
    np.testing.assert_allclose(line.get_ydata(), shown)
    assert line.get_marker() == "."


def test_a_single_point_can_be_seen(series):
    comparison = compare(series, **{**FEW, "horizon": 1}, n_windows=1)
    title, line = drawn(comparison, "Persistence")
    assert title.endswith("1 test point, one step ahead")
    assert line.get_marker() == "."
    assert "1 test window." in words(comparison)


# --------------------------------------------------------------------------------------------------------------------
# Wrong input, one line each.


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"n_windows": -1}, "received n_windows -1, expected a whole number from 0"),
        ({"n_windows": 2.0}, r"received n_windows 2\.0, expected a whole number from 0"),
        ({"n_windows": 2, "step_size": 0}, "received step_size 0, expected a whole number from 1"),
        ({"n_windows": 2, "step_size": -3}, "received step_size -3, expected a whole number from 1"),
        ({"n_windows": 2, "gap": -1}, "received gap -1, expected a whole number from 0"),
        ({"n_windows": 2, "train_size": 0}, "received train_size 0, expected a whole number from 1"),
        ({"refit": True}, "received refit without n_windows, expected them with a backtest"),
        ({"gap": 1, "step_size": 2}, "received step_size, gap without n_windows"),
        ({"n_windows": 2, "test": 0.3}, r"received test 0\.3 and n_windows 2, expected one of them"),
    ],
)
def test_settings_refuse(options, expected):
    with pytest.raises(ConfigError, match=expected):
        Settings(**options)


def test_too_many_windows_for_the_series(series):
    with pytest.raises(DataError, match="received a series of 96 rows, expected at least 313 for 100 windows"):
        compare(series, lookback=4, horizon=3, n_windows=100, validation=0.5)
    with pytest.raises(DataError, match="received a train size of 10 rows, expected at least 18 for lookback 12"):
        compare(series, horizon=3, n_windows=2, train_size=10)
    with pytest.raises(ConfigError, match="received validation -1, expected"):
        compare(series, n_windows=2, validation=-1)
    long = compare(series, n_windows=2, season=48, cells=(), baselines=("climatology", "persistence"))
    assert any("fewer than two seasons of 48" in caution for caution in long.cautions)


QUICK = ["compare", "--data", "nino12", "--epochs", "1", "--seeds", "1", "--units", "2", "--cells", "rnn"]


def test_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    plan = ["--horizon", "6", "--n-windows", "2", "--step-size", "4", "--refit", "--gap", "2", "--train-size", "200"]
    assert main([*QUICK, "--baselines", "persistence", *plan, "--out", "run"]) == 0
    assert "folds.csv" in capsys.readouterr().out
    settings = json.loads((tmp_path / "run/run.json").read_text())["settings"]
    assert [settings[name] for name in ("n_windows", "step_size", "refit", "gap", "train_size")] == [2, 4, True, 2, 200]
    frame = pd.read_csv(tmp_path / "run/predictions.csv")
    assert frame["cutoff"].unique().tolist() == ["2010-02-01", "2010-06-01"]
    assert frame["ds"].iloc[-1] == "2010-12-01"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--n-windows", "3", "--test-share", "0.2"], "received --n-windows and --test-share, expected one of them"),
        (["--n-windows", "-1"], "received -1, expected a whole number from 0"),
        (["--n-windows", "3", "--step-size", "0"], "received 0, expected a whole number from 1"),
        (["--n-windows", "3", "--gap", "-2"], "received -2, expected a whole number from 0"),
        (["--refit"], "received --refit without --n-windows"),
        (["--n-windows", "900"], "expected at least "),
        (["--n-windows", "3", "--train-size", "12"], "received a train size of 12 rows, expected at least "),
    ],
)
def test_command_line_refuses(options, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*QUICK, *options]) == 2
    told = capsys.readouterr().err
    assert expected in told
    assert len(told.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
