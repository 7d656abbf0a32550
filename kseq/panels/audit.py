"""Where a panel is changed by an audit, and how; see :mod:`kseq.audit`."""

from dataclasses import replace

import numpy as np

from kseq.panels.windows import WindowedPanel
from kseq.data import Panel


def golden_shares(values: np.ndarray) -> np.ndarray:
    """Numbers from 0 to 1 in which there is no season: multiples of the golden ratio without their whole part."""
    numbers = np.arange(len(values))[:, None] + len(values) * np.arange(values.shape[1])
    return numbers * (np.sqrt(5) - 1) / 2 % 1


def perturbed_panel(panel: Panel, first: np.ndarray) -> Panel:
    """The panel with other values from a row of each series on, as :func:`kseq.audit.perturbed` changes them."""
    past = panel.values[:, : len(panel.columns) - len(panel.future)]
    peak = np.fmax.reduceat(np.abs(past), panel.borders[:-1], axis=0)
    peak[~(peak > 0)] = 1.0
    owners = panel.series_of(np.arange(len(panel)))
    rows = np.arange(len(panel))
    later = (rows >= first[owners]) & (rows < panel.ends[owners])
    values = panel.values.copy()
    values[later, : past.shape[1]] += (peak[owners] * (2 + golden_shares(past)))[later]
    return replace(panel, values=values)


def panel_cutoffs(data: WindowedPanel) -> list[np.ndarray]:
    """A row of each series in turn: of its validation and its test part, and of its first, middle and last window."""
    split, found = data.split, [data.split.validation, data.split.test]
    number, firsts, counts = np.unique(data.test.series, return_index=True, return_counts=True)
    for window in (firsts, firsts + counts // 2, firsts + counts - 1):
        # Nothing is changed in a series without windows.
        rows = split.end.copy()
        rows[number] = data.test.starts(window)
        found.append(rows)
    distinct = {rows.tobytes(): rows for rows in found}
    return sorted(distinct.values(), key=lambda rows: int(rows.sum()))
