"""Rolling origins of many series, everything trained anew for each."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kseq import DataError, Settings, compare, panel_from_frame
from kseq.comparison import jobs
from kseq.comparison.backtest import cut_windows, make_backtest
from kseq.data.slices import before
from kseq.evaluation.intervals import intervals
from kseq.report.plot import plot_predictions
from kseq.report.table import render

pytestmark = pytest.mark.above_backends

#: The third series is long enough for the later folds alone, the last one for none.
LENGTHS = (60, 72, 13, 48, 9)

PLAN = {"lookback": 4, "horizon": 2, "n_windows": 3, "step_size": 3, "refit": True, "gap": 1, "season": 6}
SMALL = {
    "cells": ("gru",), "units": 3, "seeds": (0, 1), "training": {"epochs": 2, "learning_rate": 0.01},
    "baselines": ("persistence", "climatology", "ar"), "transform": "anomaly,trend,change",
    "refit_on_validation": False, **PLAN,
}  # fmt: skip


#: Models of one step are trained on windows of their own, cut out of each fold.
RECURSIVE = {"strategy": "recursive", "transform": "difference", "features": ()}


def basins(lengths=LENGTHS, **columns):
    """Series that end on different days, each ten times as large as the one before."""
    parts = []
    for number, rows in enumerate(lengths):
        rng = np.random.default_rng(number)
        y = (20 + np.sin(np.arange(rows) * np.pi / 3) + 0.05 * np.arange(rows) + rng.normal(size=rows)) * 10**number
        days = pd.date_range(f"2001-01-{1 + 5 * number}", periods=rows)
        parts.append(pd.DataFrame({"unique_id": f"b{number}", "ds": days, "y": y, "wind": rng.normal(size=rows)}))
    return pd.concat(parts, ignore_index=True).assign(**columns)


def panel_of(frame=None):
    return panel_from_frame(basins() if frame is None else frame, target="y", features=["wind"])


@pytest.fixture(scope="module")
def panel():
    return panel_of()


@pytest.fixture(scope="module")
def run(panel):
    return compare(panel, **{**SMALL, "validation": 0.3, "levels": (50,)})


def cut_off(frame, rows):
    """The frame without the last rows of each series."""
    return frame[frame.groupby("unique_id").cumcount(ascending=False) >= rows]


def test_all_folds_hold_the_series_that_are_long_enough_for_the_first(run):
    backtest = run.backtest
    assert backtest.data.series.ids[backtest.members].tolist() == ["b0", "b1", "b3"]
    assert [fold.series.ids.tolist() for fold in backtest.trainings] == [["b0", "b1", "b3"]] * 3
    note = "2 of 5 series are too short for lookback 4 and horizon 2, and are left out (first: 'b2', 13 rows)."
    assert note in run.cautions
    assert run.data.series.ids[np.unique(run.data.test.series)].tolist() == ["b0", "b1", "b3"]


def test_rows_of_each_fold_by_hand(run):
    firsts = run.data.series.borders[[0, 1, 3]]
    for number, fold in enumerate(run.folds):
        ends = firsts + np.array([60, 72, 48]) - 3 * (2 - number)
        for rows, expected in ((fold.end, ends), (fold.test, ends - 2), (fold.stop, ends - 3), (fold.start, firsts)):
            assert rows[run.backtest.members].tolist() == expected.tolist()
        learnt = ends - 3 - firsts
        assert (fold.validation[run.backtest.members] == ends - 3 - np.rint(0.3 * learnt)).all()
    sized = make_backtest(run.data.series, replace(run.settings, train_size=30)).folds[1]
    assert (sized.stop - sized.start)[run.backtest.members].tolist() == [30, 30, 30]
    once = make_backtest(run.data.series, replace(run.settings, refit=False))
    assert len(once.trainings) == 1
    assert all((fold.validation == once.folds[0].validation).all() for fold in once.folds)
    assert (once.folds[2].test == run.folds[2].test)[run.backtest.members].all()


@pytest.mark.parametrize("plan", [{}, {"train_size": 30, "transform": "last,spread", "validation": 0.2}, RECURSIVE])
def test_a_fold_is_a_training_of_its_own_on_the_panel_as_it_was(panel, plan):
    """To the digit, and with nothing of the rows that follow."""
    plan = dict(plan)
    features = plan.pop("features", ["wind"])
    together = compare(
        replace(panel, features=tuple(features), values=panel.values[:, : 1 + len(features)]), **{**SMALL, **plan}
    )
    alone = {**SMALL, **plan, "n_windows": 1, "step_size": None, "refit": False}
    kept = basins()[lambda frame: frame["unique_id"].isin(["b0", "b1", "b3"])]
    for number in range(3):
        fold = compare(panel_from_frame(cut_off(kept, 3 * (2 - number)), target="y", features=features), **alone)
        which = together.backtest.numbers == number
        assert which.sum() == 3
        dates = together.data.test_cutoffs[which]
        assert dates.equals(fold.data.test_cutoffs)
        assert [row.name for row in together.rows] == [row.name for row in fold.rows]
        for ours, theirs in zip(together.rows, fold.rows, strict=True):
            assert (ours.predictions[:, which] == theirs.predictions).all(), ours.name
            if ours.kind == "cell":
                assert ours.epochs[2 * number : 2 * number + 2] == theirs.epochs


def test_every_fold_starts_from_fresh_weights_and_optimizer(panel, monkeypatch):
    fits, fit = [], jobs.fit

    def watched(model, data, training, seeds, callbacks=(), *rest):
        assert getattr(model, "optimizer", None) is None
        fits.append((model, [weight.copy() for weight in model.get_weights()], list(callbacks), data))
        return fit(model, data, training, seeds, callbacks, *rest)

    monkeypatch.setattr(jobs, "fit", watched)
    compare(panel, **{**SMALL, "baselines": ()})
    assert len(fits) == 3
    first = fits[0]
    for model, weights, callbacks, data in fits[1:]:
        assert model is not first[0]
        assert all((one == other).all() for one, other in zip(weights, first[1], strict=True))
        assert not {id(callback) for callback in callbacks} & {id(callback) for callback in first[2]}
        assert (data.target_scaler.scale != first[3].target_scaler.scale).all()
        assert (data.transform.steps[1].slope != first[3].transform.steps[1].slope).all()


@pytest.mark.parametrize("number", [0, 1])
def test_values_after_the_cutoff_of_a_fold_change_nothing_of_it(panel, run, number):
    fold = run.folds[number]
    rows = np.arange(len(panel))
    later = rows >= fold.test[panel.series_of(rows)]
    values = panel.values.copy()
    values[later] = values[later] * 3 + 1000 + rows[later, None] % 7
    changed = compare(replace(panel, values=values), run.settings)
    which = run.backtest.numbers <= number
    seen = sum(len(data.validation) for data in run.trainings[: number + 1])
    for ours, theirs in zip(run.rows, changed.rows, strict=True):
        assert (ours.predictions[:, which] == theirs.predictions[:, which]).all()
        assert (ours.validation[:, :seen] == theirs.validation[:, :seen]).all()
        assert (ours.predictions[:, ~which] != theirs.predictions[:, ~which]).any()


@pytest.mark.parametrize("refit", [True, False])
def test_rows_before_those_that_are_learnt_from_change_nothing(panel, refit):
    plan = {**SMALL, "cells": (), "train_size": 30, "transform": "auto", "refit": refit}
    plain = compare(panel, **plan)
    rows = np.arange(len(panel))
    early = rows < plain.folds[0].start[panel.series_of(rows)]
    values = panel.values.copy()
    # Small and without noise: a line that would be taken for one without a level. No zero, of which there is no
    # logarithm wherever it stands.
    values[early] = 1 + rows[early, None]
    changed = compare(replace(panel, values=values), **plan)
    assert [data.transform.label for data in plain.trainings] == [data.transform.label for data in changed.trainings]
    for ours, theirs in zip(plain.rows, changed.rows, strict=True):
        assert (ours.predictions == theirs.predictions).all()


def test_tables_and_files_are_of_all_folds(run, tmp_path):
    table, folds, series = run.table.set_index("model"), run.by_fold, run.by_series
    assert folds["fold"].tolist() == [1, 2, 3] * len(run.rows)
    assert folds["windows"].eq(3).all()
    # Every fold has a window of each series: the mean over folds is that over series.
    for metric in ("mae", "mase", "bias"):
        by_model = folds.groupby("model")[metric].mean()
        np.testing.assert_allclose(by_model[table.index], table[metric], rtol=1e-9)
    assert series["windows"].eq(3).all()
    first = folds.iloc[0]
    assert (str(first["cutoff"].date()), str(first["last_cutoff"].date())) == ("2001-02-21", "2001-03-10")
    forecasts = run.predictions
    assert forecasts.groupby("unique_id")["cutoff"].apply(lambda cutoffs: cutoffs.is_monotonic_increasing).all()
    truth = run.data.series.y[run.data.test.target_rows[:, 0], 0]
    assert (forecasts["y"].to_numpy()[::2] == truth).all()
    record = run.record
    assert [fold["windows"] for fold in record["folds"]] == [3, 3, 3]
    assert record["folds"][0]["training"]["first"].startswith("2001-01-01")
    assert record["windows"]["test"] == 9
    assert {"folds.csv", "series.csv", "history.csv", "run.json"} <= {file.name for file in run.write(tmp_path)}
    assert set(run.history["fold"]) == {1, 2, 3}
    assert "all models were trained anew for each" in render(run)
    assert len(plot_predictions(run).axes) == 3


def test_a_backtest_that_trains_once_has_folds_too(panel):
    once = compare(panel, **{**SMALL, "cells": (), "refit": False})
    assert once.by_fold["fold"].tolist() == [1, 2, 3] * len(once.rows)
    assert len(once.record["folds"]) == 3
    assert "all models were trained once, on what comes before the first" in " ".join(render(once).split())


def test_intervals_of_a_fold_are_by_what_its_models_missed(run):
    row = next(row for row in run.rows if row.kind == "cell")
    band = run.intervals(row)[50]
    first = 0
    for number, data in enumerate(run.trainings):
        which = run.backtest.numbers == number
        seen = row.validation[:, first : first + len(data.validation)]
        first += len(data.validation)
        missed = (seen - data.series.y[data.validation.target_rows]) / data.unit[data.validation.series, None]
        unit = data.unit[:, None]
        expected = intervals(row.predictions[:, which] / unit, missed, [50])[50]
        np.testing.assert_allclose(band.lo[:, which], expected.lo * unit)
        np.testing.assert_allclose(band.hi[:, which], expected.hi * unit)
    assert first == row.validation.shape[1]


def test_evidence_knows_the_range_that_each_fold_has_learnt_from(run):
    low, high = run.evidence.low, run.evidence.high
    for window, (series, number) in enumerate(zip(run.data.test.series, run.backtest.numbers, strict=True)):
        fold = run.folds[number]
        learnt = run.data.series.y[fold.start[series] : fold.validation[series]]
        assert (low[window], high[window]) == (learnt.min(axis=0), learnt.max(axis=0))
    assert run.evidence.step_size == 3


def test_windows_across_missing_dates_are_left_out_of_their_fold():
    # The last day before the targets of the second fold of the first series.
    frame = basins((60, 72)).drop(index=54)
    result = compare(panel_of(frame), **{**SMALL, "cells": (), "gap": 0, "transform": "none"})
    counts = [int((result.backtest.numbers == number).sum()) for number in range(3)]
    assert counts == [2, 1, 1]
    assert result.by_fold.groupby("fold")["windows"].first().tolist() == counts


def test_a_baseline_that_a_fold_does_not_allow_to_a_series_is_told_with_the_fold():
    plan = {**SMALL, "cells": (), "season": 12, "transform": "none", "baselines": ("climatology",)}
    remarks = compare(panel_of(basins((60, 35))), **{**plan, "n_windows": 4}).cautions
    (note,) = [remark for remark in remarks if "persistence in its place" in remark]
    assert note.startswith("In fold 1 of 4, and likewise in 1 more: Climatology")
    assert "for 1 of 2 series (first: 'b1', " in note


def test_series_that_are_all_too_short_are_refused():
    with pytest.raises(DataError, match=r"received 2 series of 60 rows at most, .* or raise train_size"):
        make_backtest(panel_of(basins((60, 42))), Settings(**{**PLAN, "train_size": 6}))
    with pytest.raises(DataError, match="lower n_windows"):
        make_backtest(panel_of(basins((60, 42))), Settings(**{**PLAN, "n_windows": 30}))


def test_a_fold_without_any_whole_window_is_told():
    frame = basins((60, 60)).drop(index=[54, 114])
    with pytest.raises(DataError, match=r"[0-9] of 3 test windows lie across missing dates or values, expected none"):
        compare(panel_of(frame), **{**SMALL, "cells": (), "gap": 0, "transform": "none"})


def test_what_is_known_ahead_is_read_as_one_window_would_read_it():
    frame = basins((60, 72), price=np.arange(132) % 5 * 1.0)
    panel = panel_from_frame(frame, target="y", future=["price"])
    settings = Settings(**{**PLAN, "transform": "none"})
    trainings = make_backtest(panel, settings).trainings
    one = replace(settings, n_windows=1, step_size=None, refit=False)
    x, _ = cut_windows(before(panel, panel.ends - 3), one).test.gather(np.arange(2))
    assert (trainings[1].test.gather(np.arange(2))[0] == x).all()
    assert np.isfinite(x).all()
