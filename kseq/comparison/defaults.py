"""Defaults of lookback, batches and steps, chosen from horizon, season and size, the same for all cells.

- A model reads 1.25 times the horizon, the window that Hewamalage et al. (2021) found better than one of the season's
  length; at least 12 rows, and a season if it has at most 31.
- Windows come in batches of 32. An epoch reads at most 4,096 of them, and a training at most six million rows: what a
  large panel takes is bounded, and a series of some thousand rows is read as often as ``epochs`` says.
- Of the validation part at most 2,048 windows are forecast, evenly spaced; more change neither the epoch of
  early stopping nor the width of intervals.
"""

import math
from dataclasses import replace

import numpy as np

from kseq.data import Panel, Series
from kseq.preprocessing.grid import season_of_panel
from kseq.preprocessing.splits import Split
from kseq.preprocessing.windows import Windows
from kseq.settings import Settings

#: Rows that a model reads at least, and the longest season that it reads whole.
FEWEST, SEASON = 12, 31

#: Windows of a batch, and the most of an epoch and of the validation part.
BATCH, EPOCH, VALIDATION = 32, 4096, 2048

#: Rows that a training reads at most: steps times windows of a batch times lookback.
ROWS = 6_000_000


def resolved(settings: Settings, series: Series | Panel, split: Split | None = None) -> Settings:
    """Choose lookback, batches and steps where they are not given.

    Args:
        settings: Settings of a comparison, or of one cell.
        series: The series, or a panel.
        split: Parts of the series; by default those that the settings ask for.

    Returns:
        Settings: The same with ``lookback``, and with ``batch_size``, ``windows_per_epoch`` and ``max_steps`` in
        ``training``.

    Example:
        >>> from kseq import load_series
        >>> settings = resolved(Settings(horizon=24), load_series("nino12"))
        >>> settings.lookback, settings.training["batch_size"], settings.training["max_steps"]
        (30, 32, 6250)
    """
    panel = Panel.of(series)
    split = split or _split(panel, settings)
    rows = np.maximum(split.validation - split.start, 0)
    lookback = settings.lookback
    if lookback is None:
        season = settings.season or season_of_panel(panel, split, np.flatnonzero(rows))
        own = [cell["lookback"] for cell in settings.by_cell.values() if "lookback" in cell]
        lookback = max(FEWEST, math.ceil(1.25 * settings.horizon), season if season <= SEASON else 0, *own)
    windows = int(np.maximum(rows - lookback - settings.horizon + 1, 0).sum())
    given = settings.training
    batch = given.get("batch_size", BATCH)
    training = {
        "batch_size": batch,
        "windows_per_epoch": given.get("windows_per_epoch", EPOCH if windows > EPOCH else 0),
        "max_steps": given.get("max_steps", max(1, ROWS // ((batch or max(windows, 1)) * lookback))),
    }
    return replace(settings, lookback=lookback, training={**given, **training})


def thinned(windows: Windows, most: int = VALIDATION) -> Windows:
    """Leave out windows evenly until there are about as many as allowed; each run of windows keeps its last one.

    Example:
        >>> import numpy as np
        >>> values = np.zeros((100, 1))
        >>> thinned(Windows(values, values, (range(10, 90),), lookback=5, horizon=1), most=8).segments
        (range(19, 90, 10),)
    """
    stride = math.ceil(len(windows) / most)
    if stride <= 1:
        return windows
    segments = tuple(
        range(segment.start + (len(segment) - 1) % stride * segment.step, segment.stop, stride * segment.step)
        for segment in windows.segments
    )
    return replace(windows, segments=segments)


def _split(panel: Panel, settings: Settings) -> Split:
    """Parts of each series, in a backtest those of its first fold."""
    if not settings.n_windows:
        return Split.by_fraction(panel, settings.test, settings.validation)
    step = settings.step_size or settings.horizon
    shares = (settings.validation, settings.n_windows, step, settings.gap, settings.train_size)
    return Split.by_origins(panel, settings.horizon, *shares)
