"""What the record of a run must look like, and what it shares with the cards of models.

Each schema is a ``TypedDict``, checked by msgspec while the file is parsed, so that the code behind it meets the types
that it expects and nothing else. Fields that a schema does not name are left out: later versions may add some. A field
that a later version adds is ``NotRequired``.

msgspec is imported with this module, which is therefore imported only where a file is read.
"""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

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


class SharedSettings(TypedDict, total=False):
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


class SomeSettings(SharedSettings, total=False):
    """:class:`kseq.Settings`, of which none are there where a script filled the table."""

    cells: Names
    seeds: list[Seed]
    lookback: Size | None
    horizon: Size
    horizons: dict[str, Size]
    strategy: Text
    units: Units
    num_layers: Layers | None
    dropout: Share
    bidirectional: bool
    start: Text
    skip: Text
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


class KeptReading(TypedDict, total=False):
    """Arguments of the readers of :mod:`kseq.data` that hold for another file of the same kind, such as newer rows."""

    time: Text | SomeNames | None
    header: Count
    id: Text | None
    series: Text | int | float | None
    fill: Text | None
    freq: Text | None
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
    missing: Text | float | list[Text | float] | None
    date_format: Text | None
    dayfirst: bool | None
    sort: bool
    wide: Text | None


class ReadingArguments(KeptReading, total=False):
    """Arguments of the readers of :mod:`kseq.data`."""

    path: Text
    name: Text | None
    target: Text | SomeNames | None
    features: Text | Names
    future: Text | Names
    static: Text | Names
    unit: Text
    season: Count | None
    constant: bool
    address: Text
    query: Text


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
