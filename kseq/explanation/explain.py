"""Train the cells on a series, or load a saved model, and measure why they do as they do."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kseq import vocabulary
from kseq.comparison.backtest import cut_windows
from kseq.comparison.scores import Scores
from kseq.data import Panel, Series
from kseq.errors import ConfigError, Parameter
from kseq.explanation.equations import equations_of
from kseq.explanation.gates import gates_of
from kseq.explanation.gradients import integrated_gradients, loss_gradient, state_gradient
from kseq.explanation.memory import agreement, memory_used
from kseq.explanation.networks import Network
from kseq.explanation.result import CellExplanation, Explanation, Speed, Subject, write
from kseq.explanation.tasks import LENGTHS, LONGEST, run_tasks
from kseq.explanation.trained import VARIANTS, TrainedCell, train, variant_errors
from kseq.kernels.reference import GATES
from kseq.preprocessing.grid import season_of_panel
from kseq.preprocessing.windows import WindowedPanel
from kseq.settings import CELL_NAMES, Settings
from kseq.training.progress import Progress

#: Test windows that are looked at, at most, evenly spaced; of attributions fewer, they take a pass for each point.
WINDOWS, ATTRIBUTED = 256, 64
#: Share above the best loss that every cell reaches to which trainings are timed.
NEAR_BEST = 0.05

_STATES = {"rnn": ("h",), "lstm": ("h", "c"), "gru": ("h",)}
_KERNELS = {"rnn": "simple_rnn", "lstm": "lstm", "gru": "gru"}


@vocabulary.shows_options
def explain(
    given: Any = None,
    /,
    settings: Settings | None = None,
    *,
    model: str | Path | None = None,
    problems: bool = True,
    long: bool = False,
    variants: bool = True,
    progress: Progress | None = None,
    **options: Any,
) -> Explanation:
    """Measure what cells remember of a series, what their gates do, and what their training takes.

    Args:
        given: The series on which the cells are trained, as :func:`kseq.compare` takes it. None explains a saved model
            on the rows that it keeps or, without a model, what the cells can do on problems that ask for memory alone.
        settings: All settings; None, the default, for those that ``options`` name. Backtests and strategies other than
            ``"direct"`` are not explained.
        model: File of a model that ``kseq fit`` has saved, which is explained instead of cells that are trained.
            Defaults to None.
        problems: Whether to train the cells on the adding and the copy problem too, at 10, 30, 100 and 300 steps, which
            takes some minutes. A saved model is explained without. Defaults to True.
        long: Whether to train them at 1,000 steps too. Defaults to False.
        variants: Whether to train variants of LSTM and GRU too: forget gate held open, forget bias 0, reset gate before
            the product. Defaults to True.
        progress: Called with what is trained, the epoch and the epoch limit, after each epoch.
        **options: Those of ``kseq explain`` by the same names; see :mod:`kseq.vocabulary`. ``transform`` defaults to
            ``"none"``, so that a lag is a row of the series; ``"auto"`` explains the cells on what a comparison has
            them read.

    Returns:
        Explanation: Tables, sentences and pictures.

    Raises:
        ConfigError: A setting is wrong or cannot be explained, or all seeds of a cell diverged.
        DataError: The series is too short, or does not fit the model.

    Example:
        >>> print(explain("nino12", seeds=3, problems=False))  # doctest: +SKIP
    """
    base = {"transform": "none"}
    asked = vocabulary.asked(given, settings, options, base, needs_series=False)
    _require_explainable(asked.settings)
    with asked.folder("explanation") as folder:
        explanation = _explained(asked.series, asked.settings, model, problems, long, variants, progress)
        if folder is not None:
            write(explanation, folder)
    return explanation


def _explained(
    series: Series | Panel | None,
    settings: Settings,
    model: str | Path | None,
    problems: bool,
    long: bool,
    variants: bool,
    progress: Progress | None,
) -> Explanation:
    subject: Subject | None = None
    cells: tuple[CellExplanation, ...] = ()
    changed = pd.DataFrame()
    seeds = settings.seeds
    if model is not None:
        from kseq.explanation.saved import explain_saved

        subject, cells, seeds = explain_saved(Path(model), series)
    elif series is not None:
        subject, cells, changed = _explain_series(Panel.of(series), settings, variants, progress)
    elif not problems:
        raise ConfigError(
            "received neither a series nor a model nor ", Parameter("problems"), ", expected one of them."
        )
    outcome = None
    if problems and model is None:
        outcome = run_tasks(settings.cells, settings.seeds, (*LENGTHS, LONGEST) if long else LENGTHS, progress)
    return Explanation(subject, cells, outcome, changed, tuple(seeds))


def _require_explainable(settings: Settings) -> None:
    default = Settings()
    for name in ("strategy", "n_windows", "by_cell"):
        if getattr(settings, name) != getattr(default, name):
            raise ConfigError(
                "received ", Parameter(name), f" {getattr(settings, name)!r}, expected none: one training of each cell "
                "that forecasts all steps at once is explained.",
            )  # fmt: skip
    if not settings.cells:
        raise ConfigError("received no cells, expected at least one of rnn, lstm and gru.")


def _explain_series(
    panel: Panel, settings: Settings, variants: bool, progress: Progress | None
) -> tuple[Subject, tuple[CellExplanation, ...], pd.DataFrame]:
    data = cut_windows(panel, settings)
    trained = [train(cell, data, settings, progress) for cell in settings.cells]
    season = settings.season or season_of_panel(data.series, data.split, data.members)
    shown = Shown(data, season)
    limit = _target_loss(trained)
    cells = tuple(
        shown.explain(
            one.cell, one.seeds, one.parameters, one.products, list(one.before), list(one.after), one.forecasts,
            _speed(one, limit),
        )
        for one in trained
    )  # fmt: skip
    sentence = (
        f"{len(settings.seeds)} {'networks' if len(settings.seeds) > 1 else 'network'} of each cell, trained on "
        f"{len(data.train):,} windows of {data.lookback} rows and stopped by {len(data.validation):,} later ones; "
        f"explained on {shown.windows:,} windows of the test part."
    )
    changed = _variants(data, settings, shown, cells, progress) if variants else pd.DataFrame()
    return shown.subject(limit, sentence), cells, changed


def _variants(
    data: WindowedPanel,
    settings: Settings,
    shown: "Shown",
    cells: Sequence[CellExplanation],
    progress: Progress | None,
) -> pd.DataFrame:
    """Train every variant of the cells that are explained."""
    scores = Scores(data, shown.season)
    rows = []
    for variant in VARIANTS:
        own = next((cell for cell in cells if cell.cell == variant.cell), None)
        if own is None:
            continue

        def errors(forecasts: np.ndarray) -> np.ndarray:
            part = forecasts[:, shown.which]
            return shown.scores.overall(part, shown.scores.measure)

        found = variant_errors(variant, data, settings, errors, progress)
        mean = float(np.mean(found)) if len(found) else float("nan")
        rows.append({
            "model": own.name,
            "variant": variant.name,
            "error": mean,
            "error_std": float(np.std(found, ddof=1)) if len(found) > 1 else float("nan"),
            "change": mean / float(own.memory.error.mean()) - 1,
            "p": _p_of_means(found, own.memory.error),
            "measure": scores.measure,
        })  # fmt: skip
    return pd.DataFrame(rows)


def _p_of_means(one: np.ndarray, other: np.ndarray) -> float:
    """P-value of Welch's t-test: whether seeds alone explain that two means differ; NaN of a single seed."""
    from scipy import stats

    if min(len(one), len(other)) < 2:
        return float("nan")
    return float(stats.ttest_ind(one, other, equal_var=False).pvalue)


def _target_loss(trained: Sequence[TrainedCell]) -> float:
    """Return the validation loss that half of the seeds of every cell reach, and 5 % more."""
    if any("val_loss" not in one.history for one in trained):
        return float("nan")
    return (1 + NEAR_BEST) * max(float(np.median(np.nanmin(one.history["val_loss"], axis=1))) for one in trained)


def _speed(one: TrainedCell, limit: float) -> Speed:
    curves = one.history.get("val_loss", one.history["loss"])
    reached = curves <= limit
    first = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, np.nan)
    return Speed(one.step_ms, one.forward_ms, first * one.steps_per_epoch, curves, one.steps_per_epoch)


class Shown:
    """The test windows that are looked at, and how forecasts of them are scored.

    Args:
        data: The windows.
        season: Steps in a season, by which errors of several series are scaled.
    """

    def __init__(self, data: WindowedPanel, season: int):
        self.data, self.season = data, season
        total = len(data.test)
        self.which = np.unique(np.linspace(0, total - 1, min(WINDOWS, total)).round().astype(int))
        self.scores = Scores(data, season).only(self.which)
        self.part = self.scores.data
        self.x, y = data.test.gather(self.which)
        self.y = y.reshape(len(y), -1)
        # A saved model keeps no training windows: what it is explained on stands for them.
        known = data.train if len(data.train) else data.test
        inputs = known.gather(np.unique(np.linspace(0, len(known) - 1, 512).astype(int)))[0]
        self.base = inputs.reshape(-1, inputs.shape[-1]).mean(axis=0).astype("float64")

    @property
    def windows(self) -> int:
        """How many windows there are."""
        return len(self.which)

    def errors(self, scaled: np.ndarray) -> np.ndarray:
        """Score scaled forecasts ``(seed, windows, outputs)``; return an error a seed."""
        return self.scores.overall(self.part.to_units(scaled, self.part.test), self.scores.measure)

    def subject(self, target_loss: float, source: str) -> Subject:
        """Describe what was looked at."""
        data, rows = self.part, self.part.test.target_rows[:, 0]
        return Subject(
            data.series.name, data.series.step, data.lookback, self.windows, data.input_columns,
            data.series.index[rows], data.series.y[rows, 0], self.scores.measure, data.series.unit, target_loss, source,
            data.transform.label if data.transform else "none",
        )  # fmt: skip

    def explain(
        self,
        cell: str,
        seeds: Sequence[int],
        parameters: int,
        products: int,
        before: list[Network],
        after: list[Network],
        forecasts: Callable[[np.ndarray], np.ndarray],
        speed: Speed | None,
    ) -> CellExplanation:
        """Measure one cell."""
        x = self.x.astype("float64")
        few = x[np.unique(np.linspace(0, len(x) - 1, min(ATTRIBUTED, len(x))).astype(int))]
        attributed = np.stack([np.abs(integrated_gradients(net, few, self.base)).mean(axis=0)[::-1] for net in after])
        total = attributed.sum(axis=(1, 2), keepdims=True)
        attributed = np.divide(attributed, total, out=np.zeros_like(attributed), where=total > 0)
        one_way = not after[0].bidirectional
        return CellExplanation(
            cell,
            CELL_NAMES[cell],
            tuple(seeds),
            parameters,
            len(GATES[_KERNELS[cell]]),
            _STATES[cell],
            products,
            equations_of(cell, after[0]),
            (loss_gradient(before, x, self.y) if before else None, loss_gradient(after, x, self.y)),
            (state_gradient(before, x) if before else None, state_gradient(after, x)),
            memory_used(forecasts, after, x, self.errors, self.base, attributed),
            gates_of(after, x),
            agreement(after, x) if one_way else None,
            speed,
        )
