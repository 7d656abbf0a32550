"""Train the cells on a series, or load a saved model, and measure why they do as they do."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kseq import vocabulary
from kseq.comparison.backtest import cut_windows
from kseq.comparison.defaults import resolved
from kseq.comparison.scores import Scores
from kseq.data import Panel, Series
from kseq.errors import ConfigError, Parameter
from kseq.experiments._folder import folder_of
from kseq.explanation.explanation import Explanation, write
from kseq.explanation.result import CellExplanation, Speed, Subject
from kseq.explanation.shown import Shown
from kseq.explanation.tasks import LENGTHS, LONGEST, run_tasks
from kseq.explanation.timing import Times
from kseq.explanation.trained import VARIANTS, TrainedCell, times_of_cells, train, variant_errors
from kseq.preprocessing.grid import season_of_panel
from kseq.preprocessing.windows import WindowedPanel
from kseq.report import made_again
from kseq.settings import Settings
from kseq.training.progress import Progress
from kseq.validation import require_path

#: Share above the best loss that every cell reaches to which trainings are timed.
NEAR_BEST = 0.05


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
            them read. ``skip`` defaults to ``"none"``: what is explained is the cell, not the linear map beside it.

    Returns:
        Explanation: Tables, sentences and pictures.

    Raises:
        ConfigError: A setting is wrong or cannot be explained, or all seeds of a cell diverged.
        DataError: The series is too short, or does not fit the model.

    Example:
        >>> print(explain("nino12", seeds=3, problems=False))  # doctest: +SKIP
    """
    base = {"transform": "none", "skip": "none"}
    asked = vocabulary.asked(given, settings, options, base, needs_series=False)
    _require_explainable(asked.settings)
    with folder_of(asked, "explanation") as folder:
        explanation = _explained(asked.series, asked.settings, model, problems, long, variants, progress)
        if folder is not None:
            write(explanation, folder)
    if folder is not None:
        made_again.refresh(folder.path)
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

        subject, cells, seeds = explain_saved(require_path(model), series)
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
    if settings.training.get("loss") == "quantile":
        raise ConfigError(
            "received ", Parameter("loss"), " 'quantile', expected mse, mae or huber: networks with one output a step "
            "are explained.",
        )  # fmt: skip
    if not settings.cells:
        raise ConfigError("received no cells, expected at least one of rnn, lstm and gru.")


def _explain_series(
    panel: Panel, settings: Settings, variants: bool, progress: Progress | None
) -> tuple[Subject, tuple[CellExplanation, ...], pd.DataFrame]:
    settings = resolved(settings, panel)
    data = cut_windows(panel, settings)
    trained = [train(cell, data, settings, progress) for cell in settings.cells]
    season = settings.season or season_of_panel(data.series, data.split, data.members)
    shown = Shown(data, season)
    limit, times = _target_loss(trained), times_of_cells(settings.cells, data, settings)
    cells = tuple(
        shown.explain(
            one.cell, one.seeds, one.parameters, one.products, list(one.before), list(one.after), one.forecasts,
            _speed(one, times[one.cell], limit),
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
    shown: Shown,
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


def _speed(one: TrainedCell, times: Times, limit: float) -> Speed:
    curves = one.history.get("val_loss", one.history["loss"])
    reached = curves <= limit
    first = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, np.nan)
    return Speed(times, first * one.steps_per_epoch, curves, one.steps_per_epoch)
