"""``auto``: the transform that the validation part asks for, by least squares and then by short trainings.

Least squares rank all transforms, see :mod:`kseq.preprocessing.auto_transform`. Where networks are trained, the best
few, and ``none`` where it is about as good, are then tried by small networks of each cell, without a linear map, for a
few hundred steps, because least squares do not show what a network finds hard to learn. Among those whose networks are
about as good on the validation part as the best one, the choice is the one with the smallest error of least squares
over several parts, corrected by the ratio of the networks' error to theirs. The choice is one for all cells, by the
mean over them; with ``per-cell`` each has its own. It takes a share of the steps of a training at most, and a run of a
few steps goes by least squares alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from kseq.models import CELL_NAMES
from kseq.preprocessing.auto_transform import NEAR, Transform, Trial
from kseq.preprocessing.windows import WindowedPanel, make_windows
from kseq.settings import Settings

#: Names of a transform that ask for a choice.
ASKED = ("auto", "per-cell")

#: Transforms that networks try; steps of each, in batches of so many windows; learning rate; seeds; units.
TRIED, STEPS, BATCH, RATE, SEEDS, UNITS = 3, 200, 64, 3e-3, (0, 1), 32

#: A training is tried for this share of its own steps at most, and from so many steps on.
SHARE, FEWEST = 0.25, 40


@dataclass(frozen=True)
class Choice:
    """A transform that was chosen.

    Args:
        name: Steps of the transform, with commas between them.
        season: Steps in a season; 1 for none.
        by_cell: Steps by cell, where each has its own.
        sentence: A sentence on the transforms that were tried and their errors.
    """

    name: str
    season: int
    by_cell: Mapping[str, str] = field(default_factory=dict)
    sentence: str = ""


def settled(settings: Settings, choice: Choice | None) -> Settings:
    """Return settings with the chosen transform in place of ``auto`` or ``per-cell``."""
    if choice is None:
        return settings
    own = {cell: {"transform": name, **settings.by_cell.get(cell, {})} for cell, name in choice.by_cell.items()}
    return replace(settings, transform=choice.name, by_cell={**settings.by_cell, **own})


def choose(data: WindowedPanel, settings: Settings) -> Choice:
    """Choose a transform by the rows before the test part.

    Args:
        data: Windows of the untransformed values; their training and validation parts are read.
        settings: Settings of the comparison.
    """
    trial = Trial.of(data.series, data.split, data.members, settings.lookback, settings.horizon, settings.season)
    if not settings.past_target:
        return Choice("none", trial.season, sentence="Transform none: the targets' past is not to be read.")
    ranked = trial.allowed(data.series, trial.ranked)
    names = list(ranked[:TRIED])
    if "none" in ranked and "none" not in names and trial.errors["none"] <= NEAR * trial.errors[names[0]]:
        names.append("none")
    seen = _trained(names, trial, settings) if len(names) > 1 else {}

    def log(error: float) -> float:
        return float(np.log(max(error, 1e-300)))

    def best(errors: Mapping[str, float]) -> str:
        """Among those about as good as the best one, the one with the smallest corrected error of least squares."""
        near = NEAR * min(errors.values())
        able = [name for name in names if errors[name] <= near] or names
        return min(able, key=lambda name: trial.regrets[name] + log(errors[name]) - log(trial.errors[name]))

    means = {name: float(np.mean([of_cell[name] for of_cell in seen.values()])) for name in names} if seen else {}
    name = best(means) if means else names[0]
    by_cell = {}
    if settings.transform == "per-cell":
        by_cell = {cell: best(seen[cell]) if cell in seen else name for cell in settings.cells}
        # Windows stand where each of them has room.
        name = max(by_cell.values(), key=trial.lost, default=name)
    return Choice(name, trial.season, by_cell, _sentence(name, by_cell, trial, means))


def _sentence(name: str, by_cell: Mapping[str, str], trial: Trial, means: Mapping[str, float]) -> str:
    """Describe the transforms that were tried, with their errors."""
    unit = trial.measure
    known = {**{other: trial.errors[other] for other in [*trial.errors][:TRIED] if other != name}, **trial.simple}
    if "none" in trial.errors and name != "none":
        known["none"] = trial.errors["none"]
    own = ", ".join(f"{steps} for {CELL_NAMES.get(cell, cell)}" for cell, steps in by_cell.items())
    others = ", ".join(f"{other} {error:.4g}" for other, error in known.items())
    text = (
        f"Transform {own or name}, chosen of {len(trial.errors)} on the validation part: {unit} of least squares "
        f"{trial.errors[name]:.4g} with {name} ({others})"
    )
    if means:
        others = ", ".join(f"{other} {error:.4g}" for other, error in means.items() if other != name)
        text += f"; of short trainings {means[name]:.4g} ({others})"
    return f"{text}."


def _trained(names: list[str], trial: Trial, settings: Settings) -> dict[str, dict[str, float]]:
    """Errors on the validation part after a short training, by cell and transform; empty for trainings too short."""
    cells = [cell for cell in settings.cells if cell in CELL_NAMES]
    if not cells:
        return {}
    import keras

    from kseq import kernels
    from kseq.comparison.networks import build_cell
    from kseq.training.callbacks import predict
    from kseq.training.fit import Training, fit

    own = Training(**settings.training)
    # Each seed alone where the backend runs many steps of one network in a compiled call.
    alone = getattr(kernels.load(keras.config.backend()), "compiles_epochs", bool)()
    blocks = [(seed,) for seed in SEEDS] if alone else [SEEDS]
    plain = Settings(cells=tuple(cells), lookback=settings.lookback, horizon=settings.horizon, units=UNITS, skip="none")
    found: dict[str, dict[str, float]] = {cell: {} for cell in cells}
    for name in names:
        data = make_windows(
            trial.panel, settings.lookback, settings.horizon, transform=Transform(name, trial.season),
            calendar=settings.calendar, scaler=settings.scaler, split=trial.split,
        )  # fmt: skip
        windows = len(data.train)
        whole = own.epochs * -(-windows // min(own.batch_size or windows, windows))
        steps = int(min(STEPS, SHARE * (min(whole, own.max_steps) if own.max_steps else whole)))
        if steps < FEWEST:
            return {}
        data = replace(data, train=data.train.thinned(BATCH * steps), validation=data.validation.thinned(2000))
        epochs = max(1, round(steps / -(-len(data.train) // BATCH)))
        budget = Training(
            epochs=epochs, batch_size=BATCH, learning_rate=RATE, patience=epochs,
            # Networks of quantiles are judged by their medians.
            loss="mae" if own.loss == "quantile" else own.loss,
        )  # fmt: skip
        starts, owners = data.validation.all_starts(), data.validation.series
        for cell in cells:
            forecasts = []
            for seeds in blocks:
                model = build_cell(cell, data, plain, seeds)
                fit(model, data, budget, seeds)
                forecasts.append(predict(model, data, data.validation))
            error = trial.error(np.concatenate(forecasts), starts, owners)
            found[cell][name] = error if np.isfinite(error) else np.inf
    return found
