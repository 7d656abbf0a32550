"""Rolling-origin backtests: the last origins of each series, each forecast from what came before it.

A fold is an origin of every series (Tashman 2000): the k-th of its last ones. The last fold's targets end at the last
row of each series, and folds are ``step_size`` rows apart::

    rows     0 .............................................. n
    fold 1   | training | validation | gap | targets |
    fold 2   | training      | validation | gap | targets |
    fold 3   | training           | validation | gap | targets |

Models are trained once, on what the first fold knows; or with ``refit`` anew in each, on the panel as it was known at
the fold's last targets: what comes later is not there to leak. The gap's rows are kept from training and validation; a
window reads them, as every row before its targets. Series may end on different dates, and so each has a cutoff of its
own in a fold. All folds hold the same series: those that are long enough for the first one. The rows of all trainings
are held at once, as those of so many panels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kseq.baselines import Skipped, baseline_row
from kseq.comparison._joined import join_folds
from kseq.comparison.auto import ASKED, choose, settled
from kseq.comparison.defaults import resolved, thinned
from kseq.data import Panel, Series
from kseq.data.slices import before, chosen, extended
from kseq.errors import ConfigError, DataError, Parameter
from kseq.evaluation.model_result import ModelResult
from kseq.preprocessing.auto_transform import Transform
from kseq.preprocessing.splits import Split, fewest_rows, require_validation_share
from kseq.preprocessing.transforms import FittedTransform
from kseq.preprocessing.windows import WindowedPanel, make_windows
from kseq.settings import Settings


@dataclass(frozen=True, eq=False)
class Backtest:
    """The folds of a panel and the trainings that forecast them.

    Args:
        data: The whole panel with the windows of all folds as its test part; training and validation parts are those
            of the first fold.
        folds: Parts of each series in each fold, in rows of the panel, in the order of time; a fold's test part is its
            targets. Entries of series that are left out have no meaning.
        trainings: The panel as it was known in each training, with the windows that it forecasts, in the order of time:
            one for all folds or, with ``refit``, one a fold.
        members: Series of the trainings, places in the panel's ``ids``; sorted.
        order: Permutation from the concatenated test windows of all trainings to ``data.test``, ``(windows,)``.
        numbers: Fold of each window of ``data.test``, from 0, ``(windows,)``.
    """

    data: WindowedPanel
    folds: tuple[Split, ...]
    trainings: tuple[WindowedPanel, ...]
    members: np.ndarray
    order: np.ndarray
    numbers: np.ndarray

    def rows_of(self, training: int, rows: np.ndarray) -> np.ndarray:
        """Find rows of a training in the whole panel.

        Args:
            training: Number of the training, from 0.
            rows: One row of each of its series, ``(series,)``.

        Returns:
            One row of each series of the whole panel; for series that are left out, the row after the last.
        """
        panel, own = self.data.series, self.trainings[training].series
        if own is panel:
            return rows
        found = panel.ends.copy()
        found[self.members] = rows - own.borders[:-1] + panel.borders[self.members]
        return found


def cut_windows(
    series: Series | Panel,
    settings: Settings,
    split: Split | None = None,
    like: WindowedPanel | None = None,
    only: np.ndarray | None = None,
) -> WindowedPanel:
    """Cut windows of a series or a panel as settings say; other arguments as in :func:`kseq.make_windows`.

    With ``transform="auto"`` the choice and its reason are in ``.choice`` and ``.notes``.
    """
    panel = with_steps_to_come(Panel.of(series), settings)
    if settings.lookback is None:
        settings = resolved(settings, panel, split)
    if settings.n_windows and split is None and like is None:
        _require_rows(panel, settings)
    if settings.transform in ASKED and like is None:
        data = cut_windows(panel, replace(settings, transform="none"), split, only=only)
        choice = choose(data, settings)
        named = replace(settings, transform=choice.name, season=choice.season if choice.season > 1 else settings.season)
        if choice.name != "none":
            data = cut_windows(panel, named, split, only=only)
        return replace(data, choice=choice, notes=(*data.notes, choice.sentence))
    transform = Transform(settings.transform, settings.season, settings.past_target)
    data = make_windows(
        panel,
        settings.lookback,
        settings.horizon,
        transform=None if settings.transform in ("none", *ASKED) else transform,
        calendar=settings.calendar,
        scaler=settings.scaler,
        past_target=settings.past_target,
        test=settings.test,
        validation=settings.validation,
        n_windows=0 if split is not None or like is not None else settings.n_windows,
        step_size=settings.step_size,
        gap=settings.gap,
        train_size=settings.train_size,
        split=split,
        like=like,
        only=only,
        ahead=steps_ahead(panel, settings),
    )
    return replace(data, validation=thinned(data.validation))


def steps_ahead(panel: Panel, settings: Settings) -> np.ndarray | None:
    """Rows of each series that are forecast from an origin, ``(series,)``; None where all are of one horizon.

    Raises:
        ConfigError: The settings name a series that is not there.
    """
    if not settings.horizons:
        return None
    unknown = [str(id) for id in settings.horizons if str(id) not in set(panel.ids)]
    if unknown:
        raise ConfigError(
            "received ", Parameter("horizons"), f" of series '{unknown[0]}' ({len(unknown)} are such), expected ids of "
            f"the {len(panel.ids)} series: {', '.join(map(str, panel.ids[:3]))}{' and more' * (len(panel.ids) > 3)}.",
        )  # fmt: skip
    return np.array([settings.horizons.get(id, settings.horizon) for id in panel.ids])


def with_steps_to_come(panel: Panel, settings: Settings) -> Panel:
    """Extend each series by the rows that windows of the longest horizon reach beyond its last one."""
    ahead = steps_ahead(panel, settings)
    if ahead is None:
        return panel
    if panel.future:
        raise ConfigError(
            "received ", Parameter("horizons"), f" and future covariates ({', '.join(panel.future)}), expected none: "
            "models forecast the longest horizon, of which they are not known in other series.",
        )  # fmt: skip
    steps = settings.horizon - int(ahead.min())
    if (panel.borders[1:] - panel.ends >= steps).all():
        return panel
    return extended(panel, steps, panel.calendar.alias)


def as_chosen(settings: Settings, transform: FittedTransform | None) -> Settings:
    """Return settings that name the transform, so that it is not chosen again from other rows."""
    if transform is None:
        return replace(settings, transform="none")
    return replace(
        settings, transform=transform.name, season=transform.season if transform.season > 1 else settings.season
    )


def with_validation_learnt(data: WindowedPanel, settings: Settings) -> WindowedPanel:
    """The same windows with those of the validation part among the training windows, and none to validate on.

    Transform and scaler are those of ``data`` by name, fitted anew on all rows that are learnt from. Test windows stand
    where they stood.

    Args:
        data: The windowed series.
        settings: Settings by which the panel was cut.
    """
    split = replace(data.split, validation=data.split.stop)
    only = np.isin(np.arange(len(data.series.ids)), data.members)
    cut = cut_windows(data.series, as_chosen(settings, data.transform), split=split, only=only)
    test = replace(cut.test, segments=data.test.segments, owners=data.test.owners)
    return replace(cut, test=test, notes=data.notes)


def make_backtest(series: Series | Panel, settings: Settings) -> Backtest:
    """Lay the folds of a backtest over a series or a panel.

    Args:
        series: A series or a panel.
        settings: Settings with ``n_windows`` of at least 1.

    Raises:
        DataError: All series, or ``train_size``, are too short for the first fold, the message says how many rows are
            needed; or all windows of a part, or of a fold, lie across missing dates or values.

    Example:
        >>> from kseq import load_series
        >>> backtest = make_backtest(load_series("nino12"), Settings(horizon=12, n_windows=3))
        >>> backtest.data.test_cutoffs.strftime("%Y-%m").tolist(), len(backtest.trainings)
        (['2007-12', '2008-12', '2009-12'], 1)
    """
    panel = with_steps_to_come(Panel.of(series), settings)
    settings = resolved(settings, panel)
    splits = lay_folds(panel, settings)
    step = settings.step_size or settings.horizon
    if not settings.refit:
        data = cut_windows(panel, settings)
        numbers = _numbers(data, step)
        return Backtest(data, splits, (data,), data.members, np.arange(len(numbers)), numbers)
    # What the first fold has chosen holds for all, and a series that is long enough for it is so for all of them.
    data = cut_windows(panel, settings)
    members = data.members
    own = panel if len(members) == len(panel.ids) else chosen(panel, members)
    one = replace(as_chosen(settled(settings, data.choice), data.transform), n_windows=1, step_size=None, refit=False)
    trainings = []
    for number in range(settings.n_windows):
        known = before(own, own.ends - (settings.n_windows - 1 - number) * step)
        try:
            trainings.append(replace(cut_windows(known, one), choice=data.choice))
        except DataError as error:
            raise DataError(f"fold {number + 1} of {settings.n_windows}: ", *error.args) from error
    return _joined(data, splits, trainings, members, step)


def lay_folds(panel: Panel, settings: Settings) -> tuple[Split, ...]:
    """Find the rows of each fold.

    The last rows that are learnt from are the validation part, in the share that the settings give. They begin with the
    first row, or ``train_size`` rows before the gap. Without ``refit`` they are those of the first fold in all folds.

    Args:
        panel: The series.
        settings: Settings with ``n_windows`` of at least 1; only what concerns rows is read.

    Returns:
        Parts of each series in each fold, in the order of time; a fold's test part is its targets.

    Raises:
        DataError: As :func:`make_backtest`.

    Example:
        >>> import pandas as pd
        >>> from kseq import panel_from_frame
        >>> panel = panel_from_frame(pd.DataFrame({"unique_id": "a", "y": np.arange(100.0)}))
        >>> for fold in lay_folds(panel, Settings(lookback=6, horizon=5, n_windows=2, gap=3, refit=True)):
        ...     print(fold.start, fold.validation, fold.stop, fold.test, fold.end)
        [0] [74] [87] [90] [95]
        [0] [78] [92] [95] [100]
    """
    _require_rows(panel, settings if settings.lookback else resolved(settings, panel))
    return tuple(_split(panel, settings, number, refit=settings.refit) for number in range(settings.n_windows))


def _require_rows(panel: Panel, settings: Settings) -> None:
    """Refuse a series or a training size that leaves the first fold without a window to learn from.

    Of several series those that are too short are left out, and that is told where windows are cut.
    """
    lookback, horizon, share = settings.lookback, settings.horizon, settings.validation
    step = settings.step_size or horizon
    require_validation_share(share)
    if len(panel.ids) > 1:
        return
    n = int(panel.lengths[0])

    def enough(known: int) -> bool:
        training = known - round(known * share)
        return training >= lookback + horizon

    least = fewest_rows(enough, lookback + horizon)
    if settings.train_size is not None and settings.train_size < least:
        raise DataError(
            f"received a train size of {settings.train_size} rows, expected at least {least} for lookback {lookback}, "
            f"horizon {horizon} and a validation share of {share:g}; raise ",
            Parameter("train_size"),
            ".",
        )
    known = settings.train_size or least
    needed = known + settings.gap + (settings.n_windows - 1) * step + horizon
    if n < needed:
        raise DataError(
            f"received a series of {n} rows, expected at least {needed} for {settings.n_windows} windows of horizon "
            f"{horizon}, {step} row{'s' * (step > 1)} apart, and {known + settings.gap} rows before the first; lower ",
            Parameter("n_windows"),
            " or ",
            Parameter("step_size"),
            ", or bring more rows.",
        )


def _split(panel: Panel, settings: Settings, number: int, refit: bool) -> Split:
    """Parts of each series in a fold; without ``refit`` its models learn from those of the first one."""
    step, last = settings.step_size or settings.horizon, settings.n_windows - 1
    share, gap, size = settings.validation, settings.gap, settings.train_size
    ahead = steps_ahead(panel, settings)
    first = Split.by_origins(panel, settings.horizon, share, settings.n_windows, step, gap, size, ahead)
    test = first.test + number * step
    if refit:
        known = replace(panel, ends=panel.ends - (last - number) * step)
        return Split.by_origins(known, settings.horizon, share, 1, step, gap, size, ahead)
    return replace(first, test=test, end=test + settings.horizon)


def _numbers(data: WindowedPanel, step: int) -> np.ndarray:
    """Fold of each test window."""
    return (data.test.all_starts() - data.split.test[data.test.series]) // step


def _joined(
    data: WindowedPanel,
    splits: Sequence[Split],
    trainings: Sequence[WindowedPanel],
    members: np.ndarray,
    step: int,
) -> Backtest:
    """Make the test part of all folds of those of the trainings, one series after the other."""
    shift = data.series.borders[members] - trainings[0].series.borders[:-1]
    owners = np.concatenate([training.test.series for training in trainings])
    starts = np.concatenate([training.test.all_starts() for training in trainings]) + shift[owners]
    order = np.argsort(starts)
    segments = tuple(range(start, start + 1, step) for start in starts[order].tolist())
    test = replace(data.test, segments=segments, owners=members[owners[order]])
    data = replace(data, test=test)
    return Backtest(data, tuple(splits), tuple(trainings), members, order, _numbers(data, step))


def shared_season(trainings: Sequence[WindowedPanel], asked: int, found: int) -> int:
    """The season of all trainings: the one asked for, or that of the dates of the first training.

    Args:
        trainings: Windows of each training, in the order of time.
        asked: Steps in a season that were asked for; 0 for none.
        found: Season that the dates of the first training show; 1 for none.

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
) -> ModelResult | Skipped:
    """Fit a baseline in each training and join its forecasts.

    Args:
        name: One of ``kseq.baselines.BASELINES``.
        trainings: Windows of each training, in the order of time.
        season: Steps in a season; 0 to find it from the dates.
        found: Season that the dates show, as in :func:`shared_season`.
        order: Permutation of their windows, as :attr:`Backtest.order`; None to keep the order of the trainings.
        named: Whether the baseline was asked for by name, as in :func:`kseq.baselines.baseline_row`.
        progress: Function to call as :func:`kseq.baselines.baseline_row` says.

    Returns:
        The row, with a remark on series that do not allow this baseline; or the reason why there is no row.

    Raises:
        ConfigError: As :func:`kseq.baselines.baseline_row`.
    """
    season = shared_season(trainings, season, found)
    rows = []
    for data in trainings:
        made = baseline_row(name, data, season, named=named, progress=progress)
        if isinstance(made, Skipped):
            return made
        rows.append(made)
    remarks = [(number, row.remark) for number, row in enumerate(rows, start=1) if row.remark]
    row = join_folds(rows, order)
    if not remarks or len(trainings) == 1:
        return row
    fold, remark = remarks[0]
    others = f", and likewise in {len(remarks) - 1} more" * (len(remarks) > 1)
    return replace(row, remark=f"In fold {fold} of {len(rows)}{others}: {remark}")
