"""Text tables as frames."""

import io
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kseq.data import _dialect
from kseq.data._dialect import Dialect
from kseq.data._mending import Mendable
from kseq.data._source import PARQUET, READ_CSV, READ_PARQUET, Source
from kseq.errors import ConfigError, DataError, Parameter
from kseq.storage.csv_text import unescaped
from kseq.text import shortened, shown, visible

#: Fields that hold no value, as pandas knows them by default.
MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip

#: First bytes of files in UTF-16 and UTF-8 that say so.
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}

#: Encodings that are tried for the message on a file that is not in UTF-8.
_TRIED = ("cp1252", "latin-1")


class TextTable:
    """A text file as a frame, with what was found out about it.

    Args:
        frame: Its rows, numbered from 0.
        read: Phrases on how it was read.
        doubts: Reasons by column why its values may be other ones; raised where the column is used.
    """

    def __init__(self, frame: pd.DataFrame, read: Sequence[str], doubts: Mapping[str, Mendable]):
        self.frame, self.read, self.doubts = frame, tuple(read), dict(doubts)


def read_text(source: Source | Path, text: str | None = None, named: Parameter = READ_CSV) -> TextTable:
    """Read a text file.

    Args:
        source: The file and how it is written; a path for one of which nothing is said.
        text: A column, if the file has it, whose values stay as they are written ("001" no number, "NA" not missing);
            or several with commas between them.
        named: What its user names the file by, for messages.

    Returns:
        TextTable: Column names without surrounding blanks. Apostrophes that keep a spreadsheet from running text are
        taken off.

    Raises:
        DataError: The file is missing, is no text, or holds no table.
        ConfigError: An option is out of range.
    """
    source = Source.of(source, named=named)
    path, head = source.path, source.head
    if not head.strip():
        raise DataError(f"{path} is empty; expected a header line and one row a time step.")
    if head.startswith(PARQUET):
        raise DataError(f"{path} is a Parquet file; give it with ", READ_PARQUET, ".")
    encoding = source.options["encoding"] or _encoding(head, source)
    try:
        "".encode(encoding)
    except LookupError as error:
        raise ConfigError(
            "received ", Parameter("encoding"), f" {shown(encoding)}, expected one that Python knows: utf-8, cp1252."
        ) from error  # fmt: skip
    lines, whole = _first_lines(source, encoding)
    dialect = _dialect.find(lines, source.options, whole, str(path))
    texts = {text, *(text or "").split(",")}
    options = _arguments(source, dialect, encoding, texts)
    frame = _frame(source, dialect, encoding, options)
    frame.columns = _different(dialect.names)
    doubts = _doubles(dialect.names)
    frame = _without_empty_rows(frame)
    texts_at = [
        at
        for at, kind in enumerate(frame.dtypes)
        if pd.api.types.is_object_dtype(kind) or pd.api.types.is_string_dtype(kind)
    ]
    begun = any(frame.iloc[:, at].astype(str).str.startswith("'", na=False).any() for at in texts_at)
    frame = unescaped(frame) if begun else frame.set_axis(unescaped(frame.iloc[:0]).columns, axis=1)
    if frame.empty:
        raise DataError(f"{path} has a header and no rows; expected one row a time step.")
    if dialect.thousands is not None or dialect.decimal != ".":
        frame = _marked(frame, dialect, texts)
    elif not dialect.point_is_sure:
        doubts |= _thousands(source, dialect, encoding, options, frame)
    told = list(dialect.told)
    if encoding.startswith("utf-16"):
        told.append("UTF-16")
    return TextTable(frame, told, doubts)


def _encoding(head: bytes, source: Source) -> str:
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    if b"\0" in head:
        # Of Latin letters in UTF-16 every other byte is a zero.
        for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
            if head[start::2].count(0) > 0.9 * len(head[start::2]) and not head[1 - start :: 2].count(0):
                return encoding
        raise DataError(f"{source.path} is a binary file; expected text: a CSV file with a header line.")
    return "utf-8"


def _first_lines(source: Source, encoding: str) -> tuple[list[str], bool]:
    """The first lines, and whether these are all."""
    whole = len(source.head) < 2**16
    try:
        text = source.head.decode(encoding, errors="strict" if whole else "ignore")
    except UnicodeDecodeError as error:
        raise _other_encoding(source, encoding, error) from error
    return text.splitlines(), whole


def _other_encoding(source: Source, encoding: str, error: UnicodeDecodeError) -> DataError:
    """Say that a file is in another encoding, and how the first text in it would read."""
    likely, word = None, ""
    for tried in _TRIED:
        try:
            text = source.whole().decode(tried)
        except UnicodeDecodeError:
            continue
        likely, found = tried, re.search(r"[^\s,;\"]*[^\x00-\x7f][^\s,;\"]*", text)
        word = visible(shortened(found[0], 40)) if found else ""
        # Text of other scripts has signs between its letters where it is taken for a Western one.
        if any(not letter.isascii() and not letter.isalpha() for letter in word.strip("°’“”–€£µ²³½")):
            likely, word = None, ""
        break
    name = "UTF-8" if encoding.startswith("utf-8") else encoding
    return Mendable(
        f"{source.path} is not {name} text (byte {error.start})",
        remedies=[{"encoding": likely}] if likely else [],
        otherwise=("save it in UTF-8, or name its encoding with ", Parameter("encoding"), f" {likely}" * bool(likely)),
        also=(f", in which it holds {word!r}",) if word else (),
    )


def _arguments(source: Source, dialect: Dialect, encoding: str, texts: Collection[str | None]) -> dict[str, Any]:
    """Arguments by which pandas reads the rows."""
    names = [*dialect.names, "\0"] if dialect.trailing else list(dialect.names)
    numbers = list(range(len(names)))
    kept = [at for at in numbers if unescaped(pd.DataFrame(columns=[names[at]])).columns[0] in texts]
    alone = len(names) == 1
    options: dict[str, Any] = {
        "sep": dialect.sep, "decimal": dialect.decimal, "encoding": encoding, "header": None, "names": numbers,
        "skip_blank_lines": not alone, "skipinitialspace": True, "keep_default_na": False,
        "na_values": {at: MISSING for at in numbers if at not in kept} if kept else MISSING,
        "comment": source.options["comment"],
    }  # fmt: skip
    if not all(mark.isascii() for mark in (dialect.sep, dialect.decimal, source.options["comment"] or "")):
        # The parser in C knows marks of one byte alone.
        options["engine"] = "python"
    if kept:
        options["dtype"] = dict.fromkeys(kept, str)
    left_out = [line for line in dialect.left_out if line >= dialect.first]
    options["skiprows"] = [*range(dialect.first), *left_out] if left_out else dialect.first
    return options


def _raw(source: Source, encoding: str, options: dict[str, Any], at: int) -> pd.Series:
    """A column as it is written."""
    as_text = {"usecols": [at], "dtype": str, "na_values": None, "na_filter": False}
    return pd.read_csv(_rows_of(source, encoding), **(options | as_text)).iloc[:, 0]


def _frame(source: Source, dialect: Dialect, encoding: str, options: dict[str, Any]) -> pd.DataFrame:
    """Let pandas read the rows."""
    names = dialect.names
    try:
        with warnings.catch_warnings():
            # Of a long column that holds numbers and text; whoever uses it is told of the text.
            warnings.simplefilter("ignore", pd.errors.DtypeWarning)
            frame = pd.read_csv(_rows_of(source, encoding), **options)
    except UnicodeDecodeError as error:
        raise _other_encoding(source, encoding, error) from error
    except pd.errors.EmptyDataError:
        return pd.DataFrame(columns=options["names"])
    except (pd.errors.ParserError, ValueError, IndexError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise Mendable(
            f"{source.path} has no table under line {source.options['header']} ({reason})",
            remedies=_cuts(source, encoding),
            otherwise=(
                "expected the column names there, and rows as long: give their line's number, from 0, with ",
                Parameter("header"),
            ),
        ) from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise DataError(
            f"{source.path} has rows of {len(names) + frame.index.nlevels} fields under a header of {len(names)} "
            f"({', '.join(names[:4])}), expected as many; name every column, and write decimal points, not commas."
        )
    if dialect.trailing:
        if frame.iloc[:, -1].notna().any():
            raise DataError(f"{source.path} has rows of more fields than its header; name every column.")
        frame = frame.iloc[:, :-1]
    if dialect.sep == r"\s+" and pd.api.types.is_numeric_dtype(frame.iloc[:, -1]) and frame.iloc[:, -1].isna().any():
        _require_no_short_rows(source, encoding, options, len(frame))
    return frame


def _require_no_short_rows(source: Source, encoding: str, options: dict[str, Any], rows: int) -> None:
    """Refuse rows of fewer fields than the header: between blanks an empty cell is not seen, and others take its place.

    Only those of which the last cell is missing are looked for.
    """
    last = _raw(source, encoding, options, options["names"][-1])
    short = np.flatnonzero((last == "").to_numpy())
    if len(short):
        after, number = rows - int(short[0]), "1 row" if len(short) == 1 else f"{len(short)} rows"
        raise Mendable(
            f"{source.path} has {number} of fewer fields than its header (the first is row {short[0]}), "
            "expected as many: between blanks an empty cell is not seen",
            remedies=[{"skip_footer": lines} for lines in range(after, after + 4)] if after <= 20 else [],
            otherwise=("write NA for what is missing, or separate columns by commas",),
        )


def _rows_of(source: Source, encoding: str) -> Any:
    """What pandas reads, without the lines at the end that are no rows."""
    footer = source.options["skip_footer"]
    if not footer:
        return source.opened()
    lines = source.whole().decode(encoding, errors="strict").splitlines(keepends=True)
    return io.BytesIO("".join(lines[: max(0, len(lines) - footer)]).encode(encoding))


def footer_of(source: Source, encoding: str = "utf-8") -> int:
    """How many lines at the end of a file look like a footnote: those after the last one that is as long as most."""
    text = source.tail().decode(encoding, errors="ignore").splitlines()
    sizes = [len(re.split(r"[,;\t|]", line)) if line.strip() else 0 for line in text]
    usual = max(set(sizes), key=sizes.count) if sizes else 0
    values = [any(map(_dialect.is_value, re.split(r"[,;\t|]", line.replace('"', "")))) for line in text]
    count = 0
    while count < len(sizes) and (sizes[-1 - count] != usual or not values[-1 - count]):
        count += 1
    return count if count < len(sizes) else 0


def _cuts(source: Source, encoding: str) -> list[dict[str, Any]]:
    """Options that leave out what stands above or below a table."""
    header = source.options["header"]
    footer = footer_of(source, encoding)
    cuts: list[dict[str, Any]] = [{"skip_footer": footer}] if footer else []
    return cuts + [{"header": header + number} for number in range(1, 9)]


def _without_empty_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Leave out empty rows at the end, which spreadsheets write."""
    if frame.shape[1] < 2 or not len(frame) or frame.iloc[-1].notna().any():
        return frame
    last = int(frame.notna().any(axis=1).to_numpy().nonzero()[0].max(initial=-1))
    return frame.iloc[: last + 1]


# ---------------------------------------------------------------------------------------------------------------------
# Names


def _different(names: Sequence[str]) -> list[str]:
    """Names of which no two are alike: of several columns of one name each is told by its place."""
    names = [str(name).strip() for name in names]
    return [
        f"{name} (column {number})" if names.count(name) > 1 else name for number, name in enumerate(names, 1)
    ]  # fmt: skip


def _doubles(names: Sequence[str]) -> dict[str, Mendable]:
    doubles: dict[str, list[str]] = {}
    for name, own in zip((str(name).strip() for name in names), _different(names), strict=True):
        doubles.setdefault(name, []).append(repr(own))
    return {
        name: Mendable(
            f"several columns are called {name!r}", remedies=[],
            otherwise=(f"name one by its place: {' or '.join(owns)}",),
        )
        for name, owns in doubles.items()
        if len(owns) > 1
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
# Thousands


def _marked(frame: pd.DataFrame, dialect: Dialect, texts: Collection[str | None]) -> pd.DataFrame:
    """Make numbers of text that pandas leaves: with groups of three digits, or beside text for missing values.

    A column is taken where all its cells that hold a digit are so written; its other text stays as it is.
    """
    mark = r"[ \u00a0\u202f]" if dialect.thousands == " " else re.escape(dialect.thousands or "")
    pattern = _dialect.written(dialect.decimal, dialect.thousands)
    columns = {}
    for column in frame:
        values = frame[column]
        if column in texts or not (pd.api.types.is_object_dtype(values) or pd.api.types.is_string_dtype(values)):
            continue
        written = values.dropna().astype(str)
        digits = written.str.contains(r"\d")
        written = written[digits]
        if not len(written) or not written.str.fullmatch(pattern).all():
            continue
        plain = written.str.replace(mark, "", regex=True) if mark else written
        plain = plain.str.replace(dialect.decimal, ".", regex=False)
        numbers = pd.to_numeric(plain, errors="coerce")
        if numbers.notna().all():
            columns[column] = numbers.reindex(values.index) if digits.all() else values.where(~digits, plain)
    return frame.assign(**columns) if columns else frame


def _spread(values: np.ndarray) -> float:
    """How many powers of ten values reach over, but for zeros: the right reading of numbers is the closer one."""
    sizes = np.log10(np.abs(values[values != 0]))
    return float(sizes.std()) if len(sizes) else 0.0


def _thousands(
    source: Source, dialect: Dialect, encoding: str, options: dict[str, Any], frame: pd.DataFrame
) -> dict[str, Mendable]:
    """Columns in which a point may group thousands: 1.011 beside 974; in a table of semicolons 1.011 alone."""
    found = {}
    for at, column in enumerate(frame.columns):
        values = frame[column]
        if not pd.api.types.is_float_dtype(values):
            continue
        known = values.dropna().to_numpy()
        if not len(known) or np.abs(known).max() >= 1000:
            continue
        broken = known != np.floor(known)
        thousandths = np.abs(known * 1000 - np.rint(known * 1000)) < 1e-6
        if not broken.any() or not thousandths.all() or np.abs(known[broken]).min() < 1:
            continue
        written = _raw(source, encoding, options, at).iloc[: len(frame)].replace("", None).dropna().str.strip()
        pointed = written[written.str.contains(".", regex=False)]
        others = written[~written.str.contains(".", regex=False)]
        if not pointed.str.fullmatch(r"[+-]?[1-9]\d{0,2}\.\d{3}").all():
            continue
        beside = others.iloc[0] if len(others) else ""
        if not beside and dialect.sep in (",", r"\s+"):
            continue
        grouped = written.str.replace(".", "", regex=False).astype("float64").to_numpy()
        if _spread(known) < _spread(grouped) - 1e-9:
            continue
        found[str(column)] = Mendable(
            f"{source.path}: column {column!r} holds {pointed.iloc[0]}" + (f" beside {beside}" if beside else "")
            + ", expected a mark that is decimal or groups thousands",
            remedies=[{"thousands": "."}],
            otherwise=("say which with ", Parameter("decimal"), " or ", Parameter("thousands")),
            also=(f" for {pointed.iloc[0].replace('.', '')}, or ", Parameter("decimal"), f" . for {pointed.iloc[0]}"),
        )  # fmt: skip
    return found
