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
from collections import Counter
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import keras
import torch
from torch import Tensor

from kseq.errors import Unsupported
from kseq.kernels import Output, Spec

# A subclass of Tensor (a traced, sharded or quantized one) has no memory of its own that a kernel could read.
_PLAIN = (torch.Tensor, torch.nn.Parameter)


#: Building a model of fewer members, and what comes with its first step, takes as long as so many multiply-adds of a
#: training (those of the way ahead are counted, and the way back takes its time as well): 0.02 seconds.
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
    return "compiling or tracing" if torch.compiler.is_compiling() or torch.jit.is_tracing() else None


class _Feed(torch.utils.data.DataLoader):
    """Batches as tensors, many of them brought to the device at once: each call costs more than the bytes."""

    def __init__(self, batches: Any):
        super().__init__(batches, batch_size=None)
        self._batches = batches

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        size = self._batches.batch_size
        for gathered in self._batches.gathered():
            parts = [_brought(part) for part in gathered]
            for start in range(0, len(parts[0]), size):
                yield tuple(part[start : start + size] for part in parts)


def _brought(array: Any) -> Tensor:
    """An array on the device; a GPU copies it from memory that stays in place, while this process goes on."""
    tensor = torch.from_numpy(array)
    if _device().type == "cuda":
        return tensor.pin_memory().to(_device(), non_blocking=True)
    return tensor.to(_device())


@functools.cache
def _device() -> torch.device:
    """Where Keras puts its tensors."""
    return keras.ops.zeros(()).device


def dataset(batches: Any) -> torch.utils.data.DataLoader:
    """The batches of :class:`kseq.batches.Batches` as Keras reads them with least overhead, on PyTorch.

    Keras itself wraps a ``PyDataset`` in a generator, a loader and a conversion of every part, each of which costs its
    time a batch. Whoever trains on this calls ``batches.on_epoch_end()`` after each epoch: here nothing is counted.
    """
    return _Feed(batches)


def simple_rnn(
    sequences: Tensor,
    initial_state: list[Tensor],
    mask: Tensor | None,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None,
    spec: Spec,
) -> Output:
    """``h' = activation(W x + b + U h)``; see :mod:`kseq.kernels` for the arguments."""
    return _run(sequences, initial_state, mask, kernel, recurrent_kernel, bias, spec)


def lstm(
    sequences: Tensor,
    initial_state: list[Tensor],
    mask: Tensor | None,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None,
    spec: Spec,
) -> Output:
    """LSTM with gates i, f, c, o; see :mod:`kseq.kernels` for the arguments."""
    return _run(sequences, initial_state, mask, kernel, recurrent_kernel, bias, spec)


def gru(
    sequences: Tensor,
    initial_state: list[Tensor],
    mask: Tensor | None,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None,
    spec: Spec,
) -> Output:
    """GRU with gates z, r, h; see :mod:`kseq.kernels` for the arguments."""
    return _run(sequences, initial_state, mask, kernel, recurrent_kernel, bias, spec)


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise Unsupported(reason)


def _require_standard_activations(spec: Spec) -> None:
    known = ("tanh", "relu") if spec.cell == "simple_rnn" else ("tanh",)
    _require(spec.activation in known, f"activation {spec.activation}")
    _require(spec.recurrent_activation in (None, "sigmoid"), f"recurrent_activation {spec.recurrent_activation}")


def _run(sequences, states, mask, kernel, recurrent_kernel, bias, spec):
    """Choose by device and number type."""
    _require(mask is None, "mask")
    _require(type(sequences) in _PLAIN and type(kernel) in _PLAIN, f"a {type(sequences).__name__} input")
    _require(sequences.dtype == kernel.dtype, f"{_name(sequences.dtype)} input to {_name(kernel.dtype)} weights")
    members = kernel.dim() == 3
    device = sequences.device.type
    if device == "meta":
        return _shapes(sequences, states, spec)
    _require(device in ("cpu", "cuda"), f"device {device}")
    if device == "cpu":
        _require(sequences.dtype in (torch.float32, torch.float64), f"{_name(sequences.dtype)} on the CPU")
        if _compiled() is not None:
            return _run_compiled(sequences, states, kernel, recurrent_kernel, bias, spec)
    _require_standard_activations(spec)
    # A single layer is faster in cuDNN, which knows one order of the GRU's reset gate.
    wanted = members or (spec.cell == "gru" and not spec.reset_after)
    if device == "cuda" and wanted and _fits_triton(sequences, recurrent_kernel):
        return _run_triton(sequences, states, kernel, recurrent_kernel, bias, spec)
    if members:
        return _run_members(sequences, states, kernel, recurrent_kernel, bias, spec)
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


@functools.cache
def _compiled() -> ModuleType | None:
    """The compiled kernel, None where Numba is missing."""
    try:
        from kseq.kernels import cpu
    except ModuleNotFoundError as missing:
        if missing.name not in ("numba", "llvmlite"):
            raise
        return None
    return cpu


def _run_compiled(sequences, states, kernel, recurrent_kernel, bias, spec):
    outputs, *states = _CompiledLoop.apply(
        spec, torch.is_grad_enabled(), sequences, kernel, recurrent_kernel, bias, *states
    )
    if outputs is None:
        outputs = states[0].unsqueeze(-2)
    return Output(states[0], outputs, states, "torch-cpu")


def _array(tensor: Tensor | None):
    """NumPy's view of a tensor's memory."""
    return None if tensor is None else tensor.detach().contiguous().numpy()


def _tensor(array) -> Tensor | None:
    return None if array is None else torch.from_numpy(array)


class _CompiledLoop(torch.autograd.Function):
    """The compiled loop as one node of PyTorch's graph; NumPy arrays and tensors share their memory."""

    @staticmethod
    def forward(ctx, spec, recorded, sequences, kernel, recurrent_kernel, bias, *states):
        # Without a record, as in predict, nothing asks for a way back, whatever the weights are.
        keep = recorded and any(ctx.needs_input_grad)
        _, outputs, new_states, saved = _compiled().forward(
            spec,
            _array(sequences),
            _array(kernel),
            _array(recurrent_kernel),
            _array(bias),
            [_array(state) for state in states],
            keep=keep,
        )
        results = (_tensor(outputs), *map(torch.from_numpy, new_states))
        if keep:
            ctx.set_materialize_grads(False)
            ctx.saved = saved
            # The way back reads what lies in ``saved``; these are kept for PyTorch to notice if they are written over.
            ctx.save_for_backward(sequences, kernel, recurrent_kernel, *results)
        return results

    @staticmethod
    def backward(ctx, d_outputs, *d_states):
        # Gradients are recorded here only under create_graph=True.
        if torch.is_grad_enabled():
            raise Unsupported("second derivatives; compute them under kernel_policy('off')")
        ctx.saved_tensors  # noqa: B018 (raises if one was written over)
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


def _run_native(sequences, states, kernel, recurrent_kernel, bias, spec):
    """The loops behind ``torch.nn.RNN``, ``LSTM`` and ``GRU``: cuDNN on CUDA, oneDNN or ATen on the CPU."""
    _require(spec.cell != "gru" or spec.reset_after, "reset_after=False")
    reorder = _gates_for_torch if spec.cell == "gru" else (lambda weights: weights)
    weights = [reorder(kernel).T, reorder(recurrent_kernel).T]
    if bias is not None:
        # PyTorch wants a bias on either side; a GRU in Keras has both already.
        weights += list(reorder(bias)) if bias.dim() == 2 else [bias, torch.zeros_like(bias)]
    # cuDNN reads all weights from one block of memory; from separate ones it would first copy them, with a warning.
    block = torch.cat([w.reshape(-1) for w in weights]).split([w.numel() for w in weights])
    weights = [part.view(w.shape) for part, w in zip(block, weights, strict=True)]
    if spec.go_backwards:
        sequences = sequences.flip(1)
    first = [state.unsqueeze(0) for state in states]
    loop = {"lstm": torch.lstm, "gru": torch.gru}.get(spec.cell) or getattr(torch, f"rnn_{spec.activation}")
    outputs, *states = loop(
        sequences,
        first if spec.cell == "lstm" else first[0],
        weights,
        bias is not None,
        1,  # layers
        0.0,  # dropout
        torch.is_grad_enabled(),  # cuDNN keeps what a backward pass needs in training mode alone
        False,  # bidirectional
        True,  # batch first
    )
    states = [state.squeeze(0) for state in states]
    if not spec.return_sequences:
        outputs = states[0].unsqueeze(1)
    name = "torch-native"
    if sequences.device.type == "cuda":
        name = "torch-cudnn" if torch.backends.cudnn.is_acceptable(sequences) else "torch-cuda"
    return Output(states[0], outputs, states, name)


# --- Members in one launch -------------------------------------------------------------------------------------------


@functools.cache
def _triton() -> ModuleType | None:
    """The kernel in Triton; None where PyTorch comes without it."""
    try:
        from kseq.kernels import torch_triton
    except ModuleNotFoundError as missing:
        if missing.name != "triton":
            raise
        return None
    return torch_triton


@functools.cache
def _has_triton(device: torch.device) -> bool:
    """Whether programs in Triton run on a GPU: their products want matrix units for TF32."""
    return torch.cuda.get_device_capability(device) >= (8, 0) and _triton() is not None


def _fits_triton(sequences: Tensor, recurrent_kernel: Tensor) -> bool:
    """Whether the kernel in Triton takes these numbers, on this device."""
    return (
        sequences.dtype == torch.float32
        and _has_triton(sequences.device)
        and recurrent_kernel.shape[-2] <= _triton().MOST_UNITS
    )


def _run_triton(sequences, states, kernel, recurrent_kernel, bias, spec):
    one = kernel.dim() == 2
    if one:
        # A single layer is an ensemble of one, whose windows all members share.
        kernel, recurrent_kernel = kernel.unsqueeze(0), recurrent_kernel.unsqueeze(0)
        bias = None if bias is None else bias.unsqueeze(0)
        states = [state.unsqueeze(1) for state in states]
    recurrent_bias = None
    if bias is not None and bias.dim() == 3:
        # Those of the gates z and r are added to the input's; the candidate's lies inside the reset gate's product.
        units = recurrent_kernel.shape[1]
        outside, recurrent_bias = bias[:, 1].split([2 * units, units], dim=-1)
        bias = bias[:, 0] + torch.nn.functional.pad(outside, (0, units))
        recurrent_bias = recurrent_bias.contiguous()
    outputs, *states = _triton().run(
        spec,
        _input_products(sequences, kernel, bias, spec),
        recurrent_kernel,
        recurrent_bias,
        [state.transpose(0, 1) for state in states],
    )
    states = [state.transpose(0, 1) for state in states]
    outputs = outputs.permute(2, 0, 1, 3) if spec.return_sequences else states[0].unsqueeze(2)
    if one:
        states, outputs = [state.squeeze(1) for state in states], outputs.squeeze(1)
    return Output(states[0], outputs, states, "torch-triton")


# --- Members in batched products -------------------------------------------------------------------------------------


def _input_products(sequences: Tensor, kernel: Tensor, bias: Tensor | None, spec: Spec) -> Tensor:
    """Products of all members, windows and steps with the input weights, ``(S, time, batch, G * units)``."""
    x = sequences if sequences.dim() == 4 else sequences.unsqueeze(1)
    if spec.go_backwards:
        x = x.flip(2)
    batch, _, time, _ = x.shape
    rows = x.permute(1, 2, 0, 3)
    if bias is not None:
        # The bias is one more row of the weights, to an input of 1: no other pass over what is large, nor for its
        # gradient.
        rows = torch.nn.functional.pad(rows, (0, 1), value=1.0)
        kernel = torch.cat([kernel, bias.unsqueeze(1)], dim=1)
    products = torch.matmul(rows.reshape(rows.shape[0], time * batch, -1), kernel)
    return products.view(kernel.shape[0], time, batch, -1)


def _run_members(sequences, states, kernel, recurrent_kernel, bias, spec):
    """Loop over time for all members at once: the input product before it, one batched product a step."""
    recurrent_bias = None
    if bias is not None and bias.dim() == 3:
        bias, recurrent_bias = bias[:, 0], bias[:, 1].unsqueeze(1)
    steps = _input_products(sequences, kernel, bias, spec).unbind(1)

    step = {"simple_rnn": _step_simple_rnn, "lstm": _step_lstm, "gru": _step_gru}[spec.cell]
    carry = [state.transpose(0, 1) for state in states]
    outputs = []
    for now in steps:
        carry = step(now, carry, recurrent_kernel, recurrent_bias, spec)
        outputs.append(carry[0])
    states = [state.transpose(0, 1) for state in carry]
    stacked = torch.stack(outputs, dim=2).transpose(0, 1) if spec.return_sequences else states[0].unsqueeze(2)
    return Output(states[0], stacked, states, "torch-members")


def _step_simple_rnn(x, carry, recurrent_kernel, recurrent_bias, spec):
    """One step; ``x`` holds the input product and bias, all tensors are ``(S, batch, ...)``."""
    h = torch.baddbmm(x, carry[0], recurrent_kernel)
    return [torch.tanh(h) if spec.activation == "tanh" else torch.relu(h)]


def _step_lstm(x, carry, recurrent_kernel, recurrent_bias, spec):
    h, c = carry
    i, f, g, o = torch.baddbmm(x, h, recurrent_kernel).chunk(4, dim=-1)
    c = torch.addcmul(torch.sigmoid(f) * c, torch.sigmoid(i), torch.tanh(g))
    return [torch.sigmoid(o) * torch.tanh(c), c]


def _step_gru(x, carry, recurrent_kernel, recurrent_bias, spec):
    (h,) = carry
    units = h.shape[-1]
    xg, xh = x.split([2 * units, units], dim=-1)
    if spec.reset_after:
        inner = torch.bmm(h, recurrent_kernel)
        if recurrent_bias is not None:
            inner = inner + recurrent_bias
        ug, uh = inner.split([2 * units, units], dim=-1)
        z, r = torch.sigmoid(xg + ug).chunk(2, dim=-1)
        candidate = torch.tanh(torch.addcmul(xh, r, uh))
    else:
        ug, uh = recurrent_kernel.split([2 * units, units], dim=-1)
        z, r = torch.sigmoid(torch.baddbmm(xg, h, ug)).chunk(2, dim=-1)
        candidate = torch.tanh(torch.baddbmm(xh, r * h, uh))
    return [torch.lerp(candidate, h, z)]


# --- The lean step (kseq.lean) ---------------------------------------------------------------------------------------


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
        optimizer: Keras's.
    """

    def __init__(self, values: list[Tensor], momenta: list[Tensor], velocities: list[Tensor], optimizer: Any):
        # The fused update reads memory in order, whatever the strides are; Keras starts square weights transposed.
        for tensor in (*values, *momenta, *velocities):
            tensor.data = tensor.data.contiguous()
        self.values, self.momenta, self.velocities, self.optimizer = values, momenta, velocities, optimizer
        self._iterations, self._learning_rate = _Number(), _Number()
        self._endless = [torch.full((), 1e9, dtype=torch.float32, device=values[0].device)] * len(values)
        # PyTorch's update gives 65,536 weights to one of the GPU's many processors, which works on while others idle.
        self._in_triton = not _on_cpu(values) and values[0].dtype == torch.float32 and _has_triton(values[0].device)
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
        if optimizer.weight_decay:
            torch._foreach_mul_(self.values, self._left)
        if self._in_triton:
            for value, gradient, momentum, velocity in zip(
                self.values, gradients, self.momenta, self.velocities, strict=True
            ):
                _triton().adam(
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
        key = (tuple(x.shape), constants)
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
