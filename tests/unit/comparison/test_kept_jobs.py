"""Trainings are kept as they finish: a run that is started again does what is missing, with the same numbers."""

from pathlib import Path

import keras
import numpy as np
import pytest

from kseq import compare, from_frame, load_series
from kseq.jobs import place
from kseq.jobs import store as stores

pytestmark = pytest.mark.long

QUICK = {
    "cells": ("rnn", "gru"), "epochs": 2, "units": 3, "seeds": 2, "horizon": 2, "lookback": 6, "transform": "none",
    "baselines": ("persistence",), "batch_size": 64, "max_steps": 40, "level": "none",
}  # fmt: skip

#: TensorFlow and JAX compile each of the many small networks for seconds.
many_networks = pytest.mark.above_backends


@pytest.fixture(scope="module")
def series():
    return from_frame(load_series("nino12").frame.iloc[:240])


@pytest.fixture(scope="module")
def kept(series, tmp_path_factory):
    """A store of a finished run, and the run."""
    place = tmp_path_factory.mktemp("store")
    return place, compare(series, keep=place, **QUICK)


def copied(kept, tmp_path):
    import shutil

    shutil.copytree(kept[0], tmp_path / "store")
    return tmp_path / "store"


def forecasts(comparison):
    return {row.name: row.predictions.tobytes() for row in comparison.rows if row.kind == "cell"}


class Stopper:
    """Stops a run as Ctrl-C does, at an epoch of a training."""

    def __init__(self, what, epoch):
        self.what, self.epoch = what, epoch
        self.seen = []

    def __call__(self, what, epoch, epochs):
        self.seen.append((what, epoch))
        if what.startswith(self.what) and epoch == self.epoch:
            raise KeyboardInterrupt


@many_networks
def test_a_stopped_run_goes_on_and_gives_the_same_tables(series, kept, tmp_path):
    with pytest.raises(KeyboardInterrupt) as caught:
        compare(series, keep=tmp_path, progress=Stopper("GRU", 2), **QUICK)
    assert caught.value.__notes__ == ["4 of 8 trainings are kept: the same command goes on with the rest"]
    watched = Stopper("nobody", 0)
    again = compare(series, keep=tmp_path, progress=watched, **QUICK)
    assert (again.jobs.kept, again.jobs.trainings) == (4, 8)
    assert {what.partition(",")[0] for what, _ in watched.seen} == {"GRU"}
    assert forecasts(again) == forecasts(kept[1]) == forecasts(compare(series, **QUICK))
    timings = [name for name in again.table if "seconds" in name]
    assert again.table.drop(columns=timings).equals(kept[1].table.drop(columns=timings))
    assert again.history.equals(kept[1].history)


@many_networks
def test_a_run_that_is_kept_trains_nothing_and_repeats_its_times(series, kept, tmp_path):
    again = compare(series, keep=copied(kept, tmp_path), progress=Stopper("", 1), **QUICK)
    assert again.jobs.kept == again.jobs.trainings == 8
    assert again.table.equals(kept[1].table)


@pytest.mark.parametrize(
    ("changed", "known"),
    [
        ({"seeds": 3}, 8),
        ({"cells": ("rnn", "gru", "lstm")}, 8),
        ({"level": "80", "metric": "rmse", "baselines": ("ar",)}, 8),
        ({"learning_rate": 0.01}, 0),
        ({"lookback": 5}, 0),
        ({"validation_share": 0.2}, 0),
        ({"seeds": (2, 3)}, 0),
    ],
)
@many_networks
def test_only_new_trainings_run(series, kept, tmp_path, changed, known):
    assert compare(series, keep=copied(kept, tmp_path), **QUICK | changed).jobs.kept == known


@many_networks
def test_another_value_another_version_or_other_code_is_another_job(series, kept, tmp_path, monkeypatch):
    store = copied(kept, tmp_path)
    frame = series.frame.copy()
    frame.iloc[100, 0] += 1e-9
    assert compare(from_frame(frame), keep=store, **QUICK).jobs.kept == 0
    monkeypatch.setattr(place, "code_digest", lambda: "other")
    assert compare(series, keep=store, **QUICK).jobs.kept == 0
    monkeypatch.undo()
    monkeypatch.setattr(place, "__version__", "9.9")
    assert compare(series, keep=store, **QUICK).jobs.kept == 0
    monkeypatch.undo()
    assert compare(series, keep=store, **QUICK).jobs.kept == 8


@many_networks
def test_a_fold_more_trains_that_fold_alone(series, tmp_path):
    options = QUICK | {"cells": "rnn", "refit": True, "refit_on_validation": False}
    compare(series, keep=tmp_path, n_windows=2, **options)
    more = compare(series, keep=tmp_path, n_windows=3, **options)
    assert (more.jobs.kept, more.jobs.trainings) == (4, 6)
    assert forecasts(more) == forecasts(compare(series, n_windows=3, **options))


@many_networks
def test_fresh_trains_everything_and_a_damaged_job_is_told(series, kept, tmp_path):
    store = copied(kept, tmp_path)
    assert compare(series, keep=store, fresh=True, **QUICK).jobs.kept == 0
    largest = max(store.glob("??/*.job"), key=lambda file: file.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1])
    again = compare(series, keep=store, **QUICK)
    assert again.jobs.kept == 4
    assert again.jobs.notes == ("1 kept job was damaged, and made again.",)
    assert forecasts(again) == forecasts(kept[1])


@many_networks
def test_a_run_with_a_folder_keeps_its_jobs_there(series, tmp_path):
    options = QUICK | {"cells": "rnn", "seeds": 1}
    compare(series, out=tmp_path / "run", **options)
    again = compare(series, out=tmp_path / "run", **options)
    assert again.jobs.kept == again.jobs.trainings == 2
    assert (tmp_path / "run" / "predictions.csv").is_file()
    assert compare(series, **options).jobs.kept == 0


class Poison(keras.layers.Layer):
    """Fails once it is trained."""

    def call(self, inputs, training=False):
        if training:
            raise ZeroDivisionError("poison")
        return inputs


def poisonous(outputs, lookback, features):
    return keras.Sequential([keras.Input((lookback, features)), Poison(), keras.layers.Flatten(),
                             keras.layers.Dense(outputs)])  # fmt: skip


@many_networks
def test_a_training_that_fails_costs_its_row_and_is_told(series):
    made = compare(series, **QUICK | {"cells": {"rnn": None, "poison": poisonous}})
    assert [row.name for row in made.rows if row.kind == "cell"] == ["SimpleRNN"]
    assert made.cautions[0].startswith("poison is missing: poison, seed 0 failed (ZeroDivisionError: ")
    with pytest.raises(ZeroDivisionError, match="poison"):
        compare(series, **QUICK | {"cells": {"poison": poisonous}})


def test_a_long_training_goes_on_at_its_epoch_with_the_same_numbers(series, tmp_path, monkeypatch):
    # Members stop at epochs of their own, after which the model is rebuilt without them.
    options = QUICK | {
        "cells": "gru", "epochs": 30, "patience": 2, "seeds": 4, "learning_rate": 0.05, "num_layers": 2,
        "dropout": 0.2, "clip_norm": 1.0, "max_steps": 0,
    }  # fmt: skip
    whole = compare(series, **options)
    assert len(set(whole.rows[1].epochs)) > 1
    monkeypatch.setattr(stores, "STATE_SECONDS", 0.0)
    # What was told of an epoch was not kept yet: each run begins with the epoch at which the one before it stopped.
    last = "GRU, seeds 0-3", 1
    for stop in (("", 7), ("", 8), (", with the validation rows", 2), (", with the validation rows", 3)):
        watched = Stopper(f"GRU, seeds 0-3{stop[0]}", stop[1])
        with pytest.raises(KeyboardInterrupt):
            compare(series, keep=tmp_path, progress=watched, **options)
        assert watched.seen[0] == last
        last = watched.seen[-1]
    assert last == ("GRU, seeds 0-3, with the validation rows", 3)
    watched = Stopper("nobody", 0)
    again = compare(series, keep=tmp_path, progress=watched, **options)
    assert watched.seen[0] == last
    assert forecasts(again) == forecasts(whole)
    assert again.history.equals(whole.history)
    assert [row.epochs for row in again.rows] == [row.epochs for row in whole.rows]
    assert not list(Path(tmp_path).glob("states/*"))


@many_networks
def test_threads_and_the_caller_give_the_same_numbers(series, kept):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        assert forecasts(compare(series, executor=pool, **QUICK)) == forecasts(kept[1])


@many_networks
def test_the_mean_of_members_is_made_of_kept_ones(series, kept, tmp_path):
    again = compare(series, keep=copied(kept, tmp_path), **QUICK)
    rows = {row.name: row for row in again.rows}
    assert np.array_equal(rows["GRU x2 mean"].predictions[0], rows["GRU"].predictions.mean(axis=0))


def small(outputs, lookback, features):
    return keras.Sequential([keras.Input((lookback, features)), keras.layers.Flatten(), keras.layers.Dense(outputs)])


@many_networks
def test_a_function_that_its_file_does_not_tell_is_trained_anew(series, tmp_path):
    def wrapped(outputs, lookback, features):
        return small(outputs, lookback, features)

    options = QUICK | {"seeds": 1, "cells": {"known": small, "closure": wrapped}}
    compare(series, keep=tmp_path, **options)
    assert compare(series, keep=tmp_path, **options).jobs.kept == 2
