"""A transform by name, and ``auto``: which steps the validation part asks for.

``auto`` tries transforms and takes the one that forecasts the validation part best, with the sizes of the windows that
models read: what serves one step ahead may fail at thirty. Each is tried by least squares with a small ridge (Hoerl and
Kennard 1970) on the training windows, as a stand-in for a network that takes a hundredth of a second; where networks
are trained, :mod:`kseq.comparison.auto` then trains the best few for a moment. Tried are, with and without logarithms
and anomalies, the values themselves and each reference of :mod:`kseq.preprocessing.references`; differences one step
ahead, where none are summed; and the trend of a single series. A transform that leaves out a series is not tried.

Errors are mean absolute ones of one series, MASE or OWA of several, see :attr:`Trial.measure`. Nothing after the
validation part is read. Of a series whose validation part is shorter than the horizon the last rows before the test
part, as many as the horizon, are judged instead, where a training window is left before them.

    >>> from kseq import load_series, make_windows
    >>> make_windows(load_series("co2"), transform=Transform("auto")).transform.label
    'log,anomaly,difference (season 12)'
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from kseq.data import Panel
from kseq.data.slices import before, chosen
from kseq.errors import ConfigError, DataError
from kseq.preprocessing.grid import season_of_panel, seasonal_scales
from kseq.preprocessing.references import Reference
from kseq.preprocessing.splits import Split, long_enough, placed_windows
from kseq.preprocessing.transforms import FittedTransform, fit_steps, steps_of

#: Rows of all series, training windows and validation windows that a choice looks at, at most; and inputs of each.
ROWS, WINDOWS, JUDGED, INPUTS = 200_000, 10_000, 2_000, 400

#: Share of the training part, cut from its end, that stands in for a validation part where there is none.
SHARE = 0.15

#: Parts of the series, the validation part among them, that least squares are tried on.
PARTS = 3

#: What each step of a transform must be worth: this share of the error.
DOUBT = 0.002

#: Errors on the validation part that count as about as good as the smallest one: up to so many times as large.
NEAR = 1.1

#: Ridge of the least squares, in units of the mean square of an input.
RIDGE = 1e-3


@dataclass(frozen=True)
class Transform:
    """A transform to be fitted, by name.

    Args:
        names: Its steps with commas between them, of :data:`kseq.preprocessing.transforms.STEPS`; or ``"auto"``, or
            ``"none"``.
        season: Steps in a season; 0 to find it from the dates.
        past_target: Whether models read the targets' past. If not, ``auto`` leaves values as they are: a forecast that
            starts from the last value would bring that past back in.

    Raises:
        ConfigError: See :func:`kseq.preprocessing.transforms.steps_of`.
    """

    names: str
    season: int = 0
    past_target: bool = True

    def __post_init__(self) -> None:
        steps_of(self.names)

    def fit(
        self, panel: Panel, split: Split, members: np.ndarray, lookback: int = 1, horizon: int = 1
    ) -> FittedTransform:
        """Fit on the training rows of each series.

        Args:
            panel: The series.
            split: Their parts.
            members: Series to fit, places in the panel's ``ids``; sorted.
            lookback: Rows that models read, by which ``auto`` chooses.
            horizon: Rows that they forecast.

        Raises:
            ConfigError: A season is asked for and there is none, or fewer than two are in the training rows of every
                series.
            DataError: ``log`` or ``log1p`` of values that have none.
        """
        names = steps_of(self.names)
        season = 1
        if {"anomaly", "season"} & set(names):
            season = self.season or season_of_panel(panel, split, members)
        if names != ("auto",):
            return fit_steps(names, panel, split, members, season, lookback=lookback)
        if not self.past_target:
            return fit_steps((), panel, split, members, season)
        trial = Trial.of(panel, split, members, lookback, horizon, self.season)
        names = steps_of(trial.allowed(panel, trial.ranked)[0])
        return fit_steps(names, panel, split, members, trial.season, lookback=lookback)


@dataclass(frozen=True, eq=False)
class Trial:
    """Series by which transforms are tried.

    Args:
        panel: Some of the series, up to the end of their validation parts.
        split: Their parts.
        lookback: Rows that models read.
        horizon: Rows that they forecast.
        season: Steps in a season; 1 for none.
    """

    panel: Panel
    split: Split
    lookback: int
    horizon: int
    season: int

    @classmethod
    def of(
        cls, panel: Panel, split: Split, members: np.ndarray, lookback: int, horizon: int, season: int = 0
    ) -> "Trial":
        """Take as many series as a choice looks at, evenly.

        Args:
            panel: The series.
            split: Their parts.
            members: Series that have windows, places in the panel's ``ids``; sorted.
            lookback: Rows that models read.
            horizon: Rows that they forecast.
            season: Steps in a season; 0 to find it from the dates.
        """
        season = season or season_of_panel(panel, split, members)
        every = -(-int((split.stop - split.start)[members].sum()) // ROWS)
        some = members[:: max(1, every)]
        known = before(panel, np.maximum(split.stop, panel.borders[:-1] + 1))
        shift = known.borders[some]
        if len(some) < len(panel.ids):
            known = chosen(known, some)
        start, validation, stop = (
            part[some] - shift + known.borders[:-1] for part in (split.start, split.validation, split.stop)
        )
        # A validation part that is shorter than the horizon is made as long, where a training window is left.
        whole = stop - horizon
        room = whole - start >= lookback + max(season, 1) + horizon
        validation = np.where(room & (validation < stop), np.minimum(validation, whole), validation)
        parts = Split(start, validation, stop, stop, stop)
        trial = cls(known, parts, lookback, horizon, season)
        if len(trial.judged[0]):
            return trial
        # The last training rows are judged instead.
        held = validation - np.maximum(np.rint(SHARE * (validation - start)).astype(int), horizon)
        return replace(trial, split=Split(start, held, validation, validation, validation))

    @cached_property
    def members(self) -> np.ndarray:
        """The series, places in the panel's ``ids``."""
        return np.arange(len(self.panel.ids))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Transforms that are tried: those that all series allow."""
        low = self._lowest
        logs = ["log"] if low > 0 else ["log1p"] if low == 0 else []
        tails = ["", "change", "last", "mean", "ar"] + ["difference"] * (self.horizon == 1)
        seasons = ["", "anomaly"] if self.season > 1 else [""]
        chains = [(log, season, tail) for log in ("", *logs) for season in seasons for tail in tails]
        # As a baseline, a season is repeated where two of it are known.
        if 1 < self.season <= (self.split.validation - self.split.start).max() // 2:
            chains += [(log, "", "season") for log in ("", *logs)]
        if len(self.members) == 1:
            chains += [("", season, "trend,change") for season in seasons]
        names = (",".join(filter(None, chain)) or "none" for chain in chains)
        return tuple(name for name in names if self._allows(name))

    @cached_property
    def _lowest(self) -> float:
        """The smallest value of all series."""
        learnt = [self.panel.y[first:last] for first, last in zip(self.split.start, self.split.stop, strict=True)]
        return float(np.nanmin(np.concatenate(learnt), initial=np.inf))

    def _allows(self, name: str) -> bool:
        """Whether a transform can be fitted, and leaves out no series."""
        try:
            lost = self.lost(name)
        except (ConfigError, DataError):
            return False
        parts = self.split, self.lookback, self.horizon
        return bool((long_enough(self.panel, *parts, lost=lost) == long_enough(self.panel, *parts)).all())

    def lost(self, name: str) -> int:
        """Rows that a transform takes at the beginning of a series besides those that models read."""
        return self._fitted(name).lost(self.lookback)

    def _fitted(self, name: str) -> FittedTransform:
        if name not in self._known:
            steps = steps_of(name)
            self._known[name] = fit_steps(
                steps, self.panel, self.split, self.members, self.season, lookback=self.lookback
            )
        return self._known[name]

    @cached_property
    def _known(self) -> dict[str, FittedTransform]:
        """Transforms that were fitted, by name."""
        return {}

    def _windows(self, reach: int, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Rows of first targets of a part, and the series of each, all or evenly drawn."""
        first, stop, most = {
            "training": (self.split.start + reach, self.split.validation, WINDOWS),
            "validation": (self.split.validation, self.split.stop, JUDGED),
        }[part]
        every = np.ones(len(self.members), bool)
        segments, owners = placed_windows(self.panel, every, first, stop, 1, self.horizon, reach)
        starts = np.concatenate([np.empty(0, int), *map(np.asarray, segments)])
        owners = np.repeat(owners, [len(segment) for segment in segments])
        step = max(1, -(-len(starts) // most))
        return starts[::step], owners[::step]

    @cached_property
    def judged(self) -> tuple[np.ndarray, np.ndarray]:
        """Windows that are forecast: rows of their first targets, and their series."""
        return self._windows(self.lookback + max(self.season, 1), "validation")

    @cached_property
    def unit(self) -> np.ndarray:
        """What errors of each series are counted in, ``(series, targets)``."""
        if len(self.members) == 1:
            return np.ones((1, len(self.panel.targets)))
        for season in (self.season, 1):
            scale = seasonal_scales(self.panel, replace(self.split, stop=self.split.validation), self.members, season)
            if not np.isnan(scale[0]).all():
                break
        return scale[0]

    def error(self, forecasts: np.ndarray, starts: np.ndarray, owners: np.ndarray) -> float:
        """What forecasts miss: MAE of one series, MASE or OWA of several, see :attr:`measure`.

        Args:
            forecasts: In the targets' unit, ``(..., windows, horizon, targets)``.
            starts: Rows of their first targets, ``(windows,)``.
            owners: Series of each.
        """
        missed = self._missed(forecasts, starts, owners)
        return float(np.mean(missed / self._naive)) if self.measure == "OWA" else float(missed[0])

    @property
    def measure(self) -> str:
        """How errors are counted, by the name of the measure.

        MAE of one series. Of several without negative values OWA, the mean of MASE and sMAPE, each as a share of what
        repeating the last season misses (the last value, where there is no season), as the M4 competition weighs them
        (Makridakis et al. 2020): MASE alone says little of the small values of a series that is mostly large. MASE
        where values are negative, of which sMAPE says nothing.
        """
        if len(self.members) == 1:
            return "MAE"
        return "OWA" if self._lowest >= 0 and (np.isfinite(self._naive) & (self._naive > 0)).all() else "MASE"

    @cached_property
    def _naive(self) -> np.ndarray:
        """MASE and sMAPE of repeating the last season, or the last value."""
        starts, owners = self.judged
        reference = Reference("season", self.season) if self.season > 1 else Reference("last")
        return self._missed(self._repeated(reference, starts), starts, owners)

    def _repeated(self, reference: Reference, starts: np.ndarray) -> np.ndarray:
        past = self.panel.y[starts[:, None] + np.arange(-reference.reach(1), 0)]
        forecast = reference.of_targets(past, 1, self.horizon, np.zeros(len(starts), int))
        return np.broadcast_to(forecast, (len(starts), self.horizon, past.shape[-1]))

    def _missed(self, forecasts: np.ndarray, starts: np.ndarray, owners: np.ndarray) -> np.ndarray:
        """MAE in the unit of each series, and sMAPE as a share: means over series of each series' own."""
        y = self.panel.y[starts[:, None] + np.arange(self.horizon)]
        with np.errstate(invalid="ignore", over="ignore"):
            errors = np.abs(forecasts - y)
            size = (np.abs(forecasts) + np.abs(y)) / 2
            shares = np.divide(errors, size, out=np.zeros_like(errors), where=size != 0)
            kinds = [part.mean(axis=(-2, -1)) for part in (errors / self.unit[owners, None], shares)]
        there = np.isfinite(self.unit).all(axis=1)[owners]
        count = np.bincount(owners[there], minlength=len(self.members))
        if not there.any():
            return np.full(2, np.nan)
        found = []
        for kind in kinds:
            missed = kind.reshape(-1, len(starts)).mean(axis=0)
            series = np.bincount(owners[there], missed[there], len(self.members))
            found.append(np.mean(series[count > 0] / count[count > 0]))
        return np.array(found)

    @cached_property
    def errors(self) -> dict[str, float]:
        """Error of least squares with each transform, the smallest first."""
        found = {name: self._least_squares(self._fitted(name)) for name in self.names}
        sound = {name: error if np.isfinite(error) else np.inf for name, error in found.items()}
        return dict(sorted(sound.items(), key=lambda item: item[1]))

    @cached_property
    def simple(self) -> dict[str, float]:
        """Error of repeating the last value, and of repeating the last season, by name."""
        kinds = {"persistence": Reference("last")}
        if self.season > 1:
            kinds["seasonal naive"] = Reference("season", self.season)
        starts, owners = self.judged
        return {
            name: self.error(self._repeated(reference, starts), starts, owners) for name, reference in kinds.items()
        }

    @cached_property
    def regrets(self) -> dict[str, float]:
        """How far each transform lies behind the best one, as a logarithm, on average over parts; the best first.

        Each step of a transform counts as :data:`DOUBT` besides: among equals the simplest one is taken.

        The parts are the validation part and, before it, two of its length, each forecast from the rows before it. A
        part weighs as much as it has windows to learn from: what few of them say is chance.
        """
        length = self.split.stop - self.split.validation
        found: dict[str, list[tuple[float, int]]] = {name: [] for name in self.errors}
        for number in range(PARTS):
            stop = self.split.stop - number * length
            part = replace(self, split=Split(self.split.start, stop - length, stop, stop, stop)) if number else self
            errors = part.errors if len(part.judged[0]) else {}
            weight = len(part._windows(self.lookback, "training")[0])
            for name in found:
                if np.isfinite(errors.get(name, np.inf)):
                    regret = np.log(errors[name] / max(min(errors.values()), 1e-300) + 1e-12)
                    found[name].append((float(regret), weight))
        means = {
            name: _weighted_mean(regrets) + DOUBT * len(steps_of(name)) if regrets else np.inf
            for name, regrets in found.items()
        }
        return dict(sorted(means.items(), key=lambda item: item[1]))

    @property
    def ranked(self) -> tuple[str, ...]:
        """Transforms, the best first: by their regret those that are near the best one on the validation part."""
        near = NEAR * next(iter(self.errors.values()))
        return tuple(sorted(self.regrets, key=lambda name: self.errors[name] > near))

    def allowed(self, panel: Panel, names: Sequence[str]) -> tuple[str, ...]:
        """Those of some transforms that all rows of a panel allow: a later value may have no logarithm."""
        with np.errstate(invalid="ignore"):
            refused = {"log": (panel.y <= 0).any(), "log1p": (panel.y < 0).any()}
        return tuple(name for name in names if not refused.get(name.partition(",")[0])) or ("none",)

    def _least_squares(self, fitted: FittedTransform) -> float:
        levels, reference = fitted.apply(self.panel), fitted.reference or Reference("none")
        lookback = self.lookback
        reach = lookback + fitted.lost(lookback)
        # Rows that least squares read are fewer where windows are very long.
        rows = min(lookback, max(1, INPUTS // levels.shape[1]))

        def cut(starts: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            past = levels[starts[:, None] + np.arange(-reference.reach(lookback), 0)]
            inputs = past[:, -lookback:]
            level = reference.of_inputs(inputs)
            ahead = levels[starts[:, None] + np.arange(self.horizon)]
            if fitted.reference is not None:
                ahead = ahead - reference.of_targets(past, lookback, self.horizon, owners)
            return (inputs if level is None else inputs - level)[:, -rows:], ahead, past

        starts, owners = self._windows(reach, "training")
        if not len(starts) or not len(self.judged[0]):
            return float("nan")
        x, y, _ = cut(starts, owners)
        count = np.maximum(np.bincount(owners, minlength=len(self.members)), 1)[:, None]

        def per_series(values: np.ndarray) -> np.ndarray:
            sums = [np.bincount(owners, column, len(self.members)) for column in values.mean(axis=1).T]
            return np.stack(sums, axis=1) / count

        center = per_series(x) if reference.of_inputs(x) is None else np.zeros((len(count), x.shape[-1]))
        shift = center if fitted.reference is None else 0 * center
        widths = [np.sqrt(per_series(np.square(v - c[owners, None]))) for v, c in ((x, center), (y, shift))]
        of_x, of_y = (np.where(width > 0, width, 1.0) for width in widths)
        x = ((x - center[owners, None]) / of_x[owners, None]).reshape(len(x), -1)
        y = ((y - shift[owners, None]) / of_y[owners, None]).reshape(len(y), -1)
        means = x.mean(axis=0), y.mean(axis=0)
        x, y = x - means[0], y - means[1]
        square = x.T @ x
        square[np.diag_indices_from(square)] += RIDGE * np.trace(square) / len(square) + 1e-9
        weights = np.linalg.solve(square, x.T @ y)
        starts, owners = self.judged
        x, _, past = cut(starts, owners)
        x = ((x - center[owners, None]) / of_x[owners, None]).reshape(len(x), -1)
        made = ((x - means[0]) @ weights + means[1]).reshape(len(x), self.horizon, -1)
        made = made * of_y[owners, None] + shift[owners, None]
        if fitted.reference is not None:
            made = reference.put_back(made, past, lookback, owners)
        return self.error(fitted.undo(made, self.panel, starts[:, None] + np.arange(self.horizon)), starts, owners)


def _weighted_mean(pairs: Sequence[tuple[float, int]]) -> float:
    values, weights = np.transpose(pairs)
    return float(np.average(values, weights=weights))
