"""A comparison as data frames and as a record: every number that a table, a file or a picture shows comes from here.

Members that diverged are left out of all but the learning curves.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from kseq import backends
from kseq._version import __version__
from kseq.backends import machine
from kseq.comparison.auto import settled
from kseq.comparison.backtest import Backtest
from kseq.comparison.others import points_of
from kseq.comparison.rows import Rows
from kseq.evaluation import metrics, rows, significance
from kseq.evaluation.evidence import Evidence
from kseq.evaluation.model_result import ModelResult
from kseq.models import cell_of
from kseq.models.parameter_counts import layer_widths
from kseq.preprocessing.splits import Split
from kseq.settings import CELL_NAMES, OWN_DATA, OWN_NETWORK, OWN_RIVAL, OWN_TRAINING, Settings


def table(comparison: Rows) -> pd.DataFrame:
    """One row a model, see :attr:`kseq.Comparison.table`."""
    evidence = comparison.evidence
    groups = significance.grouping(evidence.rows, evidence.pairs.values())
    skills = rows.skills(evidence.rows)
    ranks, validation = _ranks(evidence), {row.name: row.validation for row in evidence.rows}
    lines = []
    for row in comparison.rows:
        sound = int(row.sound.sum())
        line: dict[str, Any] = {
            "model": row.name,
            "kind": row.kind,
            "seeds": sound if row.kind == "cell" else len(row.seeds),
            "diverged": len(row.predictions) - sound,
            "parameters": row.parameters,
            "units": ",".join(map(str, _units(comparison, row))),
            **_own_settings(comparison, row),
        }
        for name in metrics.ALL_METRICS:
            line[name], line[f"{name}_std"] = rows.spread(comparison.scores(row, name))
        line["validation"] = validation[row.name]
        line["skill"] = skills.get(row.name, float("nan"))
        line["group"] = groups[row.name]
        line["may_be_best"] = evidence.may_be_best(row.name)
        line["confidence_p"] = evidence.confidence.get(row.name, float("nan"))
        line["rank"] = ranks.get(row.name, float("nan"))
        line |= _coverage(comparison, row)
        line["epochs"] = float(np.mean(row.epochs)) if row.epochs else float("nan")
        line["seconds_per_epoch_and_seed"] = row.seconds_per_epoch / row.members_at_once
        line["first_epoch_seconds"] = row.first_epoch_seconds
        line["kernel"] = row.kernel
        lines.append(line)
    return pd.DataFrame(lines)


def _ranks(evidence: Evidence) -> dict[str, float]:
    """Average rank of each row over series; empty with fewer than twenty."""
    test = evidence.ranks
    if test is None:
        return {}
    return {row.name: float(rank) for row, rank in zip(rows.ranked(evidence.rows), test.ranks, strict=True)}


def _units(comparison: Rows, row: ModelResult) -> list[int]:
    """Units of each recurrent layer of a cell; empty for rows that are no cells of kseq."""
    data, settings = comparison.data, _settings_of(comparison, row)
    cell = next((cell for cell, name in CELL_NAMES.items() if name == row.name), "")
    if settings is None or not cell:
        return []
    return layer_widths(settings.units_of(cell, features=data.features, targets=data.targets), settings.num_layers)


def _settings_of(comparison: Rows, row: ModelResult) -> Settings | None:
    """Settings of a cell or a regressor; None for rows that the comparison's settings do not name."""
    settings, cell = comparison.settings, cell_of(row.name)
    if settings is None or cell not in (*settings.cells, *settings.rivals):
        return None
    return settled(settings, comparison.data.choice).of(cell)


def _own_settings(comparison: Rows, row: ModelResult) -> dict[str, Any]:
    """Settings that a cell has of its own besides its units, and the number of trials that chose them, if any."""
    columns: dict[str, Any] = {}
    shared = comparison.settings and settled(comparison.settings, comparison.data.choice)
    named = {name for own in shared.by_cell.values() for name in own} if shared else set()
    settings = _settings_of(comparison, row)
    for name in OWN_NETWORK + OWN_TRAINING + OWN_DATA:
        if name not in named - {"units"}:
            continue
        value = None
        if settings is not None and (name in OWN_RIVAL or row.name not in settings.rivals):
            value = settings.training.get(name) if name in OWN_TRAINING else getattr(settings, name)
        columns[name] = float("nan") if value is None else value
    if comparison.search is not None:
        columns["trials"] = 0 if settings is None or row.name in settings.own else comparison.search.trials
    return columns


def predictions(comparison: Rows) -> pd.DataFrame:
    """Every forecast in long form, see :attr:`kseq.Comparison.predictions`."""
    data = comparison.data
    there = slice(None) if data.forecast_steps is None else data.forecast_steps.ravel()
    frames = []
    for target in range(data.targets):
        columns: dict[str, Any] = {}
        for row in comparison.rows:
            names = [row.name if len(row.predictions) == 1 else f"{row.name} (seed {row.seeds[number]})"
                     for number in range(len(row.predictions))]  # fmt: skip
            for name, values, sound in zip(names, row.predictions, row.sound, strict=True):
                columns[name] = np.where(sound, values[..., target].ravel(), np.nan)
            columns |= _bounds(comparison, row, [names[number] for number in np.flatnonzero(row.sound)], target)
        frames.append(pd.DataFrame(columns)[there])
    return pd.concat([points_of(data), pd.concat(frames, ignore_index=True)], axis=1)


def by_series(comparison: Rows) -> pd.DataFrame:
    """One row a series and model, see :attr:`kseq.Comparison.by_series`; of one series a row a model."""
    test, ids = comparison.data.test, comparison.data.series.ids
    series, windows = np.unique(test.series, return_counts=True)
    parts = []
    for row in comparison.rows:
        columns: dict[str, Any] = {
            "unique_id": ids[series], "model": row.name, "kind": row.kind, "windows": windows,
        }  # fmt: skip
        for name in metrics.ALL_METRICS:
            scores = comparison.scores(row, name, by="series")
            several = len(scores) > 1
            columns[name] = scores.mean(axis=0) if len(scores) else np.nan
            columns[f"{name}_std"] = scores.std(axis=0, ddof=1) if several else np.nan
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True).sort_values("unique_id", kind="stable", ignore_index=True)


def by_step(comparison: Rows) -> pd.DataFrame:
    """One row a model and horizon step, see :attr:`kseq.Comparison.by_step`."""
    reference = rows.best_baseline(comparison.evidence.rows)
    scores = {
        row.name: {name: comparison.scores(row, name, by="step") for name in metrics.ALL_METRICS}
        for row in comparison.rows
    }
    lines = []
    for row in comparison.rows:
        for step in range(comparison.data.horizon):
            line: dict[str, Any] = {"model": row.name, "kind": row.kind, "step": step + 1}
            for name, values in scores[row.name].items():
                line[name], line[f"{name}_std"] = rows.spread(values[:, step])
            line["skill"] = float("nan")
            if reference is not None:
                best = scores[reference.name][comparison.measure][0, step]
                line["skill"] = metrics.skill(line[comparison.measure], best)
            line |= _coverage(comparison, row, slice(step, step + 1))
            lines.append(line)
    return pd.DataFrame(lines)


def by_fold(comparison: Rows) -> pd.DataFrame:
    """One row a model and fold, see :attr:`kseq.Comparison.by_fold`; none of a fold without windows."""
    folds, lines = comparison.fold_scores(), []
    for row in comparison.rows:
        for number, fold in enumerate(folds, start=1):
            if fold is None:
                continue
            which, scores = fold
            cutoffs = scores.data.test_cutoffs
            line: dict[str, Any] = {"model": row.name, "kind": row.kind, "fold": number, "cutoff": cutoffs.min()}
            if comparison.several:
                line |= {"last_cutoff": cutoffs.max(), "windows": len(which)}
            for name in metrics.METRICS:
                overall = scores.overall(row.predictions[row.sound][:, which], name)
                line[name], line[f"{name}_std"] = rows.spread(overall)
            lines.append(line)
    return pd.DataFrame(lines)


def _coverage(comparison: Rows, row: ModelResult, steps: slice = slice(None)) -> dict[str, float]:
    """Coverage in percent and mean width of a row's intervals over some steps, NaN where there are none."""
    bands = comparison.intervals(row)
    columns: dict[str, float] = {}
    for level in comparison.levels:
        coverage = width = float("nan")
        if level in bands:
            coverage, width = comparison.coverage(bands[level], steps), comparison.width(bands[level], steps)
        columns |= {f"coverage_{level:g}": coverage, f"width_{level:g}": width}
    return columns


def _bounds(comparison: Rows, row: ModelResult, names: Sequence[str], target: int) -> dict[str, np.ndarray]:
    """Bounds of each forecast of a row, by the column names of Nixtla's packages."""
    bands = comparison.intervals(row)
    return {
        f"{name}-{side}-{level:g}": bound[number, ..., target].ravel()
        for number, name in enumerate(names)
        for level, band in bands.items()
        for side, bound in (("lo", band.lo), ("hi", band.hi))
    }


def history(comparison: Rows) -> pd.DataFrame:
    """Learning curves of every member, see :attr:`kseq.Comparison.history`."""
    lines = [
        {
            "model": row.name,
            "fold": training // len(row.seeds) + 1,
            "seed": row.seeds[training % len(row.seeds)],
            "epoch": epoch + 1,
            "loss": row.history["loss"][training, epoch],
            "val_loss": row.history["val_loss"][training, epoch] if "val_loss" in row.history else float("nan"),
        }
        for row in comparison.rows
        if row.history
        for training in range(len(row.epochs))
        for epoch in range(row.epochs[training])
    ]
    frame = pd.DataFrame(lines, columns=["model", "fold", "seed", "epoch", "loss", "val_loss"])
    return frame if len(comparison.trainings) > 1 else frame.drop(columns="fold")


def record(comparison: Rows, table: pd.DataFrame) -> dict[str, Any]:
    """Everything needed to judge and repeat the comparison, see :attr:`kseq.Comparison.record`."""
    data, backend = comparison.data, backends.running()
    series, settings = data.series, comparison.settings
    shown = table.set_index("model")
    # Of several series the rows of steps to come count as well.
    index = series.index if comparison.several else series.index[: series.ends[0]]
    return {
        "kseq": __version__,
        "backend": backend,
        "device": backends.device_in_use(backend) if backend else "",
        "versions": backends.versions(),
        "machine": machine(),
        "settings": settings.record if settings else {},
        "series": {
            "name": series.name,
            "targets": series.targets,
            "unit": series.unit,
            "features": series.features,
            "future": series.future,
            "static": list(series.static.columns),
            "inputs": data.input_columns,
            "transform": data.transform.label if data.transform else "none",
            "rows": len(index),
            "series": len(series.ids),
            "first": str(index.min()),
            "last": str(index.max()),
            "step": series.step,
            "freq": series.calendar.alias,
            "fill": series.fill,
            "notes": data.notes,
            "season": comparison.season,
            "source": series.source,
            "read": series.read,
            "sha256": series.fingerprint,
            "origin": asdict(series.origin) if series.origin else None,
        },
        "split": None if comparison.folds or comparison.several else _split(data.split),
        "windows": {name: len(getattr(data, name)) for name in ("train", "validation", "test")},
        "folds": _folds(comparison),
        "seconds": comparison.seconds,
        "with_forecasts": comparison.beside.record if comparison.beside else None,
        "tuning": comparison.search.record if comparison.search else None,
        "metric": comparison.measure,
        "best_baseline": comparison.evidence.baseline.name if comparison.evidence.baseline else None,
        "noise": _noise(comparison.evidence),
        "verdict": comparison.verdict,
        "traps": comparison.cautions,
        "models": [_model(comparison, row, shown.loc[row.name]) for row in comparison.rows],
        "differences": [
            asdict(pair) | {"significant": pair.significant} for pair in comparison.evidence.pairs.values()
        ],
    }


def _noise(evidence: Evidence) -> list[dict[str, Any]]:
    """Standard errors of each source of noise in the gap between the best row and each other one."""
    ranking = rows.ranked(evidence.rows)
    return [
        {"better": ranking[0].name, "worse": other.name}
        | {source.name: source.error for source in evidence.noise(ranking[0], other)}
        for other in ranking[1:]
    ]


def _split(split: Split) -> dict[str, int]:
    """Parts of one series, in its rows."""
    return {"validation": int(split.validation[0]), "test": int(split.test[0]), "n": int(split.end[0])}


def _folds(comparison: Rows) -> list[dict[str, Any]]:
    """Entries of the record for each fold."""
    backtest = comparison.backtest
    if backtest is None:
        return []
    return [_fold(backtest, number, one=not comparison.several) for number in range(len(backtest.folds))]


def _fold(backtest: Backtest, number: int, one: bool) -> dict[str, Any]:
    """One fold: the first and the last date of each part, of one series its rows, of several how many they are."""
    index, fold, members = backtest.data.series.index, backtest.folds[number], backtest.members
    parts = {
        "training": (fold.start, fold.validation),
        "validation": (fold.validation, fold.stop),
        "targets": (fold.test, fold.end),
    }
    cutoffs = index[fold.test[members] - 1]
    shown: dict[str, Any] = {"cutoff": str(cutoffs[0])}
    if not one:
        shown = {
            "series": len(members),
            "windows": int((backtest.numbers == number).sum()),
            "cutoff": {"first": str(cutoffs.min()), "last": str(cutoffs.max())},
        }
    for name, (start, stop) in parts.items():
        if not (start < stop)[members].any():
            continue
        start, stop = start[members], stop[members]
        rows = {"start": int(start[0]), "stop": int(stop[0])} if one else {"rows": int((stop - start).sum())}
        shown[name] = rows | {"first": str(index[start].min()), "last": str(index[stop - 1].max())}
    return shown


def _model(comparison: Rows, row: ModelResult, line: pd.Series) -> dict[str, Any]:
    """One row's part of the record; metrics have a value for each member that did not diverge."""
    return {
        "name": row.name,
        "kind": row.kind,
        "seeds": row.seeds,
        "parameters": row.parameters,
        "units": _units(comparison, row),
        "epochs": row.epochs,
        "refit_epochs": row.refit_epochs,
        "diverged": row.diverged,
        "kernel": row.kernel,
        "seconds": row.seconds,
        "first_epoch_seconds": row.first_epoch_seconds,
        "seconds_per_epoch": row.seconds_per_epoch,
        "members_at_once": row.members_at_once,
        **{name: comparison.scores(row, name) for name in metrics.ALL_METRICS},
        **{name: line[name] for name in ("validation", "skill", "group", "may_be_best", "confidence_p", "rank")},
        "intervals": {
            f"{level:g}": {name: line[f"{name}_{level:g}"] for name in ("coverage", "width")}
            for level in comparison.levels
        },
    }
