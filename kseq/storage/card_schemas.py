"""What the card of a model file must look like.

Each schema is a ``TypedDict`` as in :mod:`kseq.storage.schemas`; a new format of cards is a new class here.
"""

from typing import Annotated, Literal, NotRequired, TypedDict

from msgspec import Meta

from kseq.storage.schemas import (
    Budget,
    Cell,
    Count,
    KeptReading,
    Layers,
    Names,
    Number,
    OwnRecord,
    OwnSettings,
    Seed,
    Share,
    SharedSettings,
    Size,
    SomeNames,
    Text,
    Units,
)


class ModelSettings(SharedSettings):
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
    skip: NotRequired[Literal["none", "linear"]]
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
    moves: NotRequired[HalfWidthsRecord]
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

    kind: Literal["change", "last", "mean", "season", "ar", "increments"]
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
    #: Name of whole numbers that stand for dates; absent where there are dates, or rows are only numbered.
    steps: NotRequired[Text]
    calendar: CalendarRecord
    static: dict[str, list[Text | Number] | None]


class CardRecord(_CardRecord):
    """:class:`kseq.forecasting.card.ModelCard`; in format 1 that of a model of several series."""

    input_columns: Names
    transform: PanelTransformRecord | None
    panel: PanelRecord
    arrays: dict[str, list[Count]]
