"""Losses of a forecaster, and of an ensemble whose members train as if alone.

============  ==========================================================================================================
``mse``       mean squared error: the forecast aims at the mean
``mae``       mean absolute error: the forecast aims at the median; outliers count less
``huber``     squared up to an error of 1, absolute beyond (Huber 1964), in units of the scaled target
``quantile``  twice the pinball loss (Koenker and Bassett 1978), averaged over quantiles: the forecast is the quantiles
============  ==========================================================================================================

Written in ``keras.ops``: the same on every backend. The fast step calls :meth:`ForecastLoss.errors` or computes the
same by formulas of its own.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kseq.errors import ConfigError
from kseq.validation import require_choice

#: Names of the losses.
LOSSES = ("mse", "mae", "huber", "quantile")


@keras.saving.register_keras_serializable(package="kseq")
class ForecastLoss(keras.losses.Loss):
    """A loss over all steps and targets of a forecast; of an ensemble, summed over members.

    Summed over members, the gradient of each member's weights is that of a single model trained alone.

    Args:
        kind: String, one of ``"mse"``, ``"mae"``, ``"huber"`` and ``"quantile"``.
        quantiles: Sequence of floats between 0 and 1, the quantiles that a forecast consists of; for ``"quantile"``
            alone. Defaults to none.
        members: Boolean, whether ``y_true`` and ``y_pred`` have a members axis after the batch axis. Defaults to
            ``False``.

    Call arguments:
        y_true: Tensor of shape ``(batch, outputs)``, or ``(batch, S, outputs)`` with members.
        y_pred: Tensor of the same shape; for ``"quantile"`` with ``len(quantiles) * outputs`` in place of ``outputs``,
            all outputs of the first quantile first.

    Raises:
        ConfigError: The kind is unknown, or quantiles are missing or superfluous.

    Example:
        >>> model.compile("adam", loss=ForecastLoss("huber"))  # doctest: +SKIP
    """

    def __init__(self, kind: str = "mse", quantiles: Sequence[float] = (), members: bool = False, **options: Any):
        require_choice("loss", kind, LOSSES)
        if bool(len(quantiles)) != (kind == "quantile"):
            raise ConfigError(
                f"received loss {kind} and {len(quantiles)} quantiles, expected quantiles for the loss quantile alone."
            )
        super().__init__(**{"name": kind, **options})
        self.kind, self.quantiles, self.members = kind, tuple(quantiles), bool(members)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each window, ``(batch,)``, which Keras averages."""
        errors = self.errors(y_true, y_pred)
        return ops.sum(errors, axis=-1) if self.members else errors

    def errors(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each window, ``(batch,)``, or of each window and member, ``(batch, S)``."""
        y_pred = ops.convert_to_tensor(y_pred)
        y = ops.cast(y_true, y_pred.dtype)
        if self.kind == "quantile":
            return self._pinball(y, y_pred)
        difference = y_pred - y
        if self.kind == "mse":
            return ops.mean(ops.square(difference), axis=-1)
        size = ops.absolute(difference)
        if self.kind == "mae":
            return ops.mean(size, axis=-1)
        near = ops.minimum(size, 1.0)
        # Half the square up to 1, and a line of slope 1 beyond.
        return ops.mean(near * (size - 0.5 * near), axis=-1)

    def _pinball(self, y: Any, forecast: Any) -> Any:
        count, outputs = len(self.quantiles), y.shape[-1]
        forecast = ops.reshape(forecast, (*ops.shape(forecast)[:-1], count, outputs))
        levels = ops.reshape(ops.convert_to_tensor(self.quantiles, dtype=forecast.dtype), (count, 1))
        missed = ops.expand_dims(y, -2) - forecast
        return 2 * ops.mean(ops.maximum(levels * missed, (levels - 1) * missed), axis=(-2, -1))

    def get_config(self) -> dict[str, Any]:
        """Return the loss's settings."""
        return {**super().get_config(), "kind": self.kind, "quantiles": self.quantiles, "members": self.members}
