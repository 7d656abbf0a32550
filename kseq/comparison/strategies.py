"""How several steps are forecast: all at once, one after the other, or by a decoder.

=============  =======================================================================================================
``direct``     one model, whose head gives all steps of the horizon at once: the default
``recursive``  one model of one step, whose forecast takes the place of the value that is not known yet, step by step
``seq2seq``    an encoder reads the window, a decoder of the same cell goes on from its states: :mod:`kseq.seq2seq`
=============  =======================================================================================================

A recursive model trains on one-step windows of the same parts, and early stopping looks at one-step errors. Its errors
add up over the horizon; in return all that it learns serves every step (Ben Taieb et al. 2012 compare strategies).

Of a panel each window goes on in its own series: in its scale, and with its covariates and static columns.
"""

from dataclasses import replace

import keras
import numpy as np

from kseq import memory
from kseq.comparison.backtest import cut_windows
from kseq.errors import ConfigError, Parameter
from kseq.callbacks import forecast_batch, members_of
from kseq.panels.backtest import cut_panel
from kseq.panels.windows import PanelWindows, WindowedPanel
from kseq.parts import Scaler
from kseq.settings import Settings
from kseq.transforms import FittedTransform
from kseq.windows import WindowedSeries, Windows


def one_step(data: WindowedSeries, settings: Settings) -> WindowedSeries:
    """Cut the same rows into windows of one step, for a recursive model to learn from.

    Args:
        data: the windowed series, or panel, of the comparison.
        settings: by which it was cut.

    Returns:
        WindowedSeries: of horizon 1, with the same parts, transform and scales; of a panel with the same series, so
        that one too short for the whole horizon is not learnt from either.

    Raises:
        ConfigError: models read columns whose values to come are not known.
    """
    known = data.series.targets if settings.past_target else ()
    unknown = [column for column in data.series.features if column not in known]
    if unknown and data.horizon > 1:
        raise ConfigError(
            f"received strategy recursive and past covariates ({', '.join(unknown)}), which are not known for the "
            "steps to forecast; expected such as are known ahead, or another ",
            Parameter("strategy"),
            ".",
        )
    settings = replace(settings, horizon=1)
    if isinstance(data, WindowedPanel):
        return cut_panel(data.series, settings, like=data)
    return cut_windows(data.series, settings, split=data.split)


class Recursive:
    """Forecasts a horizon with a model of one step; called as :func:`kseq.callbacks.predict` is.

    All windows and members take each step together. Where a window ends, the row that follows holds what is known of
    it (future covariates, calendar, static columns), and forecasts in place of the targets.

    Args:
        near: the windowed series of horizon 1 that the model was trained on.

    Example:
        >>> near = one_step(data, settings)  # doctest: +SKIP
        >>> Recursive(near)(model, data, data.test).shape  # doctest: +SKIP
        (10, 147, 12, 1)
    """

    def __init__(self, near: WindowedSeries):
        self.near = near
        series = near.series
        #: Whether models read the targets' past, which stands in the first columns.
        self.reads_targets = tuple(near.input_columns[: near.targets]) == tuple(series.targets)
        #: Whether they read levels and forecast changes.
        self.levels = isinstance(near.transform, FittedTransform) and near.transform.changes

    def __call__(self, model: keras.Model, data: WindowedSeries, windows: Windows) -> np.ndarray:
        """Forecast every window of a part, in the targets' unit.

        Args:
            model: of one step, as trained on ``near``.
            data: the windowed series of the whole horizon.
            windows: the part, such as ``data.test``.

        Returns:
            ``(member, window, step, target)``.
        """
        which = np.arange(len(windows))
        size = memory.windows_at_once(model, self.near.lookback)
        parts = [
            self._continued(model, windows, which[start : start + size], data.horizon)
            for start in range(0, len(which), size)
        ]
        return data.to_units(np.concatenate(parts, axis=1), windows)

    def _continued(self, model: keras.Model, windows: Windows, which: np.ndarray, horizon: int) -> np.ndarray:
        """Scaled forecasts of the windows numbered ``which``, ``(member, window, step, target)``."""
        near, members, firsts = self.near, members_of(model), windows.starts(which)
        owners = windows.series_of(which) if isinstance(windows, PanelWindows) else None
        scales = [
            _of_windows(scaler, near.targets, owners, members) for scaler in (near.input_scaler, near.target_scaler)
        ]
        x = self._rows(firsts[:, None] + np.arange(-near.lookback, 0), owners)
        if members is not None:
            x = np.repeat(x[:, None], members, axis=1)
        steps = []
        for step in range(horizon):
            forecast = np.asarray(forecast_batch(model, x))
            steps.append(forecast)
            if step + 1 == horizon:
                break
            row = self._rows((firsts + step)[:, None], owners)
            if members is not None:
                row = np.repeat(row[:, None], members, axis=1)
            if self.reads_targets:
                row[..., 0, : near.targets] = self._as_input(forecast, x[..., -1, : near.targets], *scales)
            x = np.concatenate([x[..., 1:, :], row], axis=-2)
        # (window, [member,] target) a step.
        scaled = np.stack(steps, axis=-2)
        return scaled[None] if members is None else np.moveaxis(scaled, 1, 0)

    def _rows(self, rows: np.ndarray, owners: np.ndarray | None) -> np.ndarray:
        """What models read of ``rows``, ``(window, time)``, as a copy; static columns of a panel stand last."""
        part = self.near.test
        x = part.inputs[rows]
        if owners is None or not isinstance(part, PanelWindows):
            return x
        static = part.static[owners][:, None]
        return np.concatenate([x, np.broadcast_to(static, (*x.shape[:-1], static.shape[-1]))], axis=-1)

    def _as_input(self, forecast: np.ndarray, last: np.ndarray, read: Scaler, forecasts: Scaler) -> np.ndarray:
        """A forecast as models read the row that it is of.

        Args:
            forecast: scaled, ``(window, [member,] target)``.
            last: what they read of the targets the row before, of the same shape.
            read: scale of the targets as they are read.
            forecasts: scale of the targets as they are forecast.
        """
        value = forecasts.inverse(forecast.astype("float64"))
        # Where levels are read, what is forecast is the change of what is read.
        return read.transform(read.inverse(last) + value if self.levels else value)


def _of_windows(scaler: Scaler, targets: int, owners: np.ndarray | None, members: int | None) -> Scaler:
    """The scale of the targets, which stand first; of a panel that of each window's series, for its members too."""
    if owners is None:
        return Scaler(scaler.center[:targets], scaler.scale[:targets])
    center, scale = scaler.center[owners, :targets], scaler.scale[owners, :targets]
    return Scaler(center, scale) if members is None else Scaler(center[:, None], scale[:, None])
