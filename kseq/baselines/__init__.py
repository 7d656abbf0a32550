"""Forecasts that cost next to nothing: what a network must beat to be worth its training.

Each series is forecast from its own training rows, all series of a group at once. Test forecasts come from a fit on
what stands before the test part, those of the validation part from a fit on what stands before that, so that their
errors are those of rows not seen. A baseline reads values up to an origin, the last known row, the origin included, and
none after it. Missing dates and values are read as :mod:`kseq.preprocessing.grid` fills them. Several targets are
forecast each on its own.

A series whose training rows do not allow a baseline, such as fewer than two seasons, is forecast by persistence in its
place, and it is said how many are; where no series allows it, it is skipped. Exponential smoothing and Theta are fitted
to one series after the other: to small panels alone, unless the user names them. DLinear reads windows.

A baseline here is a function that fits on the places before ``known`` of each series and returns another one, which
forecasts from origins: places of the last known values, ``(windows,)``, to ``(windows, horizon, targets)``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kseq.baselines._autoregression import autoregression, climatology_ar
from kseq.baselines._ets import ets
from kseq.baselines._group import CannotFit, Group
from kseq.baselines._linear import dlinear
from kseq.baselines._reasons import reasons_of
from kseq.baselines._simple import persistence, repeat_last, repeat_season, seasonal_means
from kseq.baselines._theta import theta
from kseq.evaluation.model_result import ModelResult
from kseq.preprocessing.grid import grids, season_of_panel
from kseq.preprocessing.linear import MOST_INPUTS
from kseq.preprocessing.windows import WindowedPanel
from kseq.validation import require_choice

#: Exponential smoothing takes 0.1 to 0.2 s a series of 100 to 2,000 rows, and is left out of larger panels unless it is
#: named.
MOST_SERIES_ETS = 20


#: Theta takes a thousandth of a second a series of some hundred rows.
MOST_SERIES_THETA = 1_000

#: Names that tables print, and a former one, where they differ from what is asked for by more than spelling.
_PRINTED = {"climatologylastanomaly": "climatology", "linear": "dlinear"}


def name_of(name: Any) -> Any:
    """The name by which a baseline is asked for, of what a table prints or of another spelling; else what was given.

    Example:
        >>> [name_of(name) for name in ("Theta", "Seasonal naive (12)", "ETS(A,N,A)", "Climatology + AR(2)", "mine")]
        ['theta', 'seasonal-naive', 'ets', 'climatology-ar', 'mine']
    """
    if not isinstance(name, str):
        return name
    plain = "".join(character for character in re.sub(r"\(.*?\)", "", name).lower() if character.isalnum())
    known = {one.replace("-", ""): one for one in BASELINES} | _PRINTED
    return known.get(plain, name)


@dataclass(frozen=True)
class Skipped:
    """A baseline that a panel does not allow.

    Args:
        name: Name by which a user asks for it, one of :data:`BASELINES`.
        reason: Why it is left out, as the end of a sentence.
    """

    name: str
    reason: str


def baseline_row(
    name: str,
    data: WindowedPanel,
    season: int = 0,
    *,
    named: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
) -> ModelResult | Skipped:
    """Fit a baseline to each series and forecast the test and validation windows of all.

    Args:
        name: One of :data:`BASELINES`.
        data: The windowed panel.
        season: Steps in a season; 0 to find it from the dates.
        named: Whether somebody has named this baseline. Exponential smoothing is fitted one series after the other, and
            where nobody has, to :data:`MOST_SERIES_ETS` at most.
        progress: Called with what is fitted, how many series are done and how many there are, after each series of
            exponential smoothing.

    Returns:
        The row, whose remark tells of series that do not allow this baseline; or why there is none.

    Raises:
        ConfigError: An unknown name.
    """
    name = require_choice("baseline", name_of(name), BASELINES)
    if name == "dlinear":
        return _dlinear(data)
    split, members = data.split, data.members
    lengths = np.stack([split.validation - split.start, split.stop - split.start], axis=1)[members]
    season = season or season_of_panel(data.series, split, members)
    reasons = reasons_of(name, lengths, season, data.lookback)
    if name == "ets" and len(members) > MOST_SERIES_ETS and not named:
        return Skipped(
            name,
            f"exponential smoothing is fitted one series after the other, and to more than {MOST_SERIES_ETS} only "
            "where baselines names ets",
        )
    if name == "theta" and len(members) > MOST_SERIES_THETA and not named:
        return Skipped(
            name,
            f"Theta is fitted one series after the other, and to more than {MOST_SERIES_THETA:,} only where baselines "
            "names theta",
        )
    bad = [number for number, reason in enumerate(reasons) if reason]
    if len(bad) == len(members):
        return Skipped(name, str(reasons[0]))
    allowed = np.ones(len(data.series.ids), bool)
    allowed[members[bad]] = False

    test, seen = (np.empty((len(part), data.horizon, data.targets)) for part in (data.test, data.validation))
    labels: list[str] = []
    told = _Told(progress, f"{'ETS' if name == 'ets' else 'Theta'}, series by series", int(allowed[members].sum()))
    for grid in grids(data.series, split, members):
        group = Group(grid, season, data.lookback, data.horizon, allowed[grid.members], told)
        try:
            label, whole, before = BASELINES[name](group, grid.place_of(split.stop), grid.place_of(split.validation))
            labels.append(label)
            for forecast, part, forecasts in ((whole, data.test, test), (before, data.validation, seen)):
                first, last = np.searchsorted(part.series, [grid.members[0], grid.members[-1] + 1])
                # The last rows that the windows of this group know.
                origins = grid.places_of(part.starts(np.arange(first, last)) - 1)
                made = persistence(group)(origins)
                mine = group.fitted[grid.owners[origins]]
                if mine.any():
                    made[mine] = forecast(origins[mine])
                forecasts[first:last] = made
        except CannotFit as error:
            return Skipped(name, str(error))
    return ModelResult(
        common_label(labels),
        test[None],
        kind="baseline",
        validation=seen[None] if len(data.validation) else None,
        remark=_remark(common_label(labels), data, members, bad, reasons),
    )


def common_label(labels: list[str]) -> str:
    """The label of all groups of series; without what differs among them."""
    return labels[0] if len(set(labels)) == 1 else labels[0].partition("(")[0].strip()


def _remark(
    label: str, data: WindowedPanel, members: np.ndarray, bad: list[int], reasons: list[str | None]
) -> str | None:
    """Say how many series persistence is given for; None for none."""
    if not bad:
        return None
    return (
        f"{label}: persistence in its place for {len(bad)} of {len(members)} series (first: "
        f"'{data.series.ids[members[bad[0]]]}', {reasons[bad[0]]})."
    )


class _Told:
    """Counts series that are done, and says so to whoever watches."""

    def __init__(self, progress: Callable[[str, int, int], None] | None, what: str, series: int):
        self.progress, self.what, self.series, self.done = progress, what, series, 0

    def __call__(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.what, self.done, self.series)


def _dlinear(data: WindowedPanel) -> ModelResult | Skipped:
    """A row of :mod:`kseq.baselines._linear`, which reads the windows of the networks."""
    inputs = data.lookback * data.features
    if inputs > MOST_INPUTS:
        return Skipped("dlinear", f"{inputs:,} numbers a window, expected at most {MOST_INPUTS:,} for least squares")
    test, seen = dlinear(data)
    return ModelResult("DLinear", test[None], kind="baseline", validation=seen[None] if len(seen) else None)


#: Baselines by the name that a user asks for, in the order of the table; DLinear is not fitted to a group of series.
BASELINES: dict[str, Callable[..., Any]] = {
    "persistence": repeat_last,
    "seasonal-naive": repeat_season,
    "climatology": seasonal_means,
    "ar": autoregression,
    "climatology-ar": climatology_ar,
    "ets": ets,
    "theta": theta,
    "dlinear": _dlinear,
}
