"""All measurements of an explanation as frames."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from kseq.explanation.result import CellExplanation, Measured

#: Shares of the norm at lag 0 for which the lag is told.
HALF, HUNDREDTH = 0.5, 0.01


def figures_of(explanation: Measured) -> pd.DataFrame:
    """Return one row a cell and measure: ``model``, ``measure``, ``mean``, ``std``, ``unit``.

    The standard deviation is over seeds, and over repeated measurements of a time.
    """
    rows = [(cell.name, *measure) for cell in explanation.cells for measure in _measures(cell, explanation)]
    if explanation.tasks is not None:
        frame = explanation.tasks.frame
        if not explanation.cells:
            for model, parameters in explanation.tasks.parameters.items():
                rows.append((model, "parameters", parameters, np.nan, ""))
                rows.append((model, "training step", *_spread(explanation.tasks.times[model].step_ms), "ms"))
        for model in dict.fromkeys(frame["model"]):
            for problem in dict.fromkeys(frame["problem"]):
                reached = explanation.tasks.reached(model, problem)
                rows.append((model, f"longest {problem} problem solved", *_spread(reached), "steps"))
    return pd.DataFrame(rows, columns=["model", "measure", "mean", "std", "unit"])


def _measures(cell: CellExplanation, explanation: Measured) -> Iterator[tuple[str, float, float, str]]:
    subject = explanation.subject
    assert subject is not None
    yield "parameters", cell.parameters, np.nan, ""
    yield "gates", cell.gates, np.nan, ""
    yield "multiply-adds of a window", cell.products, np.nan, ""
    error = subject.measure.upper()
    yield f"test {error}", *_spread(cell.memory.error), subject.unit if subject.measure == "mae" else ""
    for kind, (before, after) in (("loss", cell.loss_gradient), ("state", cell.state_gradient)):
        for when, curve in (("before", before), ("after", after)):
            if curve is not None:
                for share, name in ((HALF, "half"), (HUNDREDTH, "1 %")):
                    yield f"{kind} gradient falls to {name}, {when} training", *_spread(curve.falls_to(share)), "lag"
                yield f"{kind} gradient at the oldest lag, {when} training", *_spread(curve.values[:, -1]), "of lag 0"
    for way in cell.memory.without_older:
        yield f"rows needed, older ones {way}", *_spread(cell.memory.needed_by_seed(way)), "rows"
    for name in cell.at_work.names:
        yield f"{name} gate", *_spread(cell.at_work.means[name]), "mean"
        yield f"{name} gate below 0.1", *_spread(100 * cell.at_work.shut[name]), "%"
        yield f"{name} gate above 0.9", *_spread(100 * cell.at_work.open[name]), "%"
    if cell.agreement is not None:
        yield "steps until two pasts differ by half", *_spread(first_below(cell.agreement, HALF)), "steps"
    if cell.speed is not None:
        yield "forecast of 32 windows", *_spread(cell.speed.times.forward_ms), "ms"
        yield "training step", *_spread(cell.speed.times.step_ms), "ms"
        yield "steps to the common validation loss", *_spread(cell.speed.steps), "steps"
        yield "time to the common validation loss", *_spread(cell.speed.seconds), "s"


def first_below(curves: np.ndarray, limit: float) -> np.ndarray:
    """Return the first place of each row whose value is at most a limit; NaN where there is none."""
    below = curves <= limit
    return np.where(below.any(axis=1), below.argmax(axis=1), np.nan)


def _spread(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation over the seeds that have a value."""
    there = values[~np.isnan(values)]
    if not len(there):
        return float("nan"), float("nan")
    return float(there.mean()), float(there.std(ddof=1)) if len(there) > 1 else float("nan")


def frames_of(explanation: Measured) -> dict[str, pd.DataFrame]:
    """Return the measurements by file name: curves by lag, inputs, gates, variants and problems."""
    frames = {}
    if explanation.cells:
        frames["lags.csv"] = _lags(explanation)
        frames["inputs.csv"] = _inputs(explanation)
        gates = _gates(explanation)
        if len(gates):
            frames["gates.csv"] = gates
    if len(explanation.variants):
        frames["variants.csv"] = explanation.variants
    if explanation.tasks is not None:
        frames["problems.csv"] = explanation.tasks.frame
    return frames


def _lags(explanation: Measured) -> pd.DataFrame:
    """One row a cell, seed and lag; lag 0 of gradients is the last step that is read."""
    parts = []
    for cell in explanation.cells:
        kinds = {
            "loss_gradient_before": cell.loss_gradient[0],
            "loss_gradient_after": cell.loss_gradient[1],
            "state_gradient_before": cell.state_gradient[0],
            "state_gradient_after": cell.state_gradient[1],
        }
        count = cell.loss_gradient[1].values.shape[1]
        for place, seed in enumerate(cell.seeds):
            part = pd.DataFrame({"model": cell.name, "seed": seed, "lag": np.arange(count)})
            for name, curve in kinds.items():
                part[name] = np.nan if curve is None else curve.values[place]
            part["attributed"] = cell.memory.attributed[place].sum(axis=1)
            scored = min(place, len(cell.memory.error) - 1)
            rows = pd.Series(cell.memory.by_lag[scored], index=cell.memory.lags - 1)
            part["error_with_lag_shuffled"] = rows.reindex(part["lag"]).to_numpy()
            for way, errors in cell.memory.without_older.items():
                older = pd.Series(errors[scored], index=cell.memory.kept - 1)
                part[f"error_with_older_{way}"] = older.reindex(part["lag"]).to_numpy()
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _inputs(explanation: Measured) -> pd.DataFrame:
    subject = explanation.subject
    assert subject is not None
    rows = []
    for cell in explanation.cells:
        for number, name in enumerate(subject.inputs):
            share = cell.memory.attributed[..., number].sum(axis=1)
            growth = cell.memory.by_input[:, number] - cell.memory.error
            rows.append((cell.name, name, *_spread(growth), *_spread(share)))
    heads = ["model", "input", "error_grows_by", "error_grows_by_std", "attributed", "attributed_std"]
    return pd.DataFrame(rows, columns=heads)


def _gates(explanation: Measured) -> pd.DataFrame:
    subject = explanation.subject
    assert subject is not None
    parts = [
        pd.DataFrame({"model": cell.name, "gate": name, "ds": subject.dates, "mean": values.mean(axis=0)})
        for cell in explanation.cells
        for name, values in cell.at_work.along.items()
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
