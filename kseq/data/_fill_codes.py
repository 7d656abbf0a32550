"""Numbers that stand for missing values: -9999, 999, -99.99, 1e20, far outside what is measured."""

from collections.abc import Sequence

import numpy as np

from kseq.data._mending import Mendable
from kseq.errors import Parameter

#: Numbers that instruments and archives write for a missing value.
CODES = np.unique(
    [
        sign * value
        for sign in (1, -1)
        for value in (
            99, 99.9, 99.99, 99.999, 999, 999.9, 999.99, 999.999, 9999, 9999.9, 9999.99, 99999, 99999.9, 999999,
            9999999, 99999999, 999999999, 888, 8888, 88888, 7777, 32767, 32768, 2147483647, 2147483648, 9e20, 9.99e20,
            1e20, 1e30, 1e34, 1e35, 1e36, 1.7e38, 9.96921e36, 9.969209968386869e36, 3.4028235e38,
            3.4028234663852886e38,
        )
    ]
)  # fmt: skip


#: Other values of a series that it takes to say that a number lies far outside them.
FEWEST = 8


def require_no_fill_codes(values: np.ndarray, columns: Sequence[str], borders: np.ndarray, name: str) -> None:
    """Refuse values that look like fill values: such a number, and far outside all other values of its series.

    Args:
        values: ``(rows, columns)``.
        columns: Names of the columns.
        borders: Rows at which a series begins, and the number of rows.
        name: Name of the data, for messages.

    Raises:
        Mendable: Names column, value, and how often it stands there.
    """
    for at, column in enumerate(columns):
        values_of = values[:, at]
        # A number outside all others is the smallest or the largest of its series, unless another code is.
        ends = [of.reduceat(values_of, borders[:-1]) for of in (np.fmin, np.fmax)]
        if not np.isin(ends, CODES).any():
            continue
        # All of them are at least 99.
        hits = np.abs(values_of) >= 99
        # One search in sorted codes; np.isin would compare all values with each code in turn.
        large = values_of[hits]
        hits[hits] = CODES[np.searchsorted(CODES[:-1], large)] == large
        codes, counts = np.unique(values_of[hits], return_counts=True)
        found = [
            (code, int(count)) for code, count in zip(codes, counts, strict=True)
            if _is_far(values_of, code, codes, borders)
        ]  # fmt: skip
        if not found:
            continue
        told = " and ".join(f"{code:.15g} in {count} of {len(values)} rows" for code, count in found)
        rest = values_of[~np.isin(values_of, [code for code, _ in found]) & ~np.isnan(values_of)]
        text = tuple(f"{code:.15g}" for code, _ in found)
        raise Mendable(
            f"{name}: column {column!r} holds {told}, far outside the rest ({rest.min():g} to {rest.max():g}), "
            "expected measured values: fill values for what is missing?",
            remedies=[{"missing": text}, *({"missing": text, "fill": fill} for fill in ("ffill", "mask"))],
            otherwise=("mend the data",),
            also=(", or ", Parameter("missing"), " none if they were measured"),
        )


def _is_far(values: np.ndarray, code: float, codes: np.ndarray, borders: np.ndarray) -> bool:
    """Whether a number lies far outside the other values of a series that holds it."""
    rows = np.flatnonzero(values == code)
    for series in np.unique(np.searchsorted(borders, rows, side="right") - 1)[:50]:
        own = values[borders[series] : borders[series + 1]]
        rest = own[~np.isnan(own) & ~np.isin(own, codes)]
        # Of fewer values nobody can say what is far outside them.
        if len(rest) < FEWEST:
            continue
        low, high = rest.min(), rest.max()
        distance = max(low - code, code - high)
        if distance <= 0:
            continue
        quarter, three = np.quantile(rest, [0.25, 0.75])
        middle, repeated = max(quarter - code, code - three), np.count_nonzero(own == code) >= 2
        if code < 0 <= low or ((repeated or code > 900) and distance > 2 * (high - low)):
            return True
        if repeated and distance > 0.1 * (high - low) and middle > 4 * (three - quarter):
            return True
    return False
