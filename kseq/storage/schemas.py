"""What the JSON files that kseq reads back must look like: the record of a run and the cards of models.

Each schema is a ``TypedDict``, checked by msgspec while the file is parsed, so that the code behind it meets the types
that it expects and nothing else. Fields that a schema does not name are left out: later versions may add some. A field
that a later version adds is ``NotRequired``; a new format of cards is a new class here.

msgspec is imported with this module, which is therefore imported only where a file is read.
"""

import json
import math
from typing import Annotated, Any, Literal, NotRequired, TypedDict, TypeVar

import msgspec
from msgspec import Meta

T = TypeVar("T")

#: Largest file that is parsed, in bytes, and the most values in it: a value takes some hundred bytes once parsed.
LARGEST, VALUES = 2**26, 2**20

#: Levels of lists and objects in one another. What kseq writes has less than ten.
DEPTH = 64

Text = Annotated[str, Meta(max_length=2**16)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Size = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Number = float
Share = Annotated[float, Meta(ge=0, lt=1)]
Name = Text
Names = list[Name]
SomeNames = Annotated[list[Name], Meta(min_length=1)]
Scalar = bool | int | float | str | None
Cell = Literal["rnn", "lstm", "gru"]
Layers = Annotated[int, Meta(ge=1, le=1000)]
Units = Size | Annotated[list[Size], Meta(min_length=1, max_length=1000)]


class Budget(TypedDict, total=False):
    """Arguments of :class:`kseq.training.budget.Training` that were given."""

    epochs: Size
    batch_size: Count
    learning_rate: Number
    patience: Count
    weight_decay: Number
    clip_norm: Number
    loss: Text
    schedule: Text
    max_steps: Count
    windows_per_epoch: Count


class OwnSettings(TypedDict, total=False):
    """Settings that a cell has of its own, see :attr:`kseq.Settings.by_cell`."""

    units: Units
    num_layers: Layers | None
    lookback: Size
    dropout: Share
    learning_rate: Number
    weight_decay: Number
    transform: Text


class OwnRecord(TypedDict, total=False):
    """:attr:`kseq.models.own.Own.record`: where a function of a user's own is, which is never imported from here."""

    kind: Literal["cell", "rival"]
    function: Text
    sha256: Text
    about: Text


class _SharedSettings(TypedDict, total=False):
    """Settings that neither a record nor a card must have."""

    baselines: Names | None
    match: Text
    test: Share
    n_windows: Count
    step_size: Size | None
    refit: bool
    gap: Count
    train_size: Size | None
    metric: Text
    refit_on_validation: bool
    members: Count


class SomeSettings(_SharedSettings, total=False):
    """:class:`kseq.Settings`, of which none are there where a script filled the table."""

    cells: Names
    seeds: list[Seed]
    lookback: Size
    horizon: Size
    horizons: dict[str, Size]
    strategy: Text
    units: Units
    num_layers: Layers | None
    dropout: Share
    bidirectional: bool
    start: Text
    transform: Text
    calendar: bool
    scaler: Text
    past_target: bool
    validation: Share
    season: Count
    levels: list[Number]
    training: Budget
    rivals: Names
    own: dict[Text, OwnRecord]
    by_cell: dict[Text, OwnSettings]


class ModelSettings(_SharedSettings):
    """:class:`kseq.Settings` of one cell, as a card holds them: those that a network and its forecasts follow."""

    cells: Annotated[list[Cell], Meta(min_length=1, max_length=1)]
    seeds: Annotated[list[Seed], Meta(min_length=1)]
    lookback: Size
    horizon: Size
    horizons: NotRequired[dict[str, Size]]
    strategy: NotRequired[Literal["direct"]]
    units: Units
    num_layers: Layers | None
    dropout: Share
    bidirectional: bool
    start: Text
    transform: Text
    calendar: bool
    scaler: Text
    past_target: bool
    validation: Share
    season: Count
    levels: list[Number]
    training: Budget
    by_cell: NotRequired[dict[Cell, OwnSettings]]
    rivals: NotRequired[Annotated[Names, Meta(max_length=0)]]
    own: NotRequired[Annotated[dict[Text, OwnRecord], Meta(max_length=0)]]


class ReadingArguments(TypedDict, total=False):
    """Arguments of the readers of :mod:`kseq.data`."""

    path: Text
    name: Text | None
    time: Text | SomeNames | None
    target: Text | SomeNames | None
    features: Text | Names
    future: Text | Names
    static: Text | Names
    header: Count
    fill: Text | None
    unit: Text
    id: Text | None
    series: Text | int | float | None
    freq: Text | None
    season: Count | None
    constant: bool
    no_header: bool
    sep: Text | None
    decimal: Text | None
    thousands: Text | None
    encoding: Text | None
    skip_rows: Count
    skip_footer: Count
    comment: Text | None
    member: Text | None
    sheet: Text | int | None
    select: Text | dict[str, Text | float | list[Text | float]] | None
    preset: Text | None
    address: Text
    query: Text
    missing: Text | float | list[Text | float] | None
    date_format: Text | None
    dayfirst: bool | None
    sort: bool
    wide: Text | None


class Origin(TypedDict):
    """:class:`kseq.data._origin.Origin`."""

    reader: Text
    arguments: ReadingArguments
    sha256: Text


class SeriesRecord(TypedDict):
    """What a record says of the series."""

    name: Text
    rows: Count
    first: Text
    last: Text
    origin: NotRequired[Origin | None]
    targets: NotRequired[Names]
    features: NotRequired[Names]
    future: NotRequired[Names]
    static: NotRequired[Names]
    inputs: NotRequired[Names]
    transform: NotRequired[Text]
    series: NotRequired[Count]
    step: NotRequired[Text]
    freq: NotRequired[Text]
    fill: NotRequired[Text | None]
    notes: NotRequired[Names]
    read: NotRequired[Text]
    season: NotRequired[Count]
    source: NotRequired[Text]
    sha256: NotRequired[Text]


class IntervalRecord(TypedDict, total=False):
    """Coverage and width of the intervals of one level."""

    coverage: Number | None
    width: Number | None


class RowRecord(TypedDict):
    """What a record says of a row of the table; metrics have a value a member."""

    name: Text
    kind: Text
    seeds: NotRequired[list[Seed]]
    parameters: NotRequired[Count]
    units: NotRequired[list[Size]]
    epochs: NotRequired[list[Count]]
    refit_epochs: NotRequired[list[Count]]
    diverged: NotRequired[list[Seed]]
    kernel: NotRequired[Text]
    seconds: NotRequired[Number | None]
    first_epoch_seconds: NotRequired[Number | None]
    seconds_per_epoch: NotRequired[Number | None]
    members_at_once: NotRequired[Count | None]
    mae: NotRequired[list[Number | None]]
    rmse: NotRequired[list[Number | None]]
    mape: NotRequired[list[Number | None]]
    smape: NotRequired[list[Number | None]]
    mase: NotRequired[list[Number | None]]
    rmsse: NotRequired[list[Number | None]]
    r2: NotRequired[list[Number | None]]
    bias: NotRequired[list[Number | None]]
    pinball: NotRequired[list[Number | None]]
    wql: NotRequired[list[Number | None]]
    crps: NotRequired[list[Number | None]]
    validation: NotRequired[Number | None]
    may_be_best: NotRequired[bool]
    confidence_p: NotRequired[Number | None]
    rank: NotRequired[Number | None]
    skill: NotRequired[Number | None]
    group: NotRequired[Text | None]
    intervals: NotRequired[dict[str, IntervalRecord]]


class Machine(TypedDict, total=False):
    """:func:`kseq.backends.machine`."""

    processor: Text
    cores: Count | None
    system: Text
    threads: dict[str, Scalar]


class Split(TypedDict):
    """:class:`kseq.preprocessing.splits.Split`."""

    validation: Count
    test: Count
    n: Count


class Windows(TypedDict, total=False):
    """Windows of each part."""

    train: Count
    validation: Count
    test: Count


class PairRecord(TypedDict, total=False):
    """One comparison of two rows."""

    better: Text
    worse: Text
    gap: Number | None
    p_seeds: Number | None
    p_time: Number | None
    p: Number | None
    p_adjusted: Number | None
    level: Number | None
    significant: bool


class OthersRecord(TypedDict):
    """Forecasts of others that stood beside the rows, see :class:`kseq.comparison.others.Beside`."""

    path: Text | None
    sha256: Text
    models: Names


class RunRecord(TypedDict):
    """``run.json``, see :attr:`kseq.Comparison.record`. Needed is what repeats the run and compares its figures."""

    kseq: Text
    settings: SomeSettings
    series: SeriesRecord
    models: list[RowRecord]
    backend: Text | None
    device: Text
    versions: NotRequired[dict[str, Text]]
    machine: NotRequired[Machine]
    split: NotRequired[Split | None]
    windows: NotRequired[Windows]
    folds: NotRequired[list[dict[str, Any]]]
    seconds: NotRequired[Number | None]
    with_forecasts: NotRequired[OthersRecord | None]
    tuning: NotRequired[dict[str, Any] | None]
    metric: NotRequired[Text]
    best_baseline: NotRequired[Text | None]
    noise: NotRequired[list[dict[str, Any]]]
    verdict: NotRequired[Names]
    traps: NotRequired[Names]
    differences: NotRequired[list[PairRecord]]


class KeptReading(TypedDict, total=False):
    """Options of reading that hold for a file with newer rows."""

    time: Text | SomeNames
    header: Count
    id: Text
    series: Text | int | float
    fill: Text
    freq: Text
    no_header: bool
    sep: Text
    decimal: Text
    thousands: Text
    encoding: Text
    skip_rows: Count
    skip_footer: Count
    comment: Text
    member: Text | None
    sheet: Text | int | None
    select: Text | dict[str, Text | float | list[Text | float]] | None
    preset: Text | None
    missing: Text | float | list[Text | float]
    date_format: Text
    dayfirst: bool
    sort: bool
    wide: Text


class HalfWidthsRecord(TypedDict):
    """:class:`kseq.forecasting.card.HalfWidths`; null where too few errors are known."""

    levels: list[Number]
    values: list[list[list[Number | None]]]
    errors: Count


class CardFormat(TypedDict):
    """What tells whether a card can be read at all."""

    format: int
    kseq: Text


class _CardRecord(TypedDict):
    """What all cards hold."""

    format: int
    kseq: Text
    name: Literal["SimpleRNN", "LSTM", "GRU"]
    settings: ModelSettings
    seeds: Annotated[list[Seed], Meta(min_length=1)]
    epochs: Count
    refitted: bool
    rows: Count
    first: Text
    sha256: Text
    freq: Text
    step: Text
    season: Size
    reading: KeptReading
    scores: dict[str, Number | None]
    backend: Text
    versions: dict[str, Text]
    half_widths: HalfWidthsRecord
    checksums: NotRequired[dict[str, Text]]


class ScaleRecord(TypedDict):
    """A scale, a number a column."""

    columns: Names
    center: list[Number]
    scale: list[Number]


class StepRecord(TypedDict):
    """A step of a transform, with the numbers that it has been fitted to."""

    name: Literal["log", "anomaly", "trend", "difference"]
    season: NotRequired[Size]
    phase: NotRequired[list[Count]]
    means: NotRequired[list[list[Number]]]
    start: NotRequired[list[Number]]
    slope: NotRequired[list[Number]]


class TransformRecord(TypedDict):
    """The transform of a model of one series in format 1."""

    steps: list[StepRecord]
    changes: bool


Precision = Literal["s", "ms", "us", "ns"]


class RowsRecord(TypedDict):
    """Rows of a series, by dates or numbered from ``first_row`` on."""

    values: list[list[Number | None]]
    first_row: NotRequired[Annotated[int, Meta(ge=-(2**62), le=2**62)]]
    ds: NotRequired[list[Text]]
    time_zone: NotRequired[Text | None]
    precision: NotRequired[Precision]


class ContextRecord(RowsRecord):
    """The last rows of the series that a model was trained on."""

    name: Text
    targets: SomeNames
    features: Names
    future: Names
    unit: Text
    source: Text
    freq: Text | None
    static: dict[str, Number | Text]
    columns: Names
    ahead: RowsRecord


class SeriesCardRecord(_CardRecord):
    """The card of a model of one series in format 1, see :mod:`kseq.forecasting._format1`."""

    inputs: ScaleRecord
    targets: ScaleRecord
    transform: TransformRecord | None
    series: ContextRecord


class ReferenceRecord(TypedDict):
    """What values of a window are measured from."""

    kind: Literal["change", "last", "mean", "season", "increments"]
    season: Size
    spread: bool


class PanelTransformRecord(TypedDict):
    """A transform, whose numbers are arrays."""

    steps: list[Literal["log", "log1p", "anomaly", "trend", "difference"]]
    changes: bool
    season: Size
    reference: NotRequired[ReferenceRecord]


class DatesRecord(TypedDict):
    """What is known of the dates of a panel."""

    time_zone: Text | None
    precision: Precision
    name: Text | None


class CalendarRecord(TypedDict):
    """:class:`kseq.data.Calendar`, but for its gaps."""

    words: Text
    alias: Text
    season: Count


class PanelRecord(TypedDict):
    """The last rows of each series that a model was trained on, but for their numbers."""

    name: Text
    unit: Text
    source: Text
    ids: Annotated[list[str | int | float | bool], Meta(min_length=1)]
    targets: SomeNames
    features: Names
    future: Names
    dates: DatesRecord | None
    calendar: CalendarRecord
    static: dict[str, list[Text | Number] | None]


class CardRecord(_CardRecord):
    """:class:`kseq.forecasting.card.ModelCard`; in format 1 that of a model of several series."""

    input_columns: Names
    transform: PanelTransformRecord | None
    panel: PanelRecord
    arrays: dict[str, list[Count]]


def parse(content: bytes, schema: type[T], values: int = VALUES) -> T:
    """Parse JSON and check it against a schema.

    Args:
        content: UTF-8 text.
        schema: one of the classes of this module, or another type that msgspec knows.
        values: the most values that it may hold.

    Returns:
        What the JSON holds, without the fields that the schema does not name.

    Raises:
        ValueError: it is not JSON, or does not fit the schema. The message is one line and says where: "expected
            `int`, got `str` - at `$.settings.lookback`".

    Example:
        >>> parse(b'{"format": 1, "kseq": "0.1.0", "more": 3}', CardFormat)
        {'format': 1, 'kseq': '0.1.0'}
    """
    _require_few(content, values)
    try:
        return msgspec.json.decode(content, type=schema)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except msgspec.MsgspecError as error:
        text = str(error)
        raise ValueError(text[:1].lower() * text[1:2].islower() + text[text[1:2].islower() : 300]) from error


def _require_few(content: bytes, values: int) -> None:
    if content.count(b",") + content.count(b"[") > values:
        raise ValueError(f"it holds more than {values:,} values")


def parse_any(content: bytes) -> Any:
    """Parse JSON that no schema describes, and bound its depth.

    Raises:
        ValueError: it is not JSON, or is nested more than :data:`DEPTH` levels deep.
    """
    _require_few(content, VALUES)
    try:
        parsed = json.loads(content.decode("utf-8"), parse_constant=_no_number, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    level, depth = [parsed], 0
    while level:
        depth += 1
        if depth > DEPTH:
            raise ValueError(f"it is nested more than {DEPTH} levels deep")
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
    return parsed


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text[:30])
