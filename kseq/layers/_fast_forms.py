"""Which losses, metrics and optimizers the fast step computes by its own formulas; the rest is called through Keras."""

from typing import Any, NamedTuple

import keras
import numpy as np

from kseq.layers.ensemble import MemberLoss, sum_over_members


class Form(NamedTuple):
    """A loss or metric that has a formula.

    Args:
        kind: Name of the formula: ``"mse"``, ``"mae"``, ``"mape"``, ``"msle"``, ``"huber"``, ``"log_cosh"``.
        options: Numbers that the formula takes.
        members: Whether the mean of each member is summed, instead of one mean being taken.
    """

    kind: str
    options: tuple[float, ...] = ()
    members: bool = False


_KINDS = {
    keras.losses.mean_squared_error: "mse",
    keras.losses.mean_absolute_error: "mae",
    keras.losses.mean_absolute_percentage_error: "mape",
    keras.losses.mean_squared_logarithmic_error: "msle",
    keras.losses.huber: "huber",
    keras.losses.log_cosh: "log_cosh",
}
#: Keras's loss that wraps a function, and its metric that averages one.
_LOSS, _METRIC = keras.losses.MeanSquaredError.__mro__[1], keras.metrics.MeanMetricWrapper
_ROOT = keras.metrics.RootMeanSquaredError
#: Whether this version of Keras gives targets of shape ``(batch,)`` the axis that forecasts ``(batch, 1)`` have.
EXPANDS_TARGETS = len(keras.losses.mean_squared_error(np.zeros(2), np.zeros((2, 1))).shape) == 1


def form_of_loss(loss: Any) -> Form | None:
    """The formula of what a user passed to ``compile`` as ``loss``; None if it has none here."""
    if loss is sum_over_members:
        return Form("mse", members=True)
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss):
        plain = isinstance(loss, _LOSS) and type(loss).call is _LOSS.call and type(loss).__call__ is _LOSS.__call__
        if not plain or loss.reduction != "sum_over_batch_size" or loss.dtype != keras.config.floatx():
            return None
        return _form(loss.fn, loss._fn_kwargs)
    return _form(loss, {})


def form_of_metric(metric: keras.metrics.Metric) -> Form | None:
    """The formula of a metric that is a mean of errors; None if it has none here."""
    if metric.dtype != keras.config.floatx():
        return None
    if type(metric) is _ROOT:
        return Form("mse")
    if isinstance(metric, _METRIC) and type(metric).update_state is _METRIC.update_state:
        return _form(metric._fn, metric._fn_kwargs) if type(metric).result is _METRIC.result else None
    return None


def is_root(metric: keras.metrics.Metric) -> bool:
    """Whether a metric is the root of a mean."""
    return type(metric) is _ROOT


def is_of_members(metric: keras.metrics.Metric) -> bool:
    """Whether a metric holds the loss of each member."""
    return type(metric) is MemberLoss


def _form(function: Any, options: dict[str, Any]) -> Form | None:
    try:
        kind = _KINDS.get(function)
    except TypeError:
        # What cannot be hashed is none of these functions.
        return None
    if kind == "huber":
        delta = options.get("delta", 1.0)
        return Form(kind, (float(delta),)) if set(options) <= {"delta"} and isinstance(delta, int | float) else None
    if kind is None or options:
        return None
    return Form(kind, (keras.config.epsilon(),) if kind in ("mape", "msle") else ())


def is_adam(optimizer: Any) -> bool:
    """Whether an optimizer is Keras's Adam or AdamW, with settings of which the fused update knows all."""
    kind = type(optimizer)
    known = kind.__name__ in ("Adam", "AdamW") and kind.__module__.startswith("keras.")
    return known and not optimizer.amsgrad and _is_plain(optimizer)


def is_compiled(optimizer: Any) -> bool:
    """Whether the compiled epoch knows all settings of an optimizer."""
    kind = type(optimizer)
    if kind.__name__ not in ("Adam", "AdamW", "SGD", "RMSprop") or not kind.__module__.startswith("keras."):
        return False
    if getattr(optimizer, "amsgrad", False) or getattr(optimizer, "centered", False):
        return False
    rate = optimizer._learning_rate
    known = hasattr(rate, "value") or isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
    return known and _is_plain(optimizer)


def _is_plain(optimizer: Any) -> bool:
    """Whether an optimizer neither averages weights, nor accumulates gradients, nor scales the loss."""
    return not (optimizer.use_ema or optimizer.gradient_accumulation_steps or optimizer.loss_scale_factor)


def compiled_form(form: Form, loss: Any) -> tuple[str, tuple[float, ...]]:
    """Name and numbers of a loss or metric, as the compiled epoch takes them; of an object with ``errors``, its own."""
    if form.kind != "errors":
        return form.kind, form.options
    return loss.kind, tuple(loss.quantiles) or (1.0,)
