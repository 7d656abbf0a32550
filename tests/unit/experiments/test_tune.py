import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from kseq import ConfigError, DataError, Settings, compare, from_frame, make_windows, panel_from_frame, tune
from kseq.comparison.backtest import cut_windows
from kseq.comparison.jobs import train_cell
from kseq.comparison.row_windows import with_lookback
from kseq.comparison.scores import Scores, of_validation
from kseq.data import Panel
from kseq.experiments._audit_run import perturbed
from kseq.experiments._study import Pruning
from kseq.experiments._trial import Trial, run_trial
from kseq.experiments.agreement import Agreement
from kseq.experiments.reproduce import Recorded
from kseq.experiments.tune import Space
from kseq.preprocessing.splits import Split
from kseq.report.table import render, shown_table
from kseq.storage import plain

pytestmark = pytest.mark.above_backends

SPACE = Space(
    units=(2, 4),
    num_layers=(1, 2),
    lookback=(3, 6),
    learning_rate=(0.001, 0.03),
    dropout=(0.0, 0.3),
    weight_decay=(0.0,),
)
QUICK = {
    "cells": ("rnn", "gru"), "seeds": (0, 1), "baselines": ("persistence", "ar"), "training": {"epochs": 2},
    "transform": "none", "refit_on_validation": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def series():
    generator = np.random.default_rng(0)
    y = np.sin(np.arange(120) / 3) + generator.normal(size=120) / 10
    return from_frame(pd.DataFrame({"y": y}), target="y", name="waves")


@pytest.fixture(scope="module")
def tuned(series):
    return tune(series, trials=4, trial_seeds=2, space=SPACE, **QUICK)


def of_rnn(tuned):
    return tuned.tuning[tuned.tuning["model"] == "SimpleRNN"]


def without_transform(options):
    return {name: value for name, value in options.items() if name != "transform"}


def timeless(frame):
    return frame.drop(columns="seconds")


def test_every_cell_has_as_many_trials_of_different_settings(tuned):
    frame = tuned.tuning
    assert frame.groupby("model", sort=False)["trial"].apply(list).to_dict() == {
        "SimpleRNN": [1, 2, 3, 4], "GRU": [1, 2, 3, 4],
    }  # fmt: skip
    assert not frame.duplicated(["model", *SPACE.values]).any()
    assert (frame["epochs"] == 2).all()
    # What is drawn first is the same for every cell.
    first = frame[frame["trial"] == 1][list(SPACE.values)]
    assert (first.iloc[0] == first.iloc[1]).all()
    assert (frame["dropout"][frame["num_layers"] == 1] == 0).all()


def test_the_best_trial_is_what_is_compared(tuned):
    frame, settings = tuned.tuning, tuned.settings
    for cell, name in (("rnn", "SimpleRNN"), ("gru", "GRU")):
        trials = frame[frame["model"] == name]
        best = trials.loc[trials["mae"].idxmin()]
        assert trials["chosen"].tolist() == (trials["mae"] == trials["mae"].min()).tolist()
        assert settings.by_cell[cell] == {setting: best[setting] for setting in SPACE.values}
        line = tuned.table.set_index("model").loc[name]
        assert line["parameters"] == best["parameters"]
        assert line["trials"] == 4
        assert [line["lookback"], line["learning_rate"]] == [best["lookback"], best["learning_rate"]]
        assert set(line["units"].split(",")) == {str(best["units"])}
    assert settings.lookback == 6
    assert tuned.search.seeds == (2, 3)


def test_a_trial_is_scored_by_its_own_training(series, tuned):
    line = tuned.tuning.iloc[1]
    data = cut_windows(series, Settings(lookback=6, transform="none"))
    own = {setting: int(line[setting]) for setting in ("units", "num_layers", "lookback")}
    own |= {setting: float(line[setting]) for setting in ("learning_rate", "dropout", "weight_decay")}
    row = train_cell("rnn", data, Settings(**QUICK | {"seeds": (2, 3)}, lookback=6, by_cell={"rnn": own}))
    y = series.y[data.validation.target_rows]
    # The same training, without a test part of its own.
    np.testing.assert_allclose(np.abs(row.validation - y).mean(), line["mae"], rtol=1e-6)


def test_the_tuned_comparison_is_that_of_its_settings(series, tuned):
    again = compare(series, tuned.settings)
    for row, other in zip(tuned.rows, again.rows, strict=True):
        np.testing.assert_array_equal(row.predictions, other.predictions)


def test_no_test_row_moves_a_trial(series, tuned):
    split = Split.by_fraction(Panel.of(series), Settings().test, Settings().validation)
    one = QUICK | {"cells": ("rnn",)}
    other = tune(perturbed(series, split.test), trials=4, trial_seeds=2, space=SPACE, **one)
    pd.testing.assert_frame_equal(timeless(other.tuning), timeless(of_rnn(tuned)), check_exact=True)
    assert other.table["mae"].iloc[0] != tuned.table["mae"].iloc[0]
    # The last validation row does move them: the test would see it.
    moved = tune(perturbed(series, split.test - 1), trials=1, trial_seeds=2, space=SPACE, **one)
    assert moved.tuning["mae"].iloc[0] != tuned.tuning["mae"].iloc[0]


def test_the_same_seed_gives_the_same_trials_and_table(series, tuned):
    # Whichever other cells there are.
    again = tune(series, trials=4, trial_seeds=2, space=SPACE, **QUICK | {"cells": ("rnn",)})
    pd.testing.assert_frame_equal(timeless(again.tuning), timeless(of_rnn(tuned)), check_exact=True)
    columns = ["model", "parameters", "units", "lookback", "trials", "mae", "mae_std", "rmse", "epochs"]
    pd.testing.assert_frame_equal(again.table[columns][:3], tuned.table[columns][:3], check_exact=True)
    assert again.table["model"].tolist()[:3] == ["Persistence", "AR(6)", "SimpleRNN"]


def test_in_a_backtest_trials_see_the_first_fold_alone(series):
    plan = QUICK | {"cells": ("rnn",), "n_windows": 3, "step_size": 10}
    small = replace(SPACE, units=(2,), dropout=(0.0,))
    before = tune(series, trials=2, trial_seeds=1, space=small, **plan)
    assert len(before.folds) == 3
    changed = tune(perturbed(series, before.folds[0].test), trials=2, trial_seeds=1, space=small, **plan)
    pd.testing.assert_frame_equal(timeless(changed.tuning), timeless(before.tuning), check_exact=True)


def test_the_record_holds_all_and_is_repeated(tuned, tmp_path):
    record = plain(tuned.record)["tuning"]
    assert record["trials"] == 4
    assert record["seeds"] == [2, 3]
    assert record["chosen"] == plain(tuned.settings.by_cell)
    assert record["space"]["units"] == [2, 4]
    assert len(record["all"]) == 8
    files = {path.name for path in tuned.write(tmp_path)}
    assert "tuning.csv" in files
    written = pd.read_csv(tmp_path / "tuning.csv")
    # What pandas reads may be off by the last bit.
    pd.testing.assert_frame_equal(written, tuned.tuning, rtol=1e-14)
    recorded = Recorded.read(tmp_path)
    assert Agreement(recorded, compare(tuned.data.series, recorded.settings)).identical
    assert json.loads((tmp_path / "run.json").read_text())["settings"]["by_cell"] == record["chosen"]


def test_words_name_the_trials_where_there_were_any(series, tuned):
    (sentence,) = [text for text in tuned.verdict if "tuned" in text]
    assert "with 4 trials for each cell" in sentence
    assert {"units", "layers", "lookback", "learning rate", "trials"} <= set(shown_table(tuned))
    plainly = compare(series, **QUICK)
    assert not [text for text in plainly.verdict if "tuned" in text]
    assert not {"trials", "lookback"} & set(plainly.table)
    assert plainly.tuning.empty
    assert plainly.record["tuning"] is None
    # Which lookback a series is not forecast well at cannot be said where each cell has its own.
    assert (plainly.evidence.lookback, tuned.evidence.lookback) == (12, 0)


def test_finished_trials_are_told_of_one_by_one(series):
    seen = []
    with pytest.raises(KeyboardInterrupt):
        tune(series, trials=3, trial_seeds=1, space=SPACE, told=lambda frame: stop_after(2, frame, seen), **QUICK)
    assert [len(frame) for frame in seen] == [1, 2]
    assert not seen[-1]["chosen"].any()


def stop_after(count, frame, seen):
    seen.append(frame)
    if len(frame) == count:
        raise KeyboardInterrupt


@pytest.mark.parametrize("lookback", [3, 5])
def test_a_shorter_lookback_reads_fewer_rows_before_the_same_targets(series, lookback):
    data = make_windows(series, lookback=5)
    short = with_lookback(data, lookback)
    for part in ("train", "validation", "test"):
        x, y = getattr(data, part).gather(np.arange(len(getattr(data, part))))
        own_x, own_y = getattr(short, part).gather(np.arange(len(getattr(short, part))))
        np.testing.assert_array_equal(own_x, x[:, 5 - lookback :])
        np.testing.assert_array_equal(own_y, y)


def test_a_shorter_lookback_needs_room_for_what_is_known_ahead():
    frame = pd.DataFrame({"y": np.arange(60.0) % 7, "price": np.arange(60.0)})
    data = make_windows(from_frame(frame, target="y", future=["price"], name="shop"), lookback=6, horizon=4)
    with pytest.raises(ConfigError, match=r"lookback 3, horizon 4 and future covariates \(price\)"):
        with_lookback(data, 3)
    assert with_lookback(data, 4).lookback == 4


def test_looking_at_errors_moves_no_training(series, tuned):
    """Of four trials the median pruner ends none; it has looked at each epoch of each."""
    watched = tune(series, trials=4, trial_seeds=2, space=SPACE, pruner="median", **QUICK | {"cells": ("rnn",)})
    assert not watched.tuning["pruned"].any()
    pd.testing.assert_frame_equal(timeless(watched.tuning).drop(columns="pruned"), timeless(of_rnn(tuned)))


def test_trials_that_are_behind_are_ended(series):
    """Learning rates that learn next to nothing are ended at the first rung, and are not chosen."""
    space = Space((4,), (1,), (3, 6), (1e-6, 3e-6, 1e-2, 3e-2), (0.0,), (0.0,))
    plan = QUICK | {"cells": ("rnn",), "training": {"epochs": 9, "patience": 0}, "skip": "none"}
    search = tune(series, trials=8, trial_seeds=1, space=space, pruner="halving", **plan).search
    ended = search.frame[search.frame["pruned"]]
    assert 0 < len(ended) < 8
    assert (ended["epochs"] < 9).all()
    assert ended["mae"].isna().all()
    assert (search.frame[~search.frame["pruned"]]["epochs"] == 9).all()
    assert search.chosen["rnn"]["learning_rate"] in (1e-2, 3e-2)
    assert search.record["pruner"] == "halving"


def test_a_pruner_looks_at_what_is_forecast(series):
    """In the series' units, whatever the transform and the strategy; the looks of a trial are its scores."""
    own = {"units": 2, "lookback": 3, "learning_rate": 0.01, "transform": "change"}
    for strategy in ("direct", "recursive"):
        settings = Settings(
            **QUICK | {"cells": ("rnn",), "training": {"epochs": 3, "patience": 0}}, lookback=6, horizon=2,
            by_cell={"rnn": own}, strategy=strategy,
        )  # fmt: skip
        cut = cut_windows(series, settings)
        outcome = run_trial(Trial("rnn", cut, settings, Pruning("median", 3)))
        assert list(outcome.errors) == [1, 2, 3]
        best = [
            run_trial(Trial("rnn", cut, replace(settings, training={"epochs": n, "patience": 0}))) for n in (1, 2, 3)
        ]
        assert outcome.errors[1] == pytest.approx(best[0].error, rel=1e-6)
        assert outcome.error == best[2].error


def test_trials_run_on_workers_as_here(series, tuned):
    """On as many threads as there are cells and trials at once; the order in which they end does not matter."""
    seen = Watching()
    with ThreadPoolExecutor(3) as pool:
        elsewhere = tune(series, trials=4, trial_seeds=2, space=SPACE, executor=pool, progress=seen, **QUICK)
    pd.testing.assert_frame_equal(timeless(elsewhere.tuning), timeless(tuned.tuning), check_exact=True)
    assert seen.started[:2] == ["SimpleRNN, trial 1 of 4", "GRU, trial 1 of 4"]
    assert seen.trainings == 2 * 4 * 2
    one = QUICK | {"cells": ("rnn",), "seeds": (0,)}
    alone = tune(series, trials=4, trial_seeds=1, space=SPACE, trials_at_once=2, **one)
    with ThreadPoolExecutor(2) as pool:
        elsewhere = tune(series, trials=4, trial_seeds=1, space=SPACE, trials_at_once=2, executor=pool, **one)
    pd.testing.assert_frame_equal(timeless(elsewhere.tuning), timeless(alone.tuning), check_exact=True)


class Watching:
    """Notes which trials began, and how many trainings of them are done."""

    def __init__(self):
        self.started, self.trainings = [], 0

    def __call__(self, what, epoch, epochs):
        pass

    def job_started(self, name):
        self.started.append(name)

    def block_done(self, block):
        if "trial" in block.what:
            self.trainings += block.seeds


def test_a_trial_that_fails_costs_that_trial(series, tmp_path, monkeypatch):
    from kseq.experiments import _trial

    run, kept = _trial.run_trial, QUICK | {"cells": ("rnn",)}

    def failing(trial, progress=None):
        if trial.settings.by_cell["rnn"]["units"] == 4:
            raise MemoryError("no room")
        return run(trial, progress)

    space = replace(SPACE, num_layers=(1,), lookback=(3,), learning_rate=(0.01,))
    with monkeypatch.context() as patch:
        patch.setattr(_trial, "run_trial", failing)
        some = tune(series, trials=2, trial_seeds=1, space=space, out=tmp_path, **kept).tuning
        assert some.set_index("units")["mae"].isna().to_dict() == {2: False, 4: True}
        with pytest.raises(MemoryError, match="no room"):
            tune(series, trials=1, trial_seeds=1, space=replace(space, units=(4,)), **kept)
    # It is not kept: with more room it runs.
    whole = tune(series, trials=2, trial_seeds=1, space=space, out=tmp_path, **kept).tuning
    assert whole["mae"].notna().all()


def test_a_trial_that_diverged_is_not_chosen(series):
    space = replace(SPACE, units=(2,), num_layers=(1,), lookback=(3,), learning_rate=(0.01, 1e38))
    plan = QUICK | {"cells": ("rnn",), "training": {"epochs": 3}}
    comparison = tune(series, trials=2, trial_seeds=1, space=space, **plan)
    failed = comparison.tuning.set_index("learning_rate").loc[1e38]
    assert np.isnan(failed["mae"])
    assert comparison.search.chosen["rnn"]["learning_rate"] == 0.01
    with pytest.raises(ConfigError, match="all 1 trials of SimpleRNN diverged"):
        tune(series, trials=1, trial_seeds=1, space=replace(space, learning_rate=(1e38,)), **plan)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trials": 0}, "received trials 0"),
        ({"trial_seeds": 0}, "received trial_seeds 0"),
        ({"trials": 25}, "received trials 25, expected at most 24"),
        ({"validation": 0.0}, "validation share of 0"),
        ({"scaler": "minmax-leaks-test"}, "minmax-leaks-test"),
        ({"cells": ()}, "received no cells"),
        ({"units": 8}, "received a space and also units"),
        ({"training": {"learning_rate": 0.1}}, "received learning_rate among"),
        ({"by_cell": {"gru": {"units": 3}}}, "received by_cell among"),
        ({"match": "params"}, "received match among"),
        ({"settings": Settings(), "horizon": 2}, "received settings and also"),
        ({"space": replace(SPACE, transform=("none", "log")), "transform": "none"}, "received transform among"),
    ],
)
def test_what_cannot_be_tuned_is_refused(series, options, said):
    known = {} if "settings" in options else without_transform(QUICK)
    with pytest.raises(ConfigError, match=said):
        tune(series, **{"space": SPACE, **known, **options})


def shops(lengths=(90, 110, 100)):
    """Shops with a week each, one of which sells a thousand times what another does."""
    rng = np.random.default_rng(0)
    parts = [
        pd.DataFrame({
            "unique_id": f"s{i}", "ds": pd.date_range("2001-01-01", periods=n),
            "y": (np.arange(n) % 7 + 9 + rng.normal(size=n)) * 1000.0**i,
        })
        for i, n in enumerate(lengths)
    ]  # fmt: skip
    return panel_from_frame(pd.concat(parts, ignore_index=True), target="y", name="shops")


@pytest.fixture(scope="module")
def tuned_shops():
    return tune(shops(), trials=3, trial_seeds=2, space=SPACE, horizon=2, **QUICK)


def test_trials_of_a_panel_are_scored_as_panels_are_ranked(tuned_shops):
    """By the mean over series of scaled errors on the validation part, computed plainly."""
    frame = tuned_shops.tuning
    assert tuned_shops.search.metric == "mase"
    assert {"mase", "mase_std"} <= set(frame)
    assert not {"mae", "mae_std"} & set(frame)
    line, panel = frame.iloc[1], shops()
    own = {setting: int(line[setting]) for setting in ("units", "num_layers", "lookback")}
    own |= {setting: float(line[setting]) for setting in ("learning_rate", "dropout", "weight_decay")}
    settings = Settings(**QUICK | {"seeds": (2, 3)}, lookback=6, horizon=2, by_cell={"rnn": own})
    data = cut_windows(panel, settings)
    row = train_cell("rnn", data, settings)
    scores = []
    for number in range(3):
        learnt = panel.y[data.split.start[number] : data.split.validation[number], 0]
        which = data.validation.series == number
        missed = np.abs(row.validation[:, which] - panel.y[data.validation.target_rows[which]])
        scores.append(missed.mean(axis=(1, 2, 3)) / np.abs(learnt[7:] - learnt[:-7]).mean())
    expected = np.mean(scores, axis=0)
    np.testing.assert_allclose(line["mase"], expected.mean(), rtol=1e-6)
    np.testing.assert_allclose(line["mase_std"], expected.std(ddof=1), rtol=1e-5)


def test_the_best_trial_of_a_panel_is_what_is_compared(tuned_shops, tmp_path):
    frame, settings = tuned_shops.tuning, tuned_shops.settings
    for cell, name in (("rnn", "SimpleRNN"), ("gru", "GRU")):
        trials = frame[frame["model"] == name]
        best = trials.loc[trials["mase"].idxmin()]
        assert trials["chosen"].tolist() == (trials["mase"] == trials["mase"].min()).tolist()
        assert settings.by_cell[cell] == {setting: best[setting] for setting in SPACE.values}
    assert plain(tuned_shops.record)["tuning"]["metric"] == "mase"
    tuned_shops.write(tmp_path)
    recorded = Recorded.read(tmp_path)
    assert Agreement(recorded, compare(shops(), recorded.settings)).identical


@pytest.mark.parametrize(
    "plan", [{}, {"n_windows": 2, "strategy": "recursive"}, {"n_windows": 2, "refit": True}], ids=str
)
def test_no_test_row_of_a_panel_moves_a_trial(plan):
    panel, options = shops(), QUICK | plan | {"cells": ("rnn",), "horizon": 2, "seeds": (0,)}
    split = cut_windows(panel, Settings(**options, lookback=6)).split
    before, after, moved = (
        tune(given, trials=2, trial_seeds=1, space=SPACE, **options)
        for given in (panel, perturbed(panel, split.test), perturbed(panel, split.stop - 1))
    )
    pd.testing.assert_frame_equal(timeless(after.tuning), timeless(before.tuning), check_exact=True)
    assert after.table["mase"].iloc[0] != before.table["mase"].iloc[0]
    # The last validation rows do.
    assert (moved.tuning["mase"] != before.tuning["mase"]).all()


def test_a_panel_that_trials_cannot_be_scored_on_is_refused():
    with pytest.raises(DataError, match="no series has room for a validation window of horizon 2"):
        tune(shops(), trials=1, space=SPACE, horizon=2, n_windows=2, validation=0.001, **QUICK)
    # Each repeats itself in what is learnt from, and no more in the validation part.
    days = pd.date_range("2001-01-01", periods=100)
    y = np.where(np.arange(100) < 70, 5.0, np.arange(100) % 7)
    frame = pd.concat([pd.DataFrame({"unique_id": id, "ds": days, "y": y}) for id in "ab"])
    with pytest.raises(DataError, match="repeat themselves exactly"):
        tune(panel_from_frame(frame, target="y"), trials=1, space=SPACE, validation=0.2, **QUICK)


def test_a_series_too_short_for_the_longest_lookback_is_refused(series):
    with pytest.raises(DataError, match="lookback 200"):
        tune(series, trials=1, space=replace(SPACE, lookback=(3, 200)), **QUICK)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"units": ()}, "received units \\(\\)"),
        ({"units": (4, 4)}, "each once"),
        ({"lookback": (0,)}, "received lookback 0"),
        ({"learning_rate": (0.0,)}, "a number from 1e-37"),
        ({"dropout": (1.0,)}, "a number between 0 and 1"),
        ({"weight_decay": (float("nan"),)}, "received weight_decay nan"),
        ({"transform": ("none", "none")}, "each once"),
        ({"transform": ("none", "root")}, "received transform 'root'"),
    ],
)
def test_a_space_that_means_nothing_is_refused(values, said):
    with pytest.raises(ConfigError, match=said):
        Space(**values)


def test_without_optuna_it_is_said_how_to_get_it(series, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"pip install 'kseq\[tune\]'"):
        tune(series, trials=1, space=SPACE, **QUICK)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"by_cell": {"elman": {}}}, "received settings of cell 'elman'"),
        ({"by_cell": {"gru": {"epochs": 3}}}, "received epochs for gru alone"),
        ({"lookback": 12, "by_cell": {"gru": {"lookback": 13}}}, "received lookback 13 for gru, expected at most 12"),
        ({"by_cell": {"gru": {"units": 8}}, "match": "params"}, "received units of gru and match 'params'"),
        ({"by_cell": {"gru": {"transform": "root"}}}, "received transform 'root'"),
    ],
)
def test_cells_differ_in_what_they_may(options, said):
    with pytest.raises(ConfigError, match=said):
        Settings(**options)


TRANSFORMS = ("none", "difference", "change")
OWN = Space((2,), (1,), (3, 6), (0.01,), (0.0,), (0.0,), TRANSFORMS)


@pytest.mark.parametrize(
    ("strategy", "many", "transform", "lookback"),
    [
        ("direct", False, "change", 6), ("direct", True, "difference", 5), ("recursive", False, "difference", 5),
        ("recursive", True, "change", 6), ("seq2seq", False, "change", 6), ("seq2seq", True, "difference", 5),
    ],
)  # fmt: skip
def test_a_transform_of_its_own_is_that_transform(series, strategy, many, transform, lookback):
    """A cell forecasts what it forecasts where all have its transform; differences have one row more to read."""
    given = shops((60, 75, 48)) if many else series
    plan = without_transform(QUICK) | {"seeds": (0,), "horizon": 2, "strategy": strategy, "baselines": ("persistence",)}
    own = {"rnn": {"transform": transform, "lookback": lookback}}
    mixed = compare(given, Settings(**plan, lookback=6, transform="none", by_cell=own))
    alike = compare(given, Settings(**plan, lookback=lookback, transform=transform))
    plainly = compare(given, Settings(**plan, lookback=6, transform="none"))
    found, expected, other = ({row.name: row for row in made.rows} for made in (mixed, alike, plainly))
    for name, by_name in (("SimpleRNN", expected), ("GRU", other)):
        np.testing.assert_array_equal(found[name].predictions, by_name[name].predictions)
        np.testing.assert_array_equal(found[name].validation, by_name[name].validation)
        np.testing.assert_array_equal(found[name].history["loss"], by_name[name].history["loss"])
    assert not np.allclose(found["SimpleRNN"].predictions, other["SimpleRNN"].predictions)
    assert mixed.table.set_index("model").loc[["SimpleRNN", "GRU"], "transform"].tolist() == [transform, "none"]
    assert transform in render(mixed)


def test_each_fold_of_a_backtest_has_a_cells_own_transform(series):
    plan = without_transform(QUICK) | {
        "cells": ("rnn",),
        "n_windows": 2,
        "refit": True,
        "train_size": 60,
        "lookback": 5,
    }
    mixed, alike = (
        next(row for row in compare(series, **plan, **own).rows if row.name == "SimpleRNN")
        for own in ({"transform": "none", "by_cell": {"rnn": {"transform": "change"}}}, {"transform": "change"})
    )
    np.testing.assert_array_equal(mixed.predictions, alike.predictions)
    np.testing.assert_array_equal(mixed.validation, alike.validation)


def test_a_transform_of_its_own_needs_room(series):
    own = {"gru": {"transform": "difference"}}
    with pytest.raises(ConfigError, match=r"transform difference and lookback 6 .* at most 5"):
        compare(series, **QUICK, lookback=6, by_cell=own)


@pytest.mark.parametrize("many", [False, True])
def test_transforms_are_chosen_among(series, many, tmp_path):
    given, metric = (shops(), "mase") if many else (series, "mae")
    plan = without_transform(QUICK) | {"cells": ("gru",), "baselines": ("persistence",)}
    made = tune(given, trials=6, trial_seeds=1, space=OWN, **plan)
    trials = made.tuning
    assert sorted(zip(trials["transform"], trials["lookback"], strict=True)) == sorted(product(TRANSFORMS, (3, 6)))
    best = trials.loc[trials[metric].idxmin()]
    assert made.settings.by_cell["gru"]["transform"] == best["transform"]
    # One row more than the longest lookback, for differences.
    assert made.settings.lookback == 7
    # All are scored over the same values, as if their transform had been that of all.
    for _, line in trials.drop_duplicates("transform").iterrows():
        own = {"units": 2, "lookback": line["lookback"], "transform": line["transform"], "learning_rate": 0.01}
        settings = Settings(**plan | {"seeds": made.search.seeds}, lookback=7, transform="none", by_cell={"gru": own})
        alone = compare(given, settings)
        row = next(row for row in alone.rows if row.name == "GRU")
        if many:
            missed = Scores(of_validation(alone.data), 7).overall(row.validation, "mase").mean()
        else:
            missed = np.abs(row.validation - series.y[made.data.validation.target_rows]).mean()
        np.testing.assert_allclose(missed, line[metric], rtol=1e-6)
    made.write(tmp_path)
    recorded = Recorded.read(tmp_path)
    assert Agreement(recorded, compare(given, recorded.settings)).identical


def test_a_transform_that_the_series_does_not_allow_is_told_before_any_trial(series):
    seen = []
    with pytest.raises(DataError, match="log"):
        options = without_transform(QUICK)
        tune(series, trials=1, space=replace(OWN, transform=("none", "log")), told=seen.append, **options)
    assert not seen
