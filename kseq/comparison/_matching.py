"""Forecasts that others made, matched to test windows by series, date and cutoff."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kseq.errors import DataError
from kseq.evaluation.forecasts import Forecasts
from kseq.preprocessing.windows import WindowedPanel
from kseq.text import listed, visible

#: True values count as the same up to this share of themselves: files hold single precision, or few digits.
SAME = 1e-5


class Matching:
    """Finds the points of a comparison in a file of forecasts, and says what does not match.

    Args:
        data: The windows.
        found: The forecasts.
        wanted: The test points, of :func:`points_of`.
    """

    def __init__(self, data: WindowedPanel, found: Forecasts, wanted: pd.DataFrame):
        self._data, self._found, self._wanted = data, found, wanted
        self._wrong: list[str] = []

    def matched(self) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
        """The forecasts, the place of each test point among them, and sentences on what was left out.

        Raises:
            DataError: There is a mismatch.
        """
        frame, wanted = self._same_ids(self._found.frame.reset_index(drop=True)), self._wanted
        if not self._wrong:
            frame, wanted = self._same_dates(frame)
        if self._wrong:
            raise self._mismatch()
        keys = self._keys(frame)
        if self._wrong:
            raise self._mismatch()
        frame = self._with_cutoffs(frame, keys)
        place = pd.MultiIndex.from_frame(frame[keys]).get_indexer(pd.MultiIndex.from_frame(wanted[keys]))
        there = place >= 0
        if not there.all():
            first = wanted[~there].iloc[0]
            self._wrong.append(
                f"dates: received {int(there.sum())} of {len(wanted)} test points, {_span(frame)}, expected all, "
                f"{_span(wanted)}; the first that is missing is {_point(first, keys)}"
            )
        if there.any():
            self._require_truth(frame["y"].to_numpy(float)[place[there]], wanted[there])
            self._require_forecasts(frame, place[there], wanted[there])
        if self._wrong:
            raise self._mismatch()
        more = len(frame) - len(wanted)
        notes = list(self._found.notes)
        if more:
            notes.append(f"{more} of {len(frame)} forecasts of others are of no test point, and are left out.")
        return frame, place, notes

    def _mismatch(self) -> DataError:
        return DataError("forecasts to stand beside the rows do not match: " + "; ".join(self._wrong) + ".")

    def _same_ids(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rename ids to those of the comparison: one series may have any name, several targets of it their names."""
        ours, theirs = self._wanted["unique_id"].unique(), frame["unique_id"].unique()
        if len(ours) == 1 == len(theirs):
            return frame.assign(unique_id=ours[0])
        targets = list(map(str, self._data.series.targets))
        if len(ours) == len(targets) and set(targets) <= set(theirs):
            return frame.assign(unique_id=frame["unique_id"].map(dict(zip(targets, ours, strict=True))).fillna(""))
        missing = sorted(set(ours) - set(theirs))
        if missing:
            self._wrong.append(
                f"series: received {listed(list(theirs), 3)} ({len(theirs)}), expected {listed(missing, 3)} among them "
                f"({len(missing)} of {len(ours)} are missing)"
            )
        return frame

    def _same_dates(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Both frames with dates of one clock."""
        wanted = self._wanted
        names = [name for name in ("ds", "cutoff") if name in frame]
        kinds = {part["ds"].dtype.kind for part in (frame, wanted)}
        if kinds == {"M"}:
            for name in names:
                zones = frame[name].dt.tz, wanted[name].dt.tz
                if zones[0] is not None and zones[1] is not None:
                    frame = frame.assign(**{name: frame[name].dt.tz_convert(zones[1])})
                elif zones[0] is not None or zones[1] is not None:
                    frame, wanted = (part.assign(**{name: part[name].dt.tz_localize(None)}) for part in (frame, wanted))
                # One resolution, in which equal dates are equal.
                frame, wanted = (part.assign(**{name: part[name].dt.as_unit("ns")}) for part in (frame, wanted))
        elif "M" in kinds or "O" in kinds:
            self._wrong.append(f"dates: received ds {frame['ds'].iloc[0]}, expected such as {wanted['ds'].iloc[0]}")
        return frame, wanted

    def _keys(self, frame: pd.DataFrame) -> list[str]:
        """Columns that tell points apart."""
        if "cutoff" in frame or "fold" in frame:
            return ["unique_id", "ds", "cutoff"]
        twice = self._wanted.duplicated(["unique_id", "ds"])
        if twice.any():
            first = self._wanted[twice].iloc[0]
            self._wrong.append(
                f"cutoffs: received none, expected a column cutoff: {_point(first, ['unique_id', 'ds'])} is forecast "
                "from several origins"
            )
        return ["unique_id", "ds"]

    def _with_cutoffs(self, frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
        """A frame in which the cutoff of a numbered fold is the date before its first one."""
        if "cutoff" in frame or "cutoff" not in keys:
            return frame
        panel = self._data.series
        rows = np.arange(1, len(panel.index))
        rows = rows[panel.series_of(rows) == panel.series_of(rows - 1)]
        ids = panel.ids.astype(str).to_numpy()[panel.series_of(rows)]
        if self._data.targets > 1:
            ids = np.concatenate([ids.astype(object) + f"/{target}" for target in panel.targets])
            rows = np.tile(rows, self._data.targets)
        before = pd.DataFrame({"unique_id": ids, "first": panel.index[rows], "cutoff": panel.index[rows - 1]})
        first = frame.groupby(["unique_id", "fold"])["ds"].transform("min")
        return frame.assign(first=first).merge(before, on=["unique_id", "first"], how="left")

    def _require_truth(self, theirs: np.ndarray, wanted: pd.DataFrame) -> None:
        ours = wanted["y"].to_numpy(float)
        size = np.abs(ours[np.isfinite(ours)]).max(initial=0.0)
        other = np.isfinite(theirs) & ~np.isclose(theirs, ours, rtol=SAME, atol=SAME * size / 10)
        if other.any():
            at = int(other.argmax())
            self._wrong.append(
                f"true values: received y {theirs[at]:g} at {_point(wanted.iloc[at])}, expected {ours[at]:g} "
                f"({int(other.sum())} of {len(ours)} differ)"
            )

    def _require_forecasts(self, frame: pd.DataFrame, place: np.ndarray, wanted: pd.DataFrame) -> None:
        """Every model needs all points; a seed that lacks some has diverged, as long as another has not."""
        for model, columns in self._found.seeds.items():
            known = np.isfinite(frame[list(columns.values())].to_numpy(float)[place])
            if known.all(axis=0).any():
                continue
            none = ~known.any(axis=1) if known.shape[1] > 1 and not known.any(axis=1).all() else ~known[:, 0]
            self._wrong.append(
                f"{visible(model)}: received NaN at {int(none.sum())} of {len(known)} test points, the first "
                f"{_point(wanted.iloc[int(none.argmax())])}, expected a forecast of each"
            )


def _point(point: pd.Series, keys: Sequence[str] = ("unique_id", "ds", "cutoff")) -> str:
    """A point in words, for messages."""
    cutoff = f" from {point['cutoff']}" if "cutoff" in keys else ""
    return f"{visible(point['unique_id'])}, {point['ds']}{cutoff}".replace(" 00:00:00", "")


def _span(frame: pd.DataFrame) -> str:
    return f"{frame['ds'].min()} to {frame['ds'].max()}".replace(" 00:00:00", "")
