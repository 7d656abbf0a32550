"""How several steps are forecast: all at once, one after the other, or by a decoder.

=============  =======================================================================================================
``direct``     one model, whose head gives all steps of the horizon at once: the default
``recursive``  one model of one step, whose forecast takes the place of the value that is not known yet, step by step
``seq2seq``    an encoder reads the window, a decoder of the same cell goes on: :mod:`kseq.models.seq2seq`
=============  =======================================================================================================

A recursive model trains on one-step windows of the same parts, and early stopping looks at one-step errors. Its errors
add up over the horizon; in return all that it learns serves every step (Ben Taieb et al. 2012 compare strategies).

Each window goes on in its own series: in its scale, and with its covariates and static columns.
"""

from dataclasses import replace

import keras
import numpy as np

from kseq.comparison.backtest import cut_windows
from kseq.errors import ConfigError, Parameter
from kseq.preprocessing.windows import WindowedPanel, Windows
from kseq.settings import Settings
from kseq.training.callbacks import members_of
from kseq.training.rollout import roll_out


def one_step(data: WindowedPanel, settings: Settings) -> WindowedPanel:
    """Cut the same rows into windows of one step, for a recursive model to learn from.

    Args:
        data: The windows of the comparison.
        settings: Settings by which the panel was cut.

    Returns:
        WindowedPanel: Windows of horizon 1, with the same parts, transform, scales and series, so that a series too
        short for the whole horizon is not learnt from either.

    Raises:
        ConfigError: Models read columns whose values to come are not known.
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
    return cut_windows(data.series, replace(settings, horizon=1, horizons={}), like=data)


class Recursive:
    """Forecasts a horizon with a model of one step; called as :func:`kseq.training.callbacks.predict` is.

    All windows and members take each step together. Where a window ends, the row that follows holds what is known of
    it (future covariates, calendar, static columns), and forecasts in place of the targets.

    Args:
        near: The windowed series of horizon 1 that the model was trained on.

    Example:
        >>> near = one_step(data, settings)  # doctest: +SKIP
        >>> Recursive(near)(model, data, data.test).shape  # doctest: +SKIP
        (10, 147, 12, 1)
    """

    def __init__(self, near: WindowedPanel):
        self.near = near

    def __call__(self, model: keras.Model, data: WindowedPanel, windows: Windows) -> np.ndarray:
        """Forecast every window of a part, in the targets' unit.

        Args:
            model: Model of one step, as trained on ``near``.
            data: The windowed series of the whole horizon.
            windows: The part, such as ``data.test``.

        Returns:
            ``(member, window, step, target)``.
        """
        starts = windows.all_starts()
        made = np.empty((members_of(model) or 1, len(starts), 0, data.targets))
        made = roll_out(model, self.near, starts, made, blocks=data.horizon)
        rows = windows.target_rows
        return made if data.transform is None else data.transform.undo(made, data.series, rows)
