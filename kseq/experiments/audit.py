"""Does anything learnt, or any forecast, depend on values that come after it? Change them all, and see.

Everything from a cutoff on is replaced by other values, and the comparison's parts are made anew: windows, scaler,
baselines, networks. What belongs to the time before the cutoff must come out the same, bit for bit. A leak is then
not a matter of opinion: a value before the cutoff moved when one after it was changed.

============================  =======================================================================================
values changed from           what must stay as it is
============================  =======================================================================================
the validation part on        scaler, training windows, season
the test part on              validation windows; the transform that is chosen; each cell's weights, learning curves
                              and stopping epochs
the first target of a window  what is read for this window and for those before it, the way of a forecast back to its
                              unit, and the baselines' forecasts; this for the first validation window, and for the
                              first, the middle and the last test window
============================  =======================================================================================

What may be chosen by errors on the validation part, a cell's stopping epoch or a baseline's order, is not held to be
the same when that part is changed. Dates and columns that are known ahead (``Series.future``) keep their values; values
that ``fill="linear"`` has put into a series are filled anew. With ``refit`` every fold is looked at.

Of several series each is changed from such a row of its own on, all at once.

Trainings are jobs, as those of a comparison: they run on an executor, and are kept where a folder is named. A training
of the series as it is and one of the changed series read other data, and are two jobs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kseq import backends, vocabulary
from kseq.baselines import BASELINES
from kseq.comparison.auto import settled
from kseq.comparison.backtest import shared_season, with_steps_to_come
from kseq.comparison.kept import begun, heard, store_in, tidied, workers_for
from kseq.comparison.result import Comparison, laid_out
from kseq.data import Panel, Series
from kseq.errors import BackendError, Parameter
from kseq.evaluation.model_result import ModelResult
from kseq.jobs import Context, Job, Runner, Store, digest, place
from kseq.jobs.job import State
from kseq.models import name_of
from kseq.preprocessing.windows import WindowedPanel, Windows
from kseq.settings import Settings
from kseq.training.progress import Within, seeds_text

#: Baselines whose order is chosen by errors on the validation part.
CHOSEN_BY_VALIDATION = ("climatology-ar", "dlinear")

#: Called with what is trained, the epoch and the epoch limit.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Check:
    """One thing that was made twice, before and after all values beyond a cutoff were changed.

    Args:
        name: name of the thing: ``"scaler"``, ``"LSTM: weights"``.
        cutoff: date of the last row that was left as it is, or its number where there are no dates.
        rows: Number of rows after it that were changed.
        values: Number of numbers that were compared.
        differing: Number of them that are not the same, bit for bit.
        largest: the largest difference; infinite where a number stands on one side alone.
        fold: number of the fold, from 1; None where everything is trained once.
    """

    name: str
    cutoff: str
    rows: int
    values: int
    differing: int
    largest: float
    fold: int | None = None

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return self.differing == 0


@dataclass(frozen=True)
class Audit:
    """What came of all checks.

    Args:
        series: name of the series.
        checks: all checks, in the order of time.
        notes: sentences on kept trainings: what was damaged, or could not be kept.
    """

    series: str
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether no check found a difference."""
        return not self.leaks

    @property
    def leaks(self) -> tuple[str, ...]:
        """Names of what depends on values after its cutoff, each once."""
        return tuple(dict.fromkeys(check.name for check in self.checks if not check.identical))

    @property
    def table(self) -> pd.DataFrame:
        """One row a check, with the fields of :class:`Check` and ``identical``."""
        return pd.DataFrame([vars(check) | {"identical": check.identical} for check in self.checks])

    @property
    def verdict(self) -> str:
        """What it comes to, in a sentence."""
        values = sum(check.values for check in self.checks)
        if self.clean:
            return (
                f"Clean: {len(self.checks)} checks of {values:,} values; none depends on anything after its cutoff, "
                "bit for bit."
            )
        return f"Leak: values after the cutoff move {', '.join(self.leaks)}."


@vocabulary.shows_options
def audit(
    given: Any = None,
    /,
    settings: Settings | None = None,
    *,
    progress: Progress | None = None,
    executor: Any = None,
    keep: str | Path | None = None,
    fresh: bool = False,
    **options: Any,
) -> Audit:
    """Look for leaks: change everything after each cutoff, and compare what must not have changed.

    Args:
        given: the series, or several, as in :func:`kseq.compare`.
        settings: settings of the comparison to audit; a few epochs and seeds are enough, for a leak shows in the
            first. By default two seeds and five epochs of the default settings.
        progress: called with what is trained, the epoch and the epoch limit, after each epoch.
        executor: what trains, as in :func:`kseq.compare`.
        keep: folder in which finished trainings are kept, so that an audit that is started again does what is missing;
            by default a hidden one in ``out``, and none without ``out``.
        fresh: whether to train everything anew, whatever is kept.
        **options: those of ``kseq audit`` by the same names, instead of ``settings``; see :func:`kseq.compare`.

    Returns:
        Audit: ``.clean``, ``.leaks``, ``.table``, and every :class:`Check` as ``.checks``.

    Raises:
        ConfigError: a setting that the series does not allow.
        BackendError: the same training on the same values gives other weights each time, as some kernels of GPUs do:
            nothing can be said bit for bit.

    Example:
        >>> audit(load_series("nino12")).clean  # doctest: +SKIP
        True
        >>> audit(load_series("nino12"), Settings(scaler="minmax-leaks-test", cells=())).leaks  # doctest: +SKIP
        ('scaler', 'training windows', 'inputs of forecasts', 'transform and scale undone', 'validation windows')
    """
    asked = vocabulary.asked(given, settings, options, {"seeds": (0, 1), "training": {"epochs": 5, "patience": 2}})
    panel, settings = with_steps_to_come(Panel.of(asked.series), asked.settings), asked.settings
    store = store_in(keep, asked.out, fresh=fresh)
    with workers_for(executor) as workers:
        comparison = laid_out(panel, settings)
        runs = [_Run(comparison, number, settings) for number in range(len(comparison.trainings))]
        trained = _trained(panel, runs, store, workers, progress)
    checks = [check for run in runs for check in _checks(panel, run, trained[run.number])]
    return Audit(panel.name, tuple(checks), () if store is None else tidied(store))


def perturbed(series: Series | Panel, first: int | np.ndarray) -> Panel:
    """Change every value of a series from a row on, as far as it is not known ahead.

    Each grows by two to three times the largest value of its column, by an amount of its own: the changed values lie
    outside the range of the others, finite, and positive where those are. No chance is in it.

    Args:
        series: a series, or a panel.
        first: the first row to change, of each series, ``(series,)``.

    Returns:
        A panel with other values, in which those that were filled on a line to the next one are filled anew.

    Example:
        >>> frame = pd.DataFrame({"y": [1.0, 2.0, 3.0, 4.0]})
        >>> perturbed(from_frame(frame), 2).y[:, 0].round(1).tolist()  # doctest: +SKIP
        [1.0, 2.0, 11.9, 15.4]
    """
    panel = Panel.of(series)
    past = panel.values[:, : len(panel.columns) - len(panel.future)]
    # A missing value, in a series whose windows leave it out, stays one.
    peak = np.fmax.reduceat(np.abs(past), panel.borders[:-1], axis=0)
    peak[~(peak > 0)] = 1.0
    rows = np.arange(len(panel))
    owners = panel.series_of(rows)
    later = (rows >= np.broadcast_to(first, len(panel.ids))[owners]) & (rows < panel.ends[owners])
    values = panel.values.copy()
    values[later, : past.shape[1]] += (peak[owners] * (2 + _golden_shares(past)))[later]
    if panel.fill == "linear" and panel.filled is not None:
        # As reading did: what lies before the cutoff on a line to a value after it moves with that value.
        holes = pd.DataFrame(values).mask(panel.filled)
        for begin, end in zip(panel.borders[:-1], panel.ends, strict=True):
            values[begin:end] = holes[begin:end].interpolate("linear", limit_area="inside").ffill()
    return replace(panel, values=values)


def _golden_shares(values: np.ndarray) -> np.ndarray:
    """Numbers from 0 to 1 in which there is no season: multiples of the golden ratio without their whole part."""
    numbers = np.arange(len(values))[:, None] + len(values) * np.arange(values.shape[1])
    return numbers * (np.sqrt(5) - 1) / 2 % 1


class _Run:
    """One training of a comparison, and what it makes of its series."""

    def __init__(self, comparison: Comparison, number: int, asked: Settings):
        self.comparison, self.number, self.asked = comparison, number, asked
        #: With what was chosen for the series.
        self.settings: Settings = comparison.settings or asked
        self.data: WindowedPanel = comparison.trainings[number]

    def row_of(self, cutoff: np.ndarray) -> np.ndarray:
        """Rows of the training's own series in the whole panel, one of each series."""
        backtest = self.comparison.backtest
        return backtest.rows_of(self.number, cutoff) if backtest else cutoff

    @property
    def cutoffs(self) -> list[np.ndarray]:
        """A row of each series in turn: of its validation and its test part, of its first, middle and last window."""
        data, split = self.data, self.data.split
        found = [split.validation, split.test]
        number, firsts, counts = np.unique(data.test.series, return_index=True, return_counts=True)
        for window in (firsts, firsts + counts // 2, firsts + counts - 1):
            # Nothing is changed in a series without windows.
            rows = split.end.copy()
            rows[number] = data.test.starts(window)
            found.append(rows)
        distinct = {rows.tobytes(): rows for rows in found}
        return sorted(distinct.values(), key=lambda rows: int(rows.sum()))

    def learnt(self, cutoff: np.ndarray) -> dict[str, list[np.ndarray]]:
        """What is fitted or cut for training, where it must not know the rows from a cutoff on."""
        data, facts = self.data, {}
        if np.array_equal(cutoff, data.split.validation):
            scalers = (data.input_scaler, data.target_scaler)
            facts["scaler"] = [part for scaler in scalers for part in (scaler.center, scaler.scale)]
            facts["training windows"] = list(data.train.gather(np.arange(len(data.train))))
            if self.number == 0:
                facts["season"] = [np.array([self.comparison.season])]
        if np.array_equal(cutoff, data.split.test) and data.choice is not None:
            chosen = f"{data.choice.name} {data.choice.by_cell}"
            facts["transform chosen"] = [np.frombuffer(chosen.encode(), "uint8").astype("float64")]
        if np.array_equal(cutoff, data.split.test) and len(data.validation):
            facts["validation windows"] = list(data.validation.gather(np.arange(len(data.validation))))
        return facts

    def read(self, cutoff: np.ndarray) -> list[np.ndarray]:
        """What models read for the windows that do not know the rows from a cutoff on."""
        parts = [(part, np.flatnonzero(_before(part, cutoff))) for part in (self.data.validation, self.data.test)]
        return [part.gather(which)[0] for part, which in parts if len(which)]

    def undone(self, cutoff: np.ndarray) -> list[np.ndarray]:
        """What a forecast of 1 becomes in the targets' unit, for the same windows."""
        data, made = self.data, []
        for part in (data.validation, data.test):
            ones = np.ones((len(part), data.horizon, data.targets))
            made.append(data.to_units(ones, part)[_before(part, cutoff)])
        return made

    @cached_property
    def baselines(self) -> dict[str, ModelResult]:
        """A row by the name with which a baseline is asked for; none of one that the series does not allow."""
        season, asked = self._season, self.settings.baselines
        rows: dict[str, ModelResult] = {}
        for name in BASELINES if asked is None else asked:
            own = Comparison(self.data, self.settings)
            own.add_baselines([name], season, named=asked is not None)
            if own.rows:
                rows[name] = own.rows[0]
        return rows

    @property
    def _season(self) -> int:
        """The season that the comparison shares among its trainings; 0 where each finds it by itself."""
        return shared_season(self.comparison.trainings, self.settings.season, self.comparison.season)

    def forecasts(self, row: ModelResult, cutoff: np.ndarray) -> list[np.ndarray]:
        """A row's forecasts for the windows that do not know the rows from a cutoff on."""
        seen = [] if row.validation is None else [row.validation[:, _before(self.data.validation, cutoff)]]
        return [*seen, row.predictions[:, _before(self.data.test, cutoff)]]

    def changed(self, panel: Panel, cutoff: np.ndarray) -> "_Run":
        """The same training of a panel with other values from a cutoff on.

        Args:
            panel: the whole panel, as it is.
            cutoff: rows of the training's own series, one of each.
        """
        # What the validation part chooses may change with it.
        settings = settled(self.asked, self.data.choice) if self._early(cutoff) else self.asked
        return _Run(laid_out(perturbed(panel, self.row_of(cutoff)), settings), self.number, settings)

    def _early(self, cutoff: np.ndarray) -> bool:
        return bool(np.any(cutoff < self.data.split.test))


def _before(windows: Windows, cutoff: np.ndarray) -> np.ndarray:
    """Whether each window's targets begin at a row, or before it."""
    return windows.target_rows[:, 0] <= cutoff[windows.series]


def train_audited(
    data: WindowedPanel, context: Context, *, cell: str, settings: Settings, seeds: tuple[int, ...], fold: str
) -> dict[str, Any]:
    """Train a block of seeds of a cell, and hand over its weights: the function of an audit's job.

    Arguments are those of :func:`kseq.comparison.cell_jobs.train_block`.

    Returns:
        dict[str, Any]: as there, and ``weights`` of each training.
    """
    import keras

    from kseq.comparison.cell_jobs import prepared
    from kseq.comparison.jobs import packed

    weights: list[np.ndarray] = []
    keeper: Any = keras.callbacks.LambdaCallback(on_train_end=lambda logs: weights.extend(keeper.model.get_weights()))
    progress = context.progress if context.progress is None or not fold else Within(context.progress, fold)
    ready = prepared(data, context, cell, settings, fold)
    row = ready.train(seeds, progress, [keeper], _WithWeights(context.state, weights))
    return {**packed(row), "weights": weights}


@dataclass(frozen=True)
class _WithWeights:
    """The state of a long job, in which the weights of its first training stand beside what that has found.

    Args:
        state: where it is kept.
        weights: of all trainings so far.
    """

    state: State
    weights: list[np.ndarray]

    def load(self, part: str) -> Any:
        """What was saved under a name; None where nothing is."""
        value = self.state.load(part)
        if part == "found" and value is not None:
            self.weights.extend(value["weights"])
        return value

    def save(self, part: str, value: Any, *, now: bool = False) -> None:
        """Keep a value under a name: at once, or only if the last one is old enough."""
        self.state.save(part, {**value, "weights": list(self.weights)} if part == "found" else value, now=now)

    def due(self) -> bool:
        """Whether a value that is saved now would be kept."""
        return self.state.due()


#: What came of a cell's training: its weights, what its stopping went by, and its forecasts before the test part.
_Made = dict[str, list[np.ndarray]]


@dataclass(frozen=True)
class _Trainings:
    """A cell's trainings in a fold: of the series as it is or of the changed one, a job a block of seeds."""

    cell: str
    run: _Run
    jobs: tuple[Job, ...]

    def made(self, values: Sequence[dict[str, Any]]) -> _Made:
        """Join what the jobs have given."""
        from kseq.comparison.jobs import join_blocks

        rows = [ModelResult(**{name: one for name, one in value.items() if name != "weights"}) for value in values]
        row = join_blocks(rows)
        return {
            "weights": [weight for value in values for weight in value["weights"]],
            "early stopping": [np.array(row.epochs), *row.history.values()],
            "forecasts": self.run.forecasts(row, self.run.data.split.test),
        }

    def here(self, progress: Progress | None) -> _Made:
        """Train in this process, whatever is kept."""
        return self.made([job.function(job.data, Context(progress), **job.arguments) for job in self.jobs])


def _both(
    cell: str, run: _Run, changed: _Run, store: Store | None, here: dict[str, Any]
) -> tuple[_Trainings, _Trainings]:
    """Lay out a cell's trainings in a fold, of the series as it is and of the changed one."""
    from kseq.comparison.cell_jobs import WORDS, facts_of, parted

    count = len(run.comparison.trainings)
    fold = f"fold {run.number + 1} of {count}" if count > 1 else ""
    twice = 1 + bool(run.settings.refit_on_validation and len(run.data.validation))
    found, blocks = [], None
    for one, what in ((run, "as it is"), (changed, "changed")):
        facts = {} if store is None else facts_of(cell, "audit", digest(one.data, WORDS), one.data, one.settings, here)
        # How many seeds train at once moves the last digits: both have the same blocks.
        blocks = blocks or parted(cell, run.data, run.settings, facts, store)
        jobs = [
            Job(
                ", ".join(filter(None, (name_of(cell), seeds_text(seeds), fold, what))), train_audited,
                {**facts, "seeds": seeds}, one.data,
                {"cell": cell, "settings": one.settings, "seeds": seeds, "fold": fold}, twice * len(seeds),
            )
            for seeds in blocks
        ]  # fmt: skip
        found.append(_Trainings(cell, one, tuple(jobs)))
    return found[0], found[1]


def _trained(
    panel: Panel, runs: Sequence[_Run], store: Store | None, executor: Any, progress: Progress | None
) -> list[dict[str, tuple[_Made, _Made]]]:
    """Train all cells in all folds, with the series as it is and with other values from each test part on.

    Args:
        panel: the series, as they are.
        runs: all trainings of the comparison.
        store: where finished jobs are kept; None for none.
        executor: As in :func:`audit`.
        progress: As there.

    Returns:
        list[dict[str, tuple[_Made, _Made]]]: of each fold, by cell.
    """
    made: list[dict[str, tuple[_Made, _Made]]] = [{} for _ in runs]
    if not runs[0].settings.cells:
        return made
    here = {} if store is None else place.facts()
    changed = [run.changed(panel, run.data.split.test) for run in runs]
    both = [
        _both(cell, run, other, store, here)
        for run, other in zip(runs, changed, strict=True)
        for cell in run.settings.cells
    ]
    jobs = [job for pair in both for one in pair for job in one.jobs]
    ended = None
    with Runner(store, executor, progress, place.environment(), place.facts()) as runner:
        if store is not None:
            about = {"command": "audit", "cells": runs[0].settings.cells, "folds": len(runs)}
            ended = begun(store, panel.name, about, jobs)
        outcomes = {id(outcome.job): outcome for outcome in runner.run(jobs, partial(heard, runner, progress))}
    failed = [outcome.error for outcome in outcomes.values() if outcome.error is not None]
    if failed:
        raise failed[0]
    if ended is not None:
        ended()
    elsewhere = store is not None or runner.workers is not None
    for pair in both:
        ours, theirs = (one.made([outcomes[id(job)].value for job in one.jobs]) for one in pair)
        if elsewhere and _differ(ours, theirs):
            # One may have been trained by another machine, or on another day.
            ours, theirs = (one.here(progress) for one in pair)
        if _differ(ours, theirs):
            _require_repeatable(name_of(pair[0].cell), ours["weights"], pair[0].here(progress)["weights"])
        made[pair[0].run.number][pair[0].cell] = ours, theirs
    return made


def _differ(ours: _Made, theirs: _Made) -> bool:
    return any(_difference(ours[name], theirs[name])[1] for name in ours)


def _checks(panel: Panel, run: _Run, trained: dict[str, tuple[_Made, _Made]]) -> Iterator[Check]:
    """All checks of one training, in the order of time."""
    many = len(run.comparison.trainings) > 1
    fold = run.number + 1 if many else None
    for cutoff in run.cutoffs:
        first = run.row_of(cutoff)
        rows = int(np.sum(panel.ends - first))
        for name, before, after in _pairs(run, run.changed(panel, cutoff), cutoff, trained):
            values, differing, largest = _difference(before, after)
            if values:
                yield Check(name, _known(panel, first), rows, values, differing, largest, fold)


def _known(panel: Panel, first: np.ndarray) -> str:
    """Date of the last row that is left as it is; of several series the first and the last of these dates."""
    dates = panel.index[first - 1]
    shown = [str(date).removesuffix(" 00:00:00") for date in (dates.min(), dates.max())]
    return " to ".join(dict.fromkeys(shown))


def _pairs(
    run: _Run, changed: _Run, cutoff: np.ndarray, trained: dict[str, tuple[_Made, _Made]]
) -> Iterator[tuple[str, list, list]]:
    """What was made from the series as it is, and from that with other values from a cutoff on, by name."""
    after = changed.learnt(cutoff)
    for name, before in run.learnt(cutoff).items():
        yield name, before, after[name]
    yield "inputs of forecasts", run.read(cutoff), changed.read(cutoff)
    yield "transform and scale undone", run.undone(cutoff), changed.undone(cutoff)
    for name, row in run.baselines.items():
        if name in CHOSEN_BY_VALIDATION and np.any(cutoff < run.data.split.test):
            continue
        other = changed.baselines.get(name)
        yield f"{row.name}: forecasts", run.forecasts(row, cutoff), changed.forecasts(other, cutoff) if other else []
    if not np.array_equal(cutoff, run.data.split.test):
        return
    for cell, (ours, theirs) in trained.items():
        for name in ours:
            yield f"{name_of(cell)}: {name}", ours[name], theirs[name]


def _require_repeatable(name: str, once: list[np.ndarray], again: list[np.ndarray]) -> None:
    """Refuse to judge weights that come out otherwise from the very same values."""
    _, differing, largest = _difference(once, again)
    if differing:
        import keras

        backend = keras.config.backend()
        raise BackendError(
            f"received {name} trainings on {backend} ({backends.device_in_use(backend)}) that differ by up to "
            f"{largest:.1e} on the very same values, expected a device that repeats itself; use ",
            Parameter("device"),
            " cpu.",
        )


def _difference(before: list[np.ndarray], after: list[np.ndarray]) -> tuple[int, int, float]:
    """Compare two lists of arrays bit for bit.

    Returns:
        How many numbers there are, how many are not the same, and the largest difference: infinite where arrays have
        other shapes or one side is not a finite number.
    """
    shapes = [[array.shape for array in arrays] for arrays in (before, after)]
    one, other = (np.concatenate([np.zeros(0), *(array.ravel() for array in arrays)]) for arrays in (before, after))
    if shapes[0] != shapes[1]:
        count = max(len(one), len(other))
        return count, count, float("inf")
    differs = one.view(np.int64) != other.view(np.int64)
    sizes = np.abs(one[differs] - other[differs])
    largest = sizes.max(initial=0.0)
    return len(one), int(differs.sum()), float(largest) if np.isfinite(largest) else float("inf")
