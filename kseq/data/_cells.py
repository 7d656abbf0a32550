"""What a user says of the cells of a table, whatever it was read from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kseq.errors import ConfigError, Parameter
from kseq.text import shown

#: What keeps values that look like fill values.
KEEP = "none"

#: Ways in which a table may lie across.
WIDE = ("months", "series")


@dataclass(frozen=True)
class Cells:
    """How cells are to be taken.

    Args:
        missing: texts and numbers that stand for missing values.
        keep: whether values that look like fill values are kept.
        date_format: how dates are written, as ``strptime`` says it; None to find it.
        dayfirst: whether of 01/04/1960 the day comes first; None to find it.
        sort: whether rows are sorted by date.
        wide: how the table lies across, one of :data:`WIDE`; None for not.
    """

    missing: tuple[str, ...] = ()
    keep: bool = False
    date_format: str | None = None
    dayfirst: bool | None = None
    sort: bool = False
    wide: str | None = None

    @classmethod
    def of(
        cls,
        missing: str | float | Sequence[Any] | None = None,
        date_format: str | None = None,
        dayfirst: bool | None = None,
        sort: bool = False,
        wide: str | None = None,
    ) -> "Cells":
        """Check what a user says.

        Raises:
            ConfigError: an option is of another kind.
        """
        if wide is not None and wide not in WIDE:
            raise ConfigError("received ", Parameter("wide"), f" {shown(wide)}, expected {' or '.join(WIDE)}.")
        if missing is None:
            missing = ()
        listed = [missing] if isinstance(missing, str | int | float) else list(missing)
        texts = tuple(str(value).strip() for value in listed)
        kept = tuple(text for text in texts if text.lower() != KEEP)
        return cls(kept, len(kept) < len(texts), date_format, dayfirst, bool(sort), wide)

    @property
    def numbers(self) -> np.ndarray:
        """Those of ``missing`` that are numbers."""
        values = pd.to_numeric(pd.Series(self.missing, dtype=object), errors="coerce").to_numpy(dtype="float64")
        return values[~np.isnan(values)]

    def without_missing(self, frame: pd.DataFrame, texts: Sequence[str]) -> pd.DataFrame:
        """Turn columns of numbers between which stands text for missing values into columns of numbers.

        Args:
            frame: the rows.
            texts: columns that stay text: ids, dates.
        """
        if not self.missing:
            return frame
        changed = {}
        for column in frame.columns:
            values = frame[column]
            if column in texts or pd.api.types.is_numeric_dtype(values) or values.dtype.kind in "mM":
                continue
            known = values.where(~values.astype(str).str.strip().isin(self.missing))
            numbers = pd.to_numeric(known, errors="coerce")
            if numbers.notna().any() and (numbers.notna() | known.isna()).all():
                changed[column] = numbers
        return frame.assign(**changed) if changed else frame
