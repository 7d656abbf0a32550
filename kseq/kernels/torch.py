"""Kernels for PyTorch; the contract stands in :mod:`kseq.kernels`.

===========================  ==================  ========================================================
where                        kernel              what runs
===========================  ==================  ========================================================
CPU, float32 and float64     ``torch-cpu``       the compiled loop of :mod:`kseq.kernels.cpu`, members too
CPU without Numba            ``torch-native``    ``torch.nn``'s own loop, one layer
CUDA                         ``torch-cudnn``     ``torch.nn``'s own loop through cuDNN, one layer
CUDA, float32, to 128 units  ``torch-triton``    members: all steps in one launch, :mod:`kseq.kernels.torch_triton`
CUDA, CPU without Numba      ``torch-members``   members: a loop over time of batched products
===========================  ==================  ========================================================
"""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import torch
from torch import Tensor

from kseq.errors import Unsupported
from kseq.kernels import Output, Spec, has_members
from kseq.kernels import compiled_kernel as _compiled
from kseq.kernels import torch_step as step  # noqa: F401 (what kseq.layers.fast_step makes a step of)
from kseq.kernels.torch_feed import array_dataset, dataset  # noqa: F401 (what fit reads batches by)
from kseq.kernels.torch_loop import asks_for_more, gradients, transformed
from kseq.kernels.torch_members import fits_triton, run_members, run_triton

# A subclass of Tensor (a traced, sharded or quantized one) has no memory of its own that a kernel could read.
_PLAIN = (torch.Tensor, torch.nn.Parameter)


#: Building a model of fewer members, and what comes with its first step, takes as long as so many multiply-adds of a
#: training (those of the forward pass are counted, and the backward pass takes its time as well): 0.02 seconds.
REBUILD = 2e8


def devices() -> list[str]:
    """Devices that PyTorch sees: the CPU and each GPU by name."""
    return ["cpu", *(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))]


def free_memory() -> int | None:
    """Bytes free on the GPU that PyTorch computes on; None without one."""
    return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else None


def supports_jit() -> bool:
    """Whether Keras may compile a model with these kernels in it: they decline while it does."""
    return True


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Keep all digits of float32 for a while: on a GPU cuDNN multiplies in TF32, which has ten bits of them."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def recording() -> str | None:
    """What records a layer's operations such that only PyTorch's own may be among them; None if nothing does."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return "compiling or tracing"
    return "a transform of torch.func, or derivatives ahead" if transformed() else None


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise Unsupported(reason)


def _require_standard_activations(spec: Spec) -> None:
    known = ("tanh", "relu") if spec.cell == "simple_rnn" else ("tanh",)
    _require(spec.activation in known, f"activation {spec.activation}")
    _require(spec.recurrent_activation in (None, "sigmoid"), f"recurrent_activation {spec.recurrent_activation}")


def run(
    sequences: Tensor,
    states: list[Tensor],
    mask: Tensor | None,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None,
    spec: Spec,
) -> Output:
    """Run a recurrent layer, as :mod:`kseq.kernels` says of its arguments."""
    _require(mask is None, "mask")
    _require(type(sequences) in _PLAIN and type(kernel) in _PLAIN, f"a {type(sequences).__name__} input")
    _require(sequences.dtype == kernel.dtype, f"{_name(sequences.dtype)} input to {_name(kernel.dtype)} weights")
    _require(len(states[0]) == len(sequences), f"initial states of {len(states[0])} for {len(sequences)} windows")
    members = has_members(kernel)
    device = sequences.device.type
    if device == "meta":
        return _shapes(sequences, states, spec)
    _require(sequences.device == kernel.device, f"input on {sequences.device}, weights on {kernel.device}")
    _require(device in ("cpu", "cuda"), f"device {device}")
    if device == "cpu":
        _require(sequences.dtype in (torch.float32, torch.float64), f"{_name(sequences.dtype)} on the CPU")
        if _compiled() is not None:
            return _run_compiled(sequences, states, kernel, recurrent_kernel, bias, spec)
    _require_standard_activations(spec)
    # A single layer is faster in cuDNN, which knows one order of the GRU's reset gate.
    wanted = members or (spec.cell == "gru" and not spec.reset_after)
    if device == "cuda" and wanted and fits_triton(sequences, recurrent_kernel):
        return run_triton(sequences, states, kernel, recurrent_kernel, bias, spec)
    if members:
        return run_members(sequences, states, kernel, recurrent_kernel, bias, spec)
    return _run_native(sequences, states, kernel, recurrent_kernel, bias, spec)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _shapes(sequences: Tensor, states: list[Tensor], spec: Spec) -> Output:
    """Empty results: on the "meta" device Keras asks for shapes alone."""
    last = torch.empty_like(states[0])
    time = sequences.shape[-2] if spec.return_sequences else 1
    outputs = last.unsqueeze(-2).expand(*last.shape[:-1], time, last.shape[-1])
    return Output(last, outputs, [torch.empty_like(state) for state in states], "torch-meta")


# --- The compiled loop -----------------------------------------------------------------------------------------------


def compiles_epochs() -> bool:
    """Whether epochs of a small network run in one compiled call where Keras puts new weights."""
    return _compiled() is not None and keras.ops.zeros(1).device.type == "cpu"


def epochs(values: list[Tensor], layers: Any, head: Any, skip: Any, optimizer: Any, decayed: Any) -> Any:
    """Make the compiled epoch of a small network; arguments as of :class:`kseq.kernels.torch_epoch.Epochs`.

    Raises:
        Unsupported: Numba is missing, the weights are on a GPU, or the network or the optimizer is not compiled.
    """
    _require(_compiled() is not None and values[0].device.type == "cpu", "no compiled loop")
    from kseq.kernels.torch_epoch import Epochs

    return Epochs(values, layers, head, skip, optimizer, decayed, _saturation(values[0].dtype))


def _run_compiled(sequences, states, kernel, recurrent_kernel, bias, spec):
    outputs, *states = _CompiledLoop.apply(
        spec, torch.is_grad_enabled(), sequences, kernel, recurrent_kernel, bias, *states
    )
    if outputs is None:
        outputs = states[0].unsqueeze(-2)
    return Output(states[0], outputs, states, "torch-cpu")


@functools.cache
def _saturation(dtype: torch.dtype) -> float:
    """From where on ``torch.tanh`` is 1."""
    return _compiled().saturation_of(
        lambda x: torch.tanh(torch.from_numpy(x)).numpy(), torch.empty(0, dtype=dtype).numpy().dtype
    )


def _array(tensor: Tensor | None):
    """NumPy's view of a tensor's memory."""
    return None if tensor is None else tensor.detach().contiguous().numpy()


def _tensor(array) -> Tensor | None:
    return None if array is None else torch.from_numpy(array)


class _CompiledLoop(torch.autograd.Function):
    """The compiled loop as one node of PyTorch's graph; NumPy arrays and tensors share their memory."""

    @staticmethod
    def forward(ctx, spec, recorded, sequences, kernel, recurrent_kernel, bias, *states):
        # Without a record, as in predict, nothing asks for gradients, whatever the weights are.
        keep = recorded and any(ctx.needs_input_grad)
        _, outputs, new_states, saved = _compiled().forward(
            spec,
            _array(sequences),
            _array(kernel),
            _array(recurrent_kernel),
            _array(bias),
            [_array(state) for state in states],
            keep=keep,
            saturation=_saturation(kernel.dtype),
        )
        results = (_tensor(outputs), *map(torch.from_numpy, new_states))
        if keep:
            ctx.set_materialize_grads(False)
            ctx.saved = saved
            # The backward pass reads what lies in ``saved``; these are kept for PyTorch to notice if they are written
            # over.
            ctx.spec, ctx.states = spec, len(states)
            ctx.save_for_backward(sequences, kernel, recurrent_kernel, bias, *states, *results)
        return results

    @staticmethod
    def backward(ctx, d_outputs, *d_states):
        kept = ctx.saved_tensors  # raises if one was written over
        if asks_for_more(d_outputs, *d_states):
            arguments = kept[: 4 + ctx.states]
            return (None, None, *gradients(ctx.spec, arguments, (d_outputs, *d_states), ctx.needs_input_grad[2:]))
        dx, d_initial, d_kernel, d_recurrent_kernel, d_bias = _compiled().backward(
            ctx.saved, None, _array(d_outputs), [_array(d) for d in d_states], ctx.needs_input_grad[2]
        )
        d_weights = (d_kernel, d_recurrent_kernel, d_bias)
        return (None, None, _tensor(dx), *map(_tensor, d_weights), *map(torch.from_numpy, d_initial))


# --- PyTorch's own loops ---------------------------------------------------------------------------------------------


def _gates_for_torch(weights: Tensor) -> Tensor:
    """Reorder a GRU's gates from Keras's z, r, h to PyTorch's r, z, h."""
    z, r, h = weights.chunk(3, dim=-1)
    return torch.cat([r, z, h], dim=-1)


#: Kernel, recurrent kernel and bias of a layer in one direction, as Keras keeps them.
Weights = tuple[Tensor, Tensor, Tensor | None]


def _run_native(sequences, states, kernel, recurrent_kernel, bias, spec):
    """The loops behind ``torch.nn.RNN``, ``LSTM`` and ``GRU``: cuDNN on CUDA, oneDNN or ATen on the CPU."""
    _require(spec.cell != "gru" or spec.reset_after, "reset_after=False")
    if spec.go_backwards:
        sequences = sequences.flip(1)
    first = [state.unsqueeze(0) for state in states]
    outputs, *states = _native_loop(sequences, first, [[(kernel, recurrent_kernel, bias)]], spec)
    states = [state.squeeze(0) for state in states]
    if not spec.return_sequences:
        outputs = states[0].unsqueeze(1)
    return Output(states[0], outputs, states, _native_name(sequences))


def stacks(spec: Spec, kernel: Tensor) -> bool:
    """Whether layers of a kind run in PyTorch's own loop, which takes a stack of them at once: see :func:`stack`."""
    own = kernel.device.type == "cuda" or _compiled() is None
    known = ("tanh", "relu") if spec.cell == "simple_rnn" else ("tanh",)
    gates = spec.recurrent_activation in (None, "sigmoid") and (spec.cell != "gru" or spec.reset_after)
    return own and not has_members(kernel) and spec.activation in known and gates


def stack(sequences: Tensor, layers: Sequence[Sequence[Weights]], spec: Spec) -> tuple[Tensor, str]:
    """Layers of one cell and size on top of one another, in one direction or in both, from zero states, in one call.

    Args:
        sequences: ``(batch, time, features)``.
        layers: Weights of each layer, of the direction ahead or of both.
        spec: Description of the last layer, in forward direction.

    Returns:
        ``(batch, time, directions * units)``, steps in the order of time; without ``spec.return_sequences`` the last
        output of each direction, ``(batch, directions * units)``. And the name of the kernel.
    """
    directions = len(layers[0])
    shape = (len(layers) * directions, len(sequences), layers[0][0][1].shape[0])
    first = [sequences.new_zeros(shape)] * (2 if spec.cell == "lstm" else 1)
    outputs, last, *_ = _native_loop(sequences, first, layers, spec)
    if not spec.return_sequences:
        outputs = torch.cat(list(last[-directions:]), dim=-1)
    return outputs, _native_name(sequences)


def _native_loop(
    sequences: Tensor, states: list[Tensor], layers: Sequence[Sequence[Weights]], spec: Spec
) -> tuple[Tensor, ...]:
    """Outputs and final states; states are ``(layers * directions, batch, units)``."""
    weights = [part for layer in layers for direction in layer for part in _for_torch(direction, spec)]
    # cuDNN reads all weights from one block of memory, the matrices of all layers before their biases; from elsewhere
    # it would first copy them, with a warning.
    places = sorted(range(len(weights)), key=lambda number: weights[number].dim() == 1)
    block = torch.cat([weights[number].reshape(-1) for number in places])
    parts = block.split([weights[number].numel() for number in places])
    for number, part in zip(places, parts, strict=True):
        weights[number] = part.view(weights[number].shape)
    loop = {"lstm": torch.lstm, "gru": torch.gru}.get(spec.cell) or getattr(torch, f"rnn_{spec.activation}")
    return loop(
        sequences,
        states if spec.cell == "lstm" else states[0],
        weights,
        layers[0][0][2] is not None,
        len(layers),
        0.0,  # dropout
        torch.is_grad_enabled(),  # cuDNN keeps what a backward pass needs in training mode alone
        len(layers[0]) == 2,  # bidirectional
        True,  # batch first
    )


def _for_torch(weights: Weights, spec: Spec) -> list[Tensor]:
    """A layer's weights as PyTorch orders them, in one direction."""
    kernel, recurrent_kernel, bias = weights
    reorder = _gates_for_torch if spec.cell == "gru" else (lambda weights: weights)
    ordered = [reorder(kernel).T, reorder(recurrent_kernel).T]
    if bias is not None:
        # PyTorch wants a bias on either side; a GRU in Keras has both already.
        ordered += list(reorder(bias)) if bias.dim() == 2 else [bias, torch.zeros_like(bias)]
    return ordered


def _native_name(sequences: Tensor) -> str:
    if sequences.device.type != "cuda":
        return "torch-native"
    return "torch-cudnn" if torch.backends.cudnn.is_acceptable(sequences) else "torch-cuda"
