"""Parts of the fast training step on PyTorch, see :mod:`kseq.layers.fast_step`: CUDA graphs, products, gradients."""

import contextlib
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from kseq.kernels.torch_losses import add_sum, elements, mean_so_far  # noqa: F401 (parts of a step)
from kseq.kernels.torch_optimizers import Adam, KerasUpdate  # noqa: F401 (parts of a step)


def compiling() -> bool:
    """Whether PyTorch is compiling what runs, which must then be operations of its own."""
    return torch.compiler.is_compiling()


def steps_on(values: list[Tensor]) -> bool:
    """Whether the step has been made for the device of the weights; on others (Apple's) Keras's own runs."""
    return bool(values) and values[0].device.type in ("cpu", "cuda")


class Replay:
    """A step that a GPU does again and again from a recording: launched at once, not operation by operation.

    A small network's step is some forty operations, and launching one takes longer than computing it. Once a step has
    run some times with batches of a size it is recorded as a CUDA graph; from then on a batch is copied to where the
    recorded one lay. Elsewhere than on a GPU, and where ``settled`` says no, the step simply runs.

    Args:
        step: Function of the tensors of a batch; returns tensors.
        settled: Function that says whether all that the step does can be recorded, asked after it has run.
    """

    #: Runs before a recording: what is compiled, or allocated, at the first must not be part of it.
    _RUNS_BEFORE = 3

    def __init__(self, step: Callable[..., list[Tensor]], settled: Callable[[], bool]):
        self._step, self._settled = step, settled
        self._runs: Counter[tuple] = Counter()
        self._graphs: dict[tuple, tuple[torch.cuda.CUDAGraph, list[Tensor], list[Tensor]]] = {}

    def __call__(self, batch: list[Tensor], constants: tuple) -> list[Tensor]:
        """Do the step; ``constants`` are the numbers that a recording keeps."""
        if batch[0].device.type != "cuda":
            return self._step(*batch)
        key = (*(tuple(part.shape) for part in batch), constants)
        if key not in self._graphs:
            self._runs[key] += 1
            if self._runs[key] <= self._RUNS_BEFORE or not self._settled():
                return self._step(*batch)
            self._graphs[key] = self._recorded(batch)
        graph, places, results = self._graphs[key]
        for place, part in zip(places, batch, strict=True):
            place.copy_(part)
        graph.replay()
        # The next replay writes over them.
        return [result.clone() for result in results]

    def _recorded(self, batch: list[Tensor]) -> tuple[torch.cuda.CUDAGraph, list[Tensor], list[Tensor]]:
        places = [part.clone() for part in batch]
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph):
            results = self._step(*places)
        return graph, places, results


#: Kernels whose operations a CUDA graph can hold.
REPLAYED = ("torch-triton", "torch-cudnn")


def gradients(loss: Tensor, values: list[Tensor]) -> tuple[Tensor | None, ...]:
    """Gradients of a loss with respect to weights; None for weights that it does not depend on."""
    return torch.autograd.grad(loss, values, allow_unused=True)


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
