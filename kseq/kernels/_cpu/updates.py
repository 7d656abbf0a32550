"""Updates of weights by their gradients, by the formulas of Keras's optimizers, with clipping and weight decay."""

import math

from kseq.kernels._cpu.code import part

ADAM, SGD, RMSPROP = range(3)
#: Entries of ``optimizer``, in the number type of the weights.
KIND, BETA_1, BETA_2, REST_1, REST_2, EPSILON, DECAY, CLIPNORM, GLOBAL_CLIPNORM, CLIPVALUE, MOMENTUM, NESTEROV = range(
    12
)
#: Entries of a step's ``rates``: the learning rate, and Adam's with both corrections.
PLAIN, CORRECTED = range(2)


@part
def _squares(gradients, start, end):
    total = 0.0
    for k in range(start, end):
        total += float(gradients[k]) * float(gradients[k])
    return total


@part
def _clip(gradients, borders, optimizer):
    """Clip each weight's gradient by its norm, all by their common norm, or each number."""
    if optimizer[CLIPNORM] > 0:
        for weight in range(len(borders) - 1):
            norm = math.sqrt(_squares(gradients, borders[weight], borders[weight + 1]))
            if not norm <= optimizer[CLIPNORM]:
                scale = optimizer[CLIPNORM] / norm
                for k in range(borders[weight], borders[weight + 1]):
                    gradients[k] *= scale
    elif optimizer[GLOBAL_CLIPNORM] > 0:
        norm = math.sqrt(_squares(gradients, 0, len(gradients)))
        if not norm <= optimizer[GLOBAL_CLIPNORM]:
            # NaN where the norm is infinite, as in Keras.
            scale = optimizer[GLOBAL_CLIPNORM] / norm + (norm - norm)
            for k in range(len(gradients)):
                gradients[k] *= scale
    elif optimizer[CLIPVALUE] > 0:
        limit = optimizer[CLIPVALUE]
        for k in range(len(gradients)):
            if gradients[k] > limit:
                gradients[k] = limit
            elif gradients[k] < -limit:
                gradients[k] = -limit


@part
def update(params, first, second, gradients, borders, decayed, rates, optimizer):
    """Update all weights; ``decayed`` says of each whether weight decay applies."""
    _clip(gradients, borders, optimizer)
    rate, zero = rates[PLAIN], params[0] * 0
    if optimizer[DECAY] > 0:
        for weight in range(len(borders) - 1):
            if decayed[weight]:
                share = rate * optimizer[DECAY]
                for k in range(borders[weight], borders[weight + 1]):
                    params[k] -= params[k] * share
    kind = int(optimizer[KIND])
    if kind == ADAM:
        corrected = rates[CORRECTED]
        beta_1, beta_2, rest_1, rest_2 = optimizer[BETA_1], optimizer[BETA_2], optimizer[REST_1], optimizer[REST_2]
        epsilon = optimizer[EPSILON]
        for k in range(len(params)):
            gradient = gradients[k]
            m, v = first[k] * beta_1 + gradient * rest_1, second[k] * beta_2 + gradient * gradient * rest_2
            first[k], second[k] = m, v
            params[k] -= m * corrected / (math.sqrt(v) + epsilon)
    elif kind == SGD:
        momentum = optimizer[MOMENTUM]
        for k in range(len(params)):
            step = gradients[k] * rate
            if momentum != zero:
                v = first[k] * momentum - step
                first[k] = v
                params[k] += v * momentum - step if optimizer[NESTEROV] != zero else v
            else:
                params[k] -= step
    else:
        rho, rest, epsilon, momentum = optimizer[BETA_2], optimizer[REST_2], optimizer[EPSILON], optimizer[MOMENTUM]
        for k in range(len(params)):
            gradient = gradients[k]
            v = second[k] * rho + gradient * gradient * rest
            second[k] = v
            step = gradient * rate / math.sqrt(v + epsilon)
            if momentum > zero:
                m = first[k] * momentum + step
                first[k] = m
                params[k] -= m
            else:
                params[k] -= step
