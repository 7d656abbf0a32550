"""Losses and metrics of forecasts, with the slope of the loss: the formulas of Keras's losses of these names."""

import math

from kseq.kernels._cpu.code import part

#: Numbers of the formulas, as the compiled functions take them.
KINDS = {"mse": 0, "mae": 1, "mape": 2, "msle": 3, "huber": 4, "log_cosh": 5, "quantile": 6}


@part
def _value_and_slope(kind, forecast, actual, option):
    """Loss of one number and its derivative by the forecast."""
    error = forecast - actual
    size = abs(error)
    sign = 1.0 if error > 0 else (-1.0 if error < 0 else error)
    if kind == 0:
        return error * error, 2.0 * error
    if kind == 1:
        return size, sign
    if kind == 2:
        scale = 100.0 / max(abs(actual), option)
        return size * scale, sign * scale
    if kind == 3:
        inside = max(forecast, option) + 1.0
        difference = math.log(inside) - math.log(max(actual, option) + 1.0)
        return difference * difference, (2.0 * difference / inside if forecast >= option else 0.0)
    if kind == 4:
        if size <= option:
            return 0.5 * error * error, error
        return option * size - 0.5 * option * option, option * sign
    if kind == 5:
        # log(1 + exp(-2 e)) without overflow.
        rest = math.log1p(math.exp(-2.0 * size))
        return size + rest - math.log(2.0), math.tanh(error)
    # Twice the pinball loss of the quantile ``option``.
    if error > 0:
        return 2.0 * (1.0 - option) * error, 2.0 * (1.0 - option)
    return -2.0 * option * error, (-2.0 * option if error < 0 else 1.0 - 2.0 * option + error)


@part
def loss_and_slope(work, at, y, y_at, sample_weight, w_at, rows, size, targets, forms, options, sums):
    """Replace forecasts by the slopes of the loss, and add loss and metrics of each window to ``sums``.

    ``forms`` holds the kind of the loss, then that of each metric; ``options`` their numbers, of which a quantile loss
    has one for every ``targets`` forecasts.
    """
    for r in range(rows):
        weight = float(sample_weight[w_at + r]) if sample_weight.size else 1.0
        for form in range(len(forms) - 1, -1, -1):
            kind, total = forms[form], 0.0
            for o in range(size):
                option = options[form, o // targets if kind == 6 else 0]
                forecast, actual = float(work[at + r * size + o]), float(y[y_at + r * targets + o % targets])
                value, slope = _value_and_slope(kind, forecast, actual, option)
                total += value
                if form == 0:
                    # The last to be computed, for it writes over the forecasts.
                    work[at + r * size + o] = slope * weight / (rows * size)
            sums[form] += total * weight / size if form == 0 else total / size
