"""Rolling-origin backtests of a panel: the last origins of each series, forecast from what came before them.

A fold is an origin of every series: the k-th of its last ones. Series may end on different dates, and so each has a
cutoff of its own in a fold. What :mod:`kseq.comparison.backtest` says of one series holds for each. Models are trained once, on
what the first fold knows of all series; or with ``refit`` anew in each fold, on the panel as it was known at the fold's
last targets. All folds hold the same series: those that are long enough for the first one. The rows of all trainings
are held at once, as those of so many panels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kseq.comparison.backtest import join_folds
from kseq.errors import DataError
from kseq.panels.baselines import baseline_row
from kseq.panels.parts import PanelSplit, long_enough
from kseq.data.slices import before, chosen
from kseq.panels.transforms import PanelTransform
from kseq.panels.windows import WindowedPanel, make_panel_windows
from kseq.evaluation.model_result import ModelResult
from kseq.data import Panel
from kseq.settings import Settings
from kseq.transforms import Difference, steps_of


@dataclass(frozen=True, eq=False)
class PanelBacktest:
    """What is forecast of a panel, and what it is learnt from.

    Args:
        data: the whole panel with the windows of all folds as its test part; training and validation parts are those
            of the first fold.
        folds: parts of each series in each fold, in rows of the panel, in the order of time; a fold's test part is its
            targets. Those of series that are left out say nothing.
        trainings: the panel as it was known in each training, with the windows that it forecasts, in the order of time:
            one for all folds or, with ``refit``, one a fold.
        members: series of the trainings, places in the panel's ``ids``; sorted.
        order: of the windows of all trainings, one training after the other, those that stand in ``data.test``, one
            series after the other, ``(windows,)``.
        numbers: fold of each window of ``data.test``, from 0, ``(windows,)``.
    """

    data: WindowedPanel
    folds: tuple[PanelSplit, ...]
    trainings: tuple[WindowedPanel, ...]
    members: np.ndarray
    order: np.ndarray
    numbers: np.ndarray

    def rows_of(self, training: int, rows: np.ndarray) -> np.ndarray:
        """Find rows of a training in the whole panel.

        Args:
            training: its number, from 0.
            rows: one of each of its series, ``(series,)``.

        Returns:
            One of each series of the whole panel; of those that are left out, one after the last.
        """
        panel, own = self.data.series, self.trainings[training].series
        if own is panel:
            return rows
        found = panel.ends.copy()
        found[self.members] = rows - own.borders[:-1] + panel.borders[self.members]
        return found


def cut_panel(
    panel: Panel,
    settings: Settings,
    split: PanelSplit | None = None,
    like: WindowedPanel | None = None,
    only: np.ndarray | None = None,
) -> WindowedPanel:
    """Cut a panel as settings say; the others as in :func:`kseq.panels.windows.make_panel_windows`."""
    transform = PanelTransform(settings.transform, settings.season, settings.past_target)
    return make_panel_windows(
        panel,
        settings.lookback,
        settings.horizon,
        transform=None if settings.transform == "none" else transform,
        calendar=settings.calendar,
        scaler=settings.scaler,
        past_target=settings.past_target,
        test=settings.test,
        validation=settings.validation,
        n_windows=settings.n_windows,
        step_size=settings.step_size,
        gap=settings.gap,
        train_size=settings.train_size,
        split=split,
        like=like,
        only=only,
    )


def make_panel_backtest(panel: Panel, settings: Settings) -> PanelBacktest:
    """Lay the folds of a backtest over a panel.

    Args:
        panel: the series.
        settings: with ``n_windows`` from 1.

    Raises:
        DataError: all series, or ``train_size``, are too short for the first fold; or all windows of a part lie across
            missing dates or values.

    Example:
        >>> import pandas as pd
        >>> from kseq import panel_from_frame
        >>> days = pd.DataFrame({"unique_id": np.repeat(["a", "b"], 50), "y": np.arange(100.0) % 7})
        >>> backtest = make_panel_backtest(panel_from_frame(days), Settings(lookback=7, n_windows=3, refit=True))
        >>> [len(training.train) for training in backtest.trainings], len(backtest.data.test)
        ([66, 68, 70], 6)
    """
    step = settings.step_size or settings.horizon
    splits = [_split(panel, settings, number, refit=settings.refit) for number in range(settings.n_windows)]
    if not settings.refit:
        data = cut_panel(panel, settings)
        numbers = _numbers(data, step)
        return PanelBacktest(data, tuple(splits), (data,), data.members, np.arange(len(numbers)), numbers)
    # What a fold's transform loses at the beginning of a series is not known yet: a series that is long enough for the
    # first fold, whatever that is, is so for all of them.
    differs = settings.transform == "auto" or Difference.name in steps_of(settings.transform)
    only = long_enough(panel, splits[0], settings.lookback, settings.horizon, lost=Difference.lost * differs)
    data = cut_panel(panel, settings, only=only)
    members = np.flatnonzero(only)
    own = panel if only.all() else chosen(panel, members)
    one = replace(settings, n_windows=1, step_size=None, refit=False)
    trainings = []
    for number in range(settings.n_windows):
        known = before(own, own.ends - (settings.n_windows - 1 - number) * step)
        try:
            trainings.append(cut_panel(known, one))
        except DataError as error:
            raise DataError(f"fold {number + 1} of {settings.n_windows}: {error}") from error
    return _joined(data, splits, trainings, members, step)


def _split(panel: Panel, settings: Settings, number: int, refit: bool) -> PanelSplit:
    """Parts of each series in a fold; without ``refit`` its models learn from those of the first one."""
    step, last = settings.step_size or settings.horizon, settings.n_windows - 1
    share, gap, size = settings.validation, settings.gap, settings.train_size
    first = PanelSplit.by_origins(panel, settings.horizon, share, settings.n_windows, step, gap, size)
    test = first.test + number * step
    if refit:
        known = replace(panel, ends=panel.ends - (last - number) * step)
        return PanelSplit.by_origins(known, settings.horizon, share, 1, step, gap, size)
    return replace(first, test=test, end=test + settings.horizon)


def _numbers(data: WindowedPanel, step: int) -> np.ndarray:
    """Fold of each test window."""
    return (data.test.all_starts() - data.split.test[data.test.series]) // step


def _joined(
    data: WindowedPanel,
    splits: Sequence[PanelSplit],
    trainings: Sequence[WindowedPanel],
    members: np.ndarray,
    step: int,
) -> PanelBacktest:
    """Make the test part of all folds of those of the trainings, one series after the other."""
    shift = data.series.borders[members] - trainings[0].series.borders[:-1]
    owners = np.concatenate([training.test.series for training in trainings])
    starts = np.concatenate([training.test.all_starts() for training in trainings]) + shift[owners]
    order = np.argsort(starts)
    segments = tuple(range(start, start + 1, step) for start in starts[order].tolist())
    test = replace(data.test, segments=segments, owners=members[owners[order]])
    data = replace(data, test=test)
    return PanelBacktest(data, tuple(splits), tuple(trainings), members, order, _numbers(data, step))


def shared_season(trainings: Sequence[WindowedPanel], asked: int, found: int) -> int:
    """The season of all trainings: what was asked for, or of several what the dates of the first one say.

    Args:
        trainings: in the order of time.
        asked: steps in a season; 0 where nobody has asked for one.
        found: what the dates of the first training say of it; 1 for none.

    Returns:
        Steps in a season; 0 where each training finds it by itself, as where no series of the first one holds two.
    """
    first = trainings[0]
    longest = int((first.split.validation - first.split.start)[first.members].max())
    if asked or len(trainings) == 1:
        return asked
    return found if 1 < found <= longest // 2 else 0


def baseline_of(
    name: str,
    trainings: Sequence[WindowedPanel],
    season: int = 0,
    found: int = 0,
    *,
    order: np.ndarray | None = None,
    named: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[ModelResult, str | None]:
    """Fit a baseline in each training and join its forecasts.

    Args:
        name: of ``kseq.baselines.BASELINES``.
        trainings: in the order of time.
        season: steps in a season; 0 to find it from the dates.
        found: as in :func:`shared_season`.
        order: of their windows, as :attr:`PanelBacktest.order`.
        named: as in :func:`kseq.panels.baselines.baseline_row`.
        progress: as there.

    Returns:
        The row; and a sentence on series that do not allow this baseline, None where all do.

    Raises:
        ConfigError: as :func:`kseq.panels.baselines.baseline_row`.
        DataError: as there.
    """
    season = shared_season(trainings, season, found)
    made = [baseline_row(name, data, season, named=named, progress=progress) for data in trainings]
    notes = [(number, note) for number, (_, note) in enumerate(made, start=1) if note]
    row = join_folds([row for row, _ in made], order)
    if not notes or len(trainings) == 1:
        return row, made[0][1]
    fold, note = notes[0]
    others = f", and likewise in {len(notes) - 1} more" * (len(notes) > 1)
    return row, f"In fold {fold} of {len(made)}{others}: {note}"
