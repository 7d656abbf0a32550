"""Whole epochs of one small network on PyTorch's CPU, in one compiled call; see :mod:`kseq.kernels.cpu_epoch`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kseq.errors import Unsupported
from kseq.kernels import Spec, cpu_epoch

#: Classes of Keras's optimizers, and how the compiled update names them.
_KINDS = {"Adam": "adam", "AdamW": "adam", "SGD": "sgd", "RMSprop": "rmsprop"}


class Epochs:
    """The compiled epoch of one model.

    Args:
        values: All weights that are trained.
        layers: Settings and weights (kernel, recurrent kernel, bias or None) of each recurrent layer, from the first.
        head: Kernel and bias, or None, of the Dense layer.
        skip: Kernel of a linear map of the window, or None.
        optimizer: The Keras optimizer, built for these weights.
        decayed: Whether weight decay applies to each weight.
        saturation: From where on tanh is exactly 1.

    Raises:
        Unsupported: The network or the optimizer is not compiled.
    """

    def __init__(
        self,
        values: list[Tensor],
        layers: Sequence[tuple[Spec, Sequence[Tensor | None]]],
        head: tuple[Tensor, Tensor | None],
        skip: Tensor | None,
        optimizer: Any,
        decayed: Sequence[bool],
        saturation: float,
    ):
        places = {value.data_ptr(): number for number, value in enumerate(values)}

        def place(weight: Tensor) -> int:
            if weight.data_ptr() not in places or not weight.is_contiguous():
                raise Unsupported("weights that are frozen")
            return places[weight.data_ptr()]

        found = []
        for spec, (kernel, recurrent, bias) in layers:
            features, units = kernel.shape[0], recurrent.shape[0]
            own = place(kernel), place(recurrent), None if bias is None else place(bias)
            found.append(cpu_epoch.Layer(spec, features, units, *own))
        network = cpu_epoch.Network(
            tuple(found), place(head[0]), None if head[1] is None else place(head[1]), head[0].shape[1],
            None if skip is None else place(skip),
        )  # fmt: skip
        cpu_epoch.require(network, values[0].detach().numpy().dtype)
        self.values, self.optimizer, self.decayed = values, optimizer, list(decayed)
        self.moments = _moments(optimizer, len(values))
        self.epochs = cpu_epoch.Epochs(network, saturation)

    def train(self, parts: Sequence[Tensor], batch: int, forms: Sequence[tuple[str, Sequence[float]]]) -> list[float]:
        """Train on all windows once; return the sum over windows of the loss and of each metric.

        Args:
            parts: Windows, targets and perhaps weights.
            batch: Number of windows in a batch.
            forms: Name and numbers of the loss, and of each metric.
        """
        steps = -(-len(parts[0]) // batch)
        optimizer = self.optimizer
        count = optimizer.iterations.value
        settings = _settings(optimizer, int(count), steps)
        if settings.momentum and not self.moments[0]:
            raise Unsupported("momentum that was set after the optimizer was built")
        sums = self.epochs.train(
            [part.numpy() for part in parts],
            batch,
            [value.detach().numpy() for value in self.values],
            ([m.numpy() for m in self.moments[0]], [m.numpy() for m in self.moments[1]]),
            self.decayed,
            settings,
            forms,
        )
        with torch.no_grad():
            count.add_(steps)
        # Versions tell others that the tensors were written to.
        for tensor in (*self.values, *self.moments[0], *self.moments[1]):
            torch.autograd.graph.increment_version(tensor)
        return sums.tolist()


def _moments(optimizer: Any, count: int) -> tuple[list[Tensor], list[Tensor]]:
    """First and second moments of each weight, as far as the optimizer has them."""
    kind = _KINDS[type(optimizer).__name__]
    names = {"adam": ("_momentums", "_velocities"), "sgd": ("momentums", ""), "rmsprop": ("_momentums", "_velocities")}
    found = []
    for name in names[kind]:
        tensors = [variable.value for variable in getattr(optimizer, name, None) or []]
        if len(tensors) not in (0, count) or not all(tensor.is_contiguous() for tensor in tensors):
            raise Unsupported("an optimizer of other weights")
        found.append(tensors)
    return found[0], found[1]


def _settings(optimizer: Any, done: int, steps: int) -> cpu_epoch.Optimizer:
    """The optimizer's settings as they are now, and the learning rate of each step."""
    rate = optimizer._learning_rate
    if hasattr(rate, "value"):
        rates = np.full(steps, float(rate.value))
    else:
        rates = np.array([float(rate(done + step)) for step in range(steps)])
    kind = _KINDS[type(optimizer).__name__]
    limits = optimizer.clipnorm, optimizer.global_clipnorm, optimizer.clipvalue
    own = {
        "adam": lambda: {"beta_1": optimizer.beta_1, "beta_2": optimizer.beta_2, "epsilon": optimizer.epsilon},
        "sgd": lambda: {"momentum": optimizer.momentum, "nesterov": bool(optimizer.nesterov)},
        "rmsprop": lambda: {"beta_2": optimizer.rho, "epsilon": optimizer.epsilon, "momentum": optimizer.momentum},
    }
    return cpu_epoch.Optimizer(
        kind,
        rates,
        done,
        decay=float(optimizer.weight_decay or 0),
        clipping=[float(limit or 0) for limit in limits],
        **own[kind](),
    )
