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

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kseq import vocabulary
from kseq._version import __version__
from kseq.comparison.backtest import with_steps_to_come
from kseq.comparison.kept import store_in, tidied, workers_for
from kseq.data import Panel
from kseq.experiments._audit_jobs import Made, Progress, difference, trained_twice
from kseq.experiments._audit_run import AuditedRun
from kseq.experiments.compare import laid_out
from kseq.models import name_of
from kseq.report.run_folder import Tell, csvs_of, write_all
from kseq.settings import Settings
from kseq.storage import Folder

#: Baselines whose order is chosen by errors on the validation part.
CHOSEN_BY_VALIDATION = ("climatology-ar", "dlinear")


@dataclass(frozen=True)
class Check:
    """One thing that was made twice, before and after all values beyond a cutoff were changed.

    Args:
        name: Name of the thing: ``"scaler"``, ``"LSTM: weights"``.
        cutoff: Date of the last row that was left as it is, or its number where there are no dates.
        rows: Number of rows after it that were changed.
        values: Number of numbers that were compared.
        differing: Number of them that are not the same, bit for bit.
        largest: The largest difference; infinite where a number stands on one side alone.
        fold: Number of the fold, from 1; None where everything is trained once.
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
    """The result of all checks.

    Args:
        series: Name of the series.
        checks: All checks, in the order of time.
        notes: Sentences on kept trainings: damaged ones, and those that could not be kept.
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
        """Names of the checks that found a difference, each once."""
        return tuple(dict.fromkeys(check.name for check in self.checks if not check.identical))

    @property
    def table(self) -> pd.DataFrame:
        """One row a check, with the fields of :class:`Check` and ``identical``."""
        return pd.DataFrame([vars(check) | {"identical": check.identical} for check in self.checks])

    @property
    def verdict(self) -> str:
        """The result in a sentence."""
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
        given: The series, or several, as in :func:`kseq.compare`.
        settings: Settings of the comparison to audit; a few epochs and seeds are enough, for a leak shows in the
            first. By default two seeds and five epochs of the default settings.
        progress: Called with what is trained, the epoch and the epoch limit, after each epoch.
        executor: The executor that trains, as in :func:`kseq.compare`.
        keep: Folder in which finished trainings are kept, so that an audit that is started again does what is missing;
            by default a hidden one in ``out``, and none without ``out``.
        fresh: Whether to train everything anew, whatever is kept.
        **options: Those of ``kseq audit`` by the same names, instead of ``settings``; see :func:`kseq.compare`.

    Returns:
        Audit: ``.clean``, ``.leaks``, ``.table``, and every :class:`Check` as ``.checks``.

    Raises:
        ConfigError: A setting that the series does not allow.
        BackendError: The same training on the same values gives other weights each time, as some kernels of GPUs do:
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
        runs = [AuditedRun(comparison, number, settings) for number in range(len(comparison.trainings))]
        trained = trained_twice(panel, runs, store, workers, progress)
    checks = [check for run in runs for check in _checks(panel, run, trained[run.number])]
    return Audit(panel.name, tuple(checks), () if store is None else tidied(store))


def write(audit: Audit, folder: Folder, tell: Tell | None = None) -> list[Path]:
    """Write the checks of an audit as a table, with a record and a page; see :func:`kseq.report.run_folder.write`."""
    record = {"kseq": __version__, "series": audit.series, "clean": audit.clean, "leaks": audit.leaks,
              "verdict": audit.verdict}  # fmt: skip
    frames = {"audit.csv": audit.table}
    return write_all(folder, csvs_of(frames), record, {}, tell, frames)


def _checks(panel: Panel, run: AuditedRun, trained: dict[str, tuple[Made, Made]]) -> Iterator[Check]:
    """All checks of one training, in the order of time."""
    many = len(run.comparison.trainings) > 1
    fold = run.number + 1 if many else None
    for cutoff in run.cutoffs:
        first = run.row_of(cutoff)
        rows = int(np.sum(panel.ends - first))
        for name, before, after in _pairs(run, run.changed(panel, cutoff), cutoff, trained):
            values, differing, largest = difference(before, after)
            if values:
                yield Check(name, _known(panel, first), rows, values, differing, largest, fold)


def _known(panel: Panel, first: np.ndarray) -> str:
    """Date of the last row that is left as it is; of several series the first and the last of these dates."""
    dates = panel.index[first - 1]
    shown = [str(date).removesuffix(" 00:00:00") for date in (dates.min(), dates.max())]
    return " to ".join(dict.fromkeys(shown))


def _pairs(
    run: AuditedRun, changed: AuditedRun, cutoff: np.ndarray, trained: dict[str, tuple[Made, Made]]
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
