"""Updates of all weights by their gradients on PyTorch: Keras's Adam and AdamW in one call, others through Keras."""

from typing import Any

import torch
from torch import Tensor

from kseq.kernels.torch_members import has_triton, triton


class KerasUpdate:
    """Any optimizer's own update, called as Keras calls it.

    Args:
        optimizer: The optimizer.
        variables: The variables that it updates.
    """

    #: Numbers that a recorded graph holds as they were; this update is not recorded.
    constants: tuple = ("keras",)
    replayable = False

    def __init__(self, optimizer: Any, variables: list[Any]):
        self.optimizer, self.variables = optimizer, variables

    def begin(self) -> None:
        """Do nothing: the optimizer counts its steps when it updates."""

    def scaled(self, loss: Tensor) -> Tensor:
        """Scale the loss as the optimizer wants it for the gradients."""
        return self.optimizer.scale_loss(loss)

    @torch.no_grad()
    def update(self, gradients: tuple[Tensor | None, ...]) -> None:
        """Update the weights."""
        self.optimizer.apply(list(gradients), self.variables)


class Adam:
    """Keras's Adam and AdamW, with weight decay and clipping, in one call for all weights.

    Keras adds epsilon to the root of the raw second moment (the paper's epsilon hat), PyTorch to that of the corrected
    one. At an infinite step number PyTorch corrects nothing, and the correction goes into the rate, as in Keras.

    What changes from step to step is held in tensors, so that the update can be part of a recorded graph.

    Args:
        values: The weights.
        momenta: Their first moments.
        velocities: Their second moments.
        decayed: Those of the weights to which weight decay applies.
        optimizer: The Keras optimizer, whose settings are read at each step.
    """

    replayable = True

    def __init__(
        self,
        values: list[Tensor],
        momenta: list[Tensor],
        velocities: list[Tensor],
        decayed: list[Tensor],
        optimizer: Any,
    ):
        # The fused update reads memory in order, whatever the strides are; Keras starts square weights transposed.
        for tensor in (*values, *momenta, *velocities):
            tensor.data = tensor.data.contiguous()
        self.values, self.momenta, self.velocities, self.decayed = values, momenta, velocities, decayed
        self.optimizer = optimizer
        self._iterations, self._learning_rate = _Number(), _Number()
        self._endless = [torch.full((), 1e9, dtype=torch.float32, device=values[0].device)] * len(values)
        # PyTorch's update gives 65,536 weights to one of the GPU's many processors, which works on while others idle.
        self._in_triton = not _on_cpu(values) and values[0].dtype == torch.float32 and has_triton(values[0].device)
        #: The learning rate of this step, and the share of the weights that their decay leaves.
        self._rate = torch.zeros((), dtype=torch.float64 if _on_cpu(values) else torch.float32, device=values[0].device)
        self._left = torch.ones((), dtype=values[0].dtype, device=values[0].device)

    @property
    def constants(self) -> tuple:
        """Settings of the optimizer that a recorded graph holds as they were."""
        optimizer = self.optimizer
        clipping = optimizer.clipnorm, optimizer.global_clipnorm, optimizer.clipvalue
        return optimizer.beta_1, optimizer.beta_2, optimizer.epsilon, bool(optimizer.weight_decay), *clipping

    @torch.no_grad()
    def begin(self) -> None:
        """Begin a step: count it, and work out its learning rate."""
        optimizer = self.optimizer
        # A variable, or what a schedule says of this step.
        rate = optimizer.learning_rate
        rate = self._learning_rate.read(rate.value) if hasattr(rate, "value") else float(rate)
        step = int(self._iterations.read(optimizer.iterations.value)) + 1
        self._iterations.add(1)
        self._rate.fill_(rate * (1 - optimizer.beta_2**step) ** 0.5 / (1 - optimizer.beta_1**step))
        if optimizer.weight_decay:
            self._left.fill_(1 - rate * optimizer.weight_decay)

    def scaled(self, loss: Tensor) -> Tensor:
        """Return the loss: it is not scaled."""
        return loss

    @torch.no_grad()
    def update(self, gradients: tuple[Tensor, ...]) -> None:
        """Update the weights."""
        optimizer = self.optimizer
        gradients = clipped(gradients, optimizer)
        if optimizer.weight_decay and self.decayed:
            torch._foreach_mul_(self.decayed, self._left)
        if self._in_triton:
            for value, gradient, momentum, velocity in zip(
                self.values, gradients, self.momenta, self.velocities, strict=True
            ):
                triton().adam(
                    value, gradient, momentum, velocity, self._rate,
                    optimizer.beta_1, optimizer.beta_2, optimizer.epsilon,
                )  # fmt: skip
            return
        torch._fused_adam_(
            self.values,
            [gradient.contiguous() for gradient in gradients],
            self.momenta,
            self.velocities,
            [],
            self._endless,
            lr=self._rate,
            beta1=optimizer.beta_1,
            beta2=optimizer.beta_2,
            weight_decay=0.0,
            eps=optimizer.epsilon,
            amsgrad=False,
            maximize=False,
        )


def clipped(gradients: tuple[Tensor, ...], optimizer: Any) -> tuple[Tensor, ...]:
    """Clip gradients as an optimizer of Keras does: each by its norm, all by their common norm, or each number."""
    if (limit := optimizer.clipnorm) and limit > 0:
        norms = torch._foreach_norm(gradients)
        return torch._foreach_mul(gradients, [limit / norm.clamp_min(limit) for norm in norms])
    if (limit := optimizer.global_clipnorm) and limit > 0:
        norm = torch.stack(torch._foreach_norm(gradients)).norm()
        # NaN where the norm is not finite, as in Keras.
        scale = limit / norm.clamp_min(limit) + (norm - norm)
        return torch._foreach_mul(gradients, scale)
    if (limit := optimizer.clipvalue) and limit > 0:
        return torch._foreach_clamp_max(torch._foreach_clamp_min(gradients, -limit), limit)
    return gradients


class _Number:
    """The number in a tensor, read again only after a write to the tensor: each reading waits for a GPU."""

    def __init__(self) -> None:
        self._tensor: Tensor | None = None
        self._version, self._number = -1, 0.0

    def read(self, tensor: Tensor) -> float:
        if tensor is not self._tensor or tensor._version != self._version:
            self._tensor, self._version, self._number = tensor, tensor._version, tensor.item()
        return self._number

    def add(self, more: float) -> None:
        """Add to the tensor that was read, and to the number."""
        tensor = self._tensor
        assert tensor is not None
        tensor.add_(more)
        self._version, self._number = tensor._version, self._number + more


def _on_cpu(values: list[Tensor]) -> bool:
    return values[0].device.type == "cpu"
