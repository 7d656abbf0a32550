"""Parts of the fast training step on PyTorch, see :mod:`kseq.layers.fast_step`: update, CUDA graphs, products."""

import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from kseq.kernels.torch_members import has_triton, triton


def compiling() -> bool:
    """Whether PyTorch is compiling what runs, which must then be operations of its own."""
    return torch.compiler.is_compiling()


def steps_on(values: list[Tensor]) -> bool:
    """Whether the step has been made for the device of the weights; on others (Apple's) Keras's own runs."""
    return bool(values) and values[0].device.type in ("cpu", "cuda")


class Adam:
    """Keras's Adam or AdamW on all weights in one call: what it needs, gathered once.

    Keras adds epsilon to the root of the raw second moment (the paper's epsilon hat), PyTorch to that of the corrected
    one. At a step number without end PyTorch corrects nothing, and the correction goes into the rate, as in Keras.

    What changes from step to step lies in tensors, so that the update can be a part of a recorded graph.

    Args:
        values: the weights.
        momenta: their first moments.
        velocities: their second moments.
        decayed: those of the weights that weight decay is for.
        optimizer: Keras's.
    """

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
        """The optimizer's settings that a recorded graph holds as they were."""
        optimizer = self.optimizer
        return optimizer.beta_1, optimizer.beta_2, optimizer.epsilon, bool(optimizer.weight_decay)

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

    @torch.no_grad()
    def update(self, gradients: tuple[Tensor, ...]) -> None:
        """Move the weights."""
        optimizer = self.optimizer
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


class _Number:
    """The number in a tensor, read again only after somebody has written to it: each reading waits for a GPU."""

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


class Replay:
    """A step that a GPU does again and again from a recording: launched at once, not operation by operation.

    A small network's step is some forty operations, and launching one takes longer than computing it. Once a step has
    run some times with batches of a size it is recorded as a CUDA graph; from then on a batch is copied to where the
    recorded one lay. Elsewhere than on a GPU, and where ``settled`` says no, the step simply runs.

    Args:
        step: of a batch ``(x, y)``; returns tensors.
        settled: whether all that the step does can be recorded, asked after it has run.
    """

    #: Runs before a recording: what is compiled, or allocated, at the first must not be part of it.
    _RUNS_BEFORE = 3

    def __init__(self, step: Callable[[Tensor, Tensor], list[Tensor]], settled: Callable[[], bool]):
        self._step, self._settled = step, settled
        self._runs: Counter[tuple] = Counter()
        self._graphs: dict[tuple, tuple[torch.cuda.CUDAGraph, tuple[Tensor, Tensor], list[Tensor]]] = {}

    def __call__(self, x: Tensor, y: Tensor, constants: tuple) -> list[Tensor]:
        """Do the step; ``constants`` are the numbers that a recording keeps."""
        if x.device.type != "cuda":
            return self._step(x, y)
        key = (tuple(x.shape), tuple(y.shape), constants)
        if key not in self._graphs:
            self._runs[key] += 1
            if self._runs[key] <= self._RUNS_BEFORE or not self._settled():
                return self._step(x, y)
            self._graphs[key] = self._recorded(x, y)
        graph, (x_there, y_there), results = self._graphs[key]
        x_there.copy_(x)
        y_there.copy_(y)
        graph.replay()
        # The next replay writes over them.
        return [result.clone() for result in results]

    def _recorded(self, x: Tensor, y: Tensor) -> tuple[torch.cuda.CUDAGraph, tuple[Tensor, Tensor], list[Tensor]]:
        batch = x.clone(), y.clone()
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph):
            results = self._step(*batch)
        return graph, batch, results


#: Kernels whose operations a CUDA graph can hold.
REPLAYED = ("torch-triton", "torch-cudnn")


def _on_cpu(values: list[Tensor]) -> bool:
    return values[0].device.type == "cpu"


def gradients(loss: Tensor, values: list[Tensor]) -> tuple[Tensor, ...]:
    """Gradients of a loss with respect to weights."""
    return torch.autograd.grad(loss, values)


def squared_errors(forecast: Tensor, y: Tensor, *, summed: bool) -> tuple[Tensor, Tensor]:
    """Squared errors, ``(batch, ...)``, and the loss: their mean, or the sum over members of their means."""
    errors = (forecast - y.to(forecast.device)).square().mean(-1)
    loss = errors.mean(0).sum() if summed else errors.mean()
    return errors.detach(), loss


@torch.no_grad()
def mean_so_far(total: Tensor, count: Tensor, found: Tensor, rows: int) -> Tensor:
    """Add a batch's loss, or each window's errors, to a metric of Keras; return the mean of all that it holds."""
    total.add_(found.sum(0) if found.dim() else found.detach() * rows)
    count.add_(rows)
    return total / count


def merge(ahead: Tensor, behind: Tensor, mode: str) -> Tensor:
    """Both directions' outputs as Keras's Bidirectional merges them: ``concat``, ``sum``, ``mul`` or ``ave``."""
    if mode == "concat":
        return torch.cat([ahead, behind], dim=-1)
    if mode == "mul":
        return ahead * behind
    return ahead + behind if mode == "sum" else (ahead + behind) / 2


def reverse(outputs: Tensor) -> Tensor:
    """Turn the order of steps around in ``(..., time, units)``."""
    return outputs.flip(-2)


def zeros(like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Zeros of the number type and on the device of a tensor."""
    return like.new_zeros(shape)


def dense(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """``x W + b`` over the last axis; with members ``x`` is ``(batch, S, ..., features)`` and ``W`` has S first."""
    if kernel.dim() == 2:
        product = torch.matmul(x, kernel)
        return product if bias is None else product + bias
    rows = x.transpose(0, 1)
    product = torch.bmm(rows.flatten(1, -2), kernel)
    if bias is not None:
        product = product + bias.unsqueeze(1)
    return product.view(*rows.shape[:-1], kernel.shape[-1]).transpose(0, 1)


@contextlib.contextmanager
def calm(tensor: Tensor):
    """On a CPU, keep PyTorch's own threads out of a step of small operations.

    They wait for one another by spinning, on processors that the compiled loop's threads need.
    """
    threads = torch.get_num_threads()
    if tensor.device.type != "cpu" or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
