"""Why the rows of a series do not allow a baseline."""

import numpy as np

from kseq.baselines._autoregression import CHOICE_SHARE
from kseq.baselines._ets import smoothed_season

#: Exponential smoothing keeps a season of states a row: beyond this many numbers it is left out.
ETS_STATES = 20_000_000


def reasons_of(name: str, lengths: np.ndarray, season: int, lookback: int) -> list[str | None]:
    """Say for each series why its rows do not allow a baseline; ``lengths`` before the validation and the test part."""
    found: dict[tuple[int, int], str | None] = {}
    for before, whole in np.unique(lengths, axis=0).tolist():
        # Rows that are learnt from, and those at their end on which an order may be chosen.
        parts = ((before, 0), (whole, whole - before))
        given = (_reason(name, rows, held, season, lookback) for rows, held in parts)
        found[before, whole] = next((reason for reason in given if reason), None)
    return [found[before, whole] for before, whole in lengths.tolist()]


def _reason(name: str, rows: int, held: int, season: int, lookback: int) -> str | None:
    """Say why a baseline cannot be fitted on so many rows; None where it can."""
    if name in ("seasonal-naive", "climatology"):
        return _season_reason(rows, season)
    if name == "ar":
        return _order_reason(rows, lookback)
    if name == "climatology-ar":
        rows -= held or max(1, round(CHOICE_SHARE * rows))
        return _season_reason(rows, season) or _order_reason(rows, 1)
    if name == "theta" and rows < 4:
        return f"{rows} training rows, expected at least 4 for Theta"
    if name == "ets" and rows < 10:
        return f"{rows} training rows, expected at least 10 for exponential smoothing"
    if name == "ets" and rows * smoothed_season(rows, season) > ETS_STATES:
        return f"a season of {season} over {rows} rows is too long for ETS"
    return None


def _season_reason(rows: int, season: int) -> str | None:
    """Two whole seasons are learnt from."""
    if season < 2:
        return "its dates show no season"
    return f"{rows} training rows hold fewer than two seasons of {season}" if rows < 2 * season else None


def _order_reason(rows: int, order: int) -> str | None:
    """There are as many equations as coefficients."""
    least = 2 * order + 1
    return f"{rows} training rows, expected at least {least} for AR({order})" if rows < least else None
