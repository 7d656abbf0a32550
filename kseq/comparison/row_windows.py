"""Windows of a row with its own lookback or transform: all rows learn from, and forecast, the same target rows."""

from dataclasses import replace

from kseq.comparison.backtest import cut_windows
from kseq.errors import ConfigError
from kseq.preprocessing.columns import require_inputs
from kseq.preprocessing.windows import WindowedPanel
from kseq.settings import Settings


def with_lookback(data: WindowedPanel, lookback: int) -> WindowedPanel:
    """The same windows with fewer rows to read before each: every target row stays where it is.

    Args:
        data: The windowed series.
        lookback: Rows to read, at most ``data.lookback``.

    Raises:
        ConfigError: There are future covariates and the horizon is longer than ``lookback``.
    """
    if lookback == data.lookback:
        return data
    require_inputs(data.input_columns, data.series.future, lookback, data.horizon)
    train, validation, test = (replace(part, lookback=lookback) for part in (data.train, data.validation, data.test))
    return replace(data, lookback=lookback, train=train, validation=validation, test=test)


def with_transform(data: WindowedPanel, settings: Settings) -> WindowedPanel:
    """The same windows with another transform of the targets: every target row stays where it is.

    Args:
        data: The windowed series.
        settings: Settings of a row, with its own transform and lookback.

    Raises:
        ConfigError: Windows reach rows that the transform leaves without a value.
        DataError: The series does not allow the transform.
    """
    shared = replace(settings, lookback=data.lookback, horizon=data.horizon)
    cut = cut_windows(data.series, shared, split=data.split)
    lost, room = (part.transform.lost(settings.lookback) if part.transform else 0 for part in (cut, data))
    if settings.lookback + lost > data.lookback + room:
        raise ConfigError(
            f"received transform {settings.transform} and lookback {settings.lookback} for one row alone, expected a "
            f"lookback of at most {data.lookback + room - lost}: the transform leaves the first row without a value; "
            "raise the shared lookback, which says where windows stand."
        )
    return standing_as(cut, data)


def standing_as(cut: WindowedPanel, data: WindowedPanel) -> WindowedPanel:
    """What is read and forecast of ``cut``, in windows that stand where those of ``data`` do."""
    train, validation, test = (
        replace(
            part,
            inputs=cut.train.inputs,
            targets=cut.train.targets,
            reference=cut.train.reference,
            columns=cut.train.columns,
        )
        for part in (data.train, data.validation, data.test)
    )
    # Parts hold the static columns of the series, which no transform changes.
    return replace(
        cut, train=train, validation=validation, test=test, notes=data.notes, static_scaler=data.static_scaler
    )
