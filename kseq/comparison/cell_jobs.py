"""The rows of a comparison as jobs: a cell's block of seeds, or a rival, in a fold.

A job's key is made of all that decides its result: a digest of the data in memory, the settings that its training
reads, its seeds, and backend, device, versions and the code that trains. Everything else may change and the job is
still found in the store: other cells, baselines, levels of intervals, metrics, the file's name.

Seeds that are trained at once give what each gives alone up to rounding in the last digits. A block of seeds is
therefore one job, and the blocks of a cell are decided once: a run that is started again has the same ones, whatever
memory is free by then, and one with more seeds takes over those that are there.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from kseq.comparison._joined import join_folds
from kseq.comparison.auto import settled
from kseq.comparison.jobs import Prepared, blocks_of_cell, join_blocks, packed
from kseq.comparison.regressors import rival_row
from kseq.evaluation.model_result import ModelResult
from kseq.jobs import Context, Job, Outcome, Store, digest, place
from kseq.jobs.job import key_of
from kseq.jobs.store import MISSING
from kseq.models import name_of
from kseq.preprocessing.windows import WindowedPanel
from kseq.settings import Settings
from kseq.training.budget import Training
from kseq.training.progress import seeds_text, within

#: Fields of data that decide no number: names, and sentences on them.
WORDS = frozenset({"name", "ids", "unit", "source", "notes", "origin", "read", "choice"})

#: Fields of settings that decide no training beside what stands in the data; seeds and units are taken apart.
_ELSEWHERE = (
    "cells", "baselines", "seeds", "horizons", "match", "test", "validation", "n_windows", "step_size", "refit", "gap",
    "train_size", "metric", "members", "levels", "training", "rivals", "own", "by_cell",
)  # fmt: skip


def facts_of(
    name: str, kind: str, digested: str, data: WindowedPanel, settings: Settings, here: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the facts that decide the results of a row's trainings, besides the seeds.

    Args:
        name: Name of a cell or a rival of the settings.
        kind: ``"cell"`` or ``"rival"``.
        digested: Digest of the data.
        data: The windowed series.
        settings: Settings of the comparison.
        here: Facts of this machine that decide the numbers, see :func:`kseq.jobs.place.facts`.
    """
    own = settled(settings, data.choice).of(name)
    shared = {field: value for field, value in asdict(replace(own, own={}, cells=(), rivals=(), by_cell={})).items()
              if field not in _ELSEWHERE}  # fmt: skip
    made: dict[str, str] | None = None
    if name in settings.own:
        made = settings.own[name].record
        if not settings.own[name].told_by_record:
            # Another function may look the same: what it gives is of use to this run alone.
            made = {**made, "run": secrets.token_hex(16)}
    matched = [cell for cell in settings.cells if cell not in settings.own] if own.match != "units" else []
    return {
        "kind": kind,
        "row": name,
        "made_by": made,
        "data": digested,
        "settings": shared,
        "matched_among": matched,
        "quantiles": own.quantiles,
        "training": asdict(Training(**own.training)),
        "place": here,
    }


def train_block(
    data: WindowedPanel, context: Context, *, cell: str, settings: Settings, seeds: tuple[int, ...], fold: str
) -> dict[str, Any]:
    """Train a block of seeds of a cell: the function of its job.

    Args:
        data: The windowed series.
        context: Context of the job.
        cell: One of the cells of the settings.
        settings: Settings of the comparison.
        seeds: Seeds of the block.
        fold: Name of the training among several, for messages; empty for the only one.

    Returns:
        dict[str, Any]: Fields of its :class:`~kseq.evaluation.model_result.ModelResult`.
    """
    ready = prepared(data, context, cell, settings, fold)
    return packed(ready.train(seeds, within(context.progress, fold), state=context.state))


def prepared(data: WindowedPanel, context: Context, cell: str, settings: Settings, fold: str) -> Prepared:
    """Cut the windows of a cell, once for all of its blocks; arguments as of :func:`train_block`."""
    ready = context.cache.get("prepared")
    if ready is None or ready[0] is not data or ready[1:3] != (cell, fold):
        ready = (data, cell, fold, Prepared.of(cell, data, settings))
        context.cache["prepared"] = ready
    return ready[3]


def fit_rival(data: WindowedPanel, context: Context, *, rival: str, settings: Settings, fold: str) -> dict[str, Any]:
    """Fit a rival with all its seeds: the function of its job; arguments as of :func:`train_block`."""
    return packed(rival_row(settings.own[rival], data, settings, within(context.progress, fold)))


@dataclass(frozen=True)
class RowJobs:
    """The jobs of a row: one or several for each fold, in the order of folds.

    Args:
        name: Name of the row, as tables show it.
        folds: Jobs of each fold.
        seeds: Seeds of the settings; empty for a rival.
    """

    name: str
    folds: tuple[tuple[Job, ...], ...]
    seeds: tuple[int, ...]

    def joined(self, outcomes: Iterable[Outcome], order: Any) -> ModelResult:
        """Join the outcomes of the jobs into the row.

        Args:
            outcomes: Outcomes of the jobs, none of which failed.
            order: Order of the windows, as in :func:`kseq.comparison._joined.join_folds`.
        """
        made = {id(outcome.job): ModelResult(**outcome.value) for outcome in outcomes}
        return join_folds([join_blocks([made[id(job)] for job in jobs]) for jobs in self.folds], order)


def row_jobs(trainings: Sequence[WindowedPanel], settings: Settings, store: Store | None) -> list[RowJobs]:
    """Lay out the jobs of all cells and rivals of a comparison.

    Args:
        trainings: Windows of each training, in the order of time.
        settings: Settings of the comparison.
        store: Store of finished jobs, which says how seeds were divided; None for none.
    """
    digests = ["" if store is None else digest(data, WORDS) for data in trainings]
    here = {} if store is None else place.facts()
    words = [f"fold {number + 1} of {len(trainings)}" if len(trainings) > 1 else "" for number in range(len(trainings))]
    twice = [1 + bool(settings.refit_on_validation and len(data.validation)) for data in trainings]
    rows = []
    for cell in settings.cells:
        folds = []
        for data, digested, fold, each in zip(trainings, digests, words, twice, strict=True):
            facts = facts_of(cell, "cell", digested, data, settings, here) if store is not None else {}
            folds.append(tuple(
                Job(
                    f"{name_of(cell)}, {seeds_text(seeds)}{fold and ', '}{fold}", train_block,
                    {**facts, "seeds": seeds}, data,
                    {"cell": cell, "settings": settings, "seeds": seeds, "fold": fold}, each * len(seeds),
                )
                for seeds in parted(cell, data, settings, facts, store)
            ))  # fmt: skip
        rows.append(RowJobs(name_of(cell), tuple(folds), settings.seeds))
    for rival in settings.rivals:
        jobs = [
            (Job(
                f"{rival}{fold and ', '}{fold}", fit_rival,
                {**(facts_of(rival, "rival", digested, data, settings, here) if store is not None else {}),
                 "seeds": settings.seeds, "libraries": _libraries()},
                data, {"rival": rival, "settings": settings, "fold": fold}, 0,
            ),)
            for data, digested, fold in zip(trainings, digests, words, strict=True)
        ]  # fmt: skip
        rows.append(RowJobs(rival, tuple(jobs), ()))
    return rows


def _libraries() -> dict[str, str]:
    """Versions of the libraries whose regressors are compared."""
    from importlib import metadata

    found = {}
    for name in ("scikit-learn", "lightgbm", "xgboost", "catboost"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def parted(
    cell: str, data: WindowedPanel, settings: Settings, facts: dict[str, Any], store: Store | None
) -> list[tuple[int, ...]]:
    """Divide the seeds into blocks: as in an earlier run, or as memory and speed allow.

    Args:
        cell: One of the cells of the settings.
        data: The windowed series.
        settings: Settings of the comparison.
        facts: Facts that identify the cell's jobs, without their seeds.
        store: Store that knows how seeds were divided; None for none.
    """
    if store is None or settings.members:
        return blocks_of_cell(cell, data, settings, settings.seeds)
    family = {**facts, "kind": "blocks of all runs"}
    plan = {**facts, "kind": "blocks of a run", "seeds": settings.seeds}
    before = store.get(key_of(plan))
    if before is not MISSING:
        return [tuple(block) for block in before]
    known = store.get(key_of(family))
    known = [] if known is MISSING else [tuple(block) for block in known]
    kept = [block for block in known if store.has(key_of({**facts, "seeds": block}))]
    blocks: list[tuple[int, ...]] = []
    rest: list[int] = []

    def part() -> None:
        if rest:
            blocks.extend(blocks_of_cell(cell, data, settings, rest))
            rest.clear()

    at = 0
    while at < len(settings.seeds):
        fitting = [block for block in kept if settings.seeds[at : at + len(block)] == block]
        if fitting:
            part()
            blocks.append(max(fitting, key=len))
            at += len(blocks[-1])
        else:
            rest.append(settings.seeds[at])
            at += 1
    part()
    store.defer(lambda: store.put(plan, blocks))
    store.defer(lambda: store.put(family, sorted({*known, *blocks})))
    return blocks
