"""How many members to train at once, and how many windows to forecast at once, given free memory and measured speed.

The memory of one member is estimated from its model: the weights with their gradients, optimizer moments and best
values, one batch of windows, and the activations that the recurrent layers store for the backward pass. Measured peaks
were 0.6 to 1.2 times the estimate in training on the three backends (90 MB to 2.5 GB), and far below it in forecasting.
A training may use a quarter of the free memory, which leaves room for other programs.

On a CPU, speed limits the number too. An epoch has a fixed cost (Python, calls of the framework) and a cost for each
member; beyond some number of members the fixed cost no longer matters. Milliseconds an epoch and seed (processor time
of one thread, 512 windows of 24 steps, 32 units, batches of 32):

==================  =====  =====  =====  =====  =====  =====  =====
members at once         1      2      5     10     20     30     60
==================  =====  =====  =====  =====  =====  =====  =====
PyTorch SimpleRNN    18.6   12.2    5.5    4.7    2.6    2.1    2.2
PyTorch LSTM         19.5   12.4   10.0    8.4    7.6    7.6    6.3
PyTorch GRU          18.6   11.6    7.6    7.4    6.8    6.3    5.9
TensorFlow RNN       34.3   20.5   11.4    5.8    4.1    3.0    3.1
TensorFlow LSTM      37.4   23.6   19.7    9.8   10.5    7.9    7.2
TensorFlow GRU       39.2   25.8   12.5    9.8    6.9    7.1    6.1
JAX SimpleRNN         8.2    5.3    3.9    3.2    2.6    2.8    3.1
JAX LSTM             12.2   11.4    9.0    9.2   11.5   11.4   13.4
JAX GRU              12.3    9.4    7.8    7.3    8.9    9.0    8.4
==================  =====  =====  =====  =====  =====  =====  =====

Hence 20 at once, and 10 on JAX, where more no longer fit the cache; seeds are divided evenly among the blocks. On a
GPU, which small matrix products do not fill, only memory limits the number.

Each member gives what it gives alone, up to rounding in the last digits, however many are trained at once. Where free
memory would decide the number, the setting ``members`` fixes it, so that a run can be repeated exactly.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import keras

from kseq import backends, kernels
from kseq.errors import ConfigError
from kseq.layers import Ensemble

#: Fraction of the free memory that a training or a forecast may use.
SHARE = 0.25
#: Members trained at once on a CPU, unless the backend's module defines ``MEMBERS_AT_ONCE``.
MEMBERS_AT_ONCE = 20
#: Windows forecast at once if memory allows.
WINDOWS_AT_ONCE = 1024

#: Copies of the weights: values, gradients, two moments, the best values, a temporary copy of these, and layouts of
#: the kernels' own.
_COPIES_OF_WEIGHTS = 9
#: Copies of a batch: as gathered, as the framework's tensor, and the next batch.
_COPIES_OF_WINDOWS = 3
#: Vectors of ``units`` elements stored a time step: states, gates, and the recurrent part of the GRU's candidate.
_KEPT = {keras.layers.SimpleRNN: 2, keras.layers.LSTM: 6, keras.layers.GRU: 5}


@dataclass(frozen=True)
class Cost:
    """Size of one member of a model.

    Args:
        weights: Number of trainable weights.
        window: Elements of one input window and of its forecast, together.
        kept: Activations stored per window for the backward pass (elements).
        products: Multiply-adds per window in the forward pass.
    """

    weights: int
    window: int
    kept: int
    products: int

    def training_bytes(self, batch: int) -> int:
        """Bytes that training one member takes, with ``batch`` windows in a batch."""
        a_window = self.kept + _COPIES_OF_WINDOWS * self.window
        return _bytes_of_a_number() * (_COPIES_OF_WEIGHTS * self.weights + batch * a_window)

    def forecast_bytes(self) -> int:
        """Bytes that forecasting one window takes."""
        return _bytes_of_a_number() * (self.kept + _COPIES_OF_WINDOWS * self.window)


def cost_of(model: keras.Model, lookback: int) -> Cost:
    """Measure the size of one member of a model.

    Args:
        model: A functional model, such as one from ``build_model``, ordinary or an ensemble.
        lookback: Time steps of an input window.

    Example:
        >>> cost_of(build_model("gru", units=32), lookback=12).weights  # doctest: +SKIP
        3393
    """
    members = _members_of(model)
    weights = kept = products = 0
    for layer in model.layers:
        single = layer.stacked.template if isinstance(layer, Ensemble) else layer
        both = isinstance(single, keras.layers.Bidirectional)
        recurrent = single.forward_layer if both else single
        vectors = next((count for kind, count in _KEPT.items() if isinstance(recurrent, kind)), 0)
        count = sum(prod(weight.shape) for weight in layer.trainable_weights) // members
        weights += count
        for node in layer._inbound_nodes:
            products += (lookback if vectors else 1) * count
            if vectors:
                features = node.input_tensors[0].shape[-1]
                kept += (1 + both) * lookback * (features + vectors * recurrent.units)
            # Outputs and their gradients.
            kept += 2 * sum(_numbers(output.shape, lookback) for output in node.output_tensors) // members
    window = _numbers(model.inputs[0].shape, lookback) // members
    return Cost(weights, window + model.outputs[0].shape[-1], kept, products)


def members_at_once(model: keras.Model, lookback: int, batch: int, seeds: int) -> int:
    """Choose how many of a cell's seeds to train at once.

    Args:
        model: The model of one member.
        lookback: Time steps of an input window.
        batch: Number of windows in a batch.
        seeds: Total number of seeds.

    Returns:
        int: Members in a block; blocks of that size, of which the last may be smaller, hold all seeds.
    """
    most = seeds
    if backends.device_in_use(keras.config.backend()) == "cpu":
        most = min(most, getattr(kernels.load(keras.config.backend()), "MEMBERS_AT_ONCE", MEMBERS_AT_ONCE))
    free = available()
    if free is not None:
        most = min(most, int(SHARE * free) // cost_of(model, lookback).training_bytes(batch))
    blocks = -(-seeds // max(1, most))
    return -(-seeds // blocks)


def windows_at_once(model: keras.Model, lookback: int) -> int:
    """Choose how many windows to forecast at once, with all members of a model.

    Args:
        model: An ordinary model or an ensemble.
        lookback: Time steps of an input window.

    Returns:
        int: From 1 to :data:`WINDOWS_AT_ONCE`.
    """
    free = available()
    if free is None:
        return WINDOWS_AT_ONCE
    one = _members_of(model) * cost_of(model, lookback).forecast_bytes()
    return max(1, min(WINDOWS_AT_ONCE, int(SHARE * free) // one))


def require_room(size: int, what: str, *advice: str) -> None:
    """Refuse what is larger than the free memory, before any of it is allocated.

    Args:
        size: Memory that it takes at least, in bytes.
        what: The thing that takes the memory, for the message: "a GRU of 3,393 weights".
        *advice: Parts of a message that say what to do, see :class:`kseq.errors.KseqError`.

    Raises:
        ConfigError: It is larger than the free memory.
    """
    free = available()
    if free is not None and size > free:
        raise ConfigError(
            f"received settings for {what}, which take {size / 1e9:,.1f} GB at least, expected at most the "
            f"{free / 1e9:,.1f} GB of memory that are free; ", *advice, ".",
        )  # fmt: skip


def available() -> int | None:
    """Find how much memory is free where the backend computes: on its GPU, or on the machine for this process.

    Returns:
        int | None: Bytes; None if the system does not tell.
    """
    backend = keras.config.backend()
    if backends.device_in_use(backend) != "cpu":
        return kernels.load(backend).free_memory()
    return _free_on_machine()


def _free_on_machine(root: Path = Path("/")) -> int | None:
    """Free bytes: the minimum over the machine and every control group that this process belongs to."""
    free = [*_of_meminfo(root), *_of_groups(root)]
    if free:
        return min(free)
    try:
        # Without /proc the standard library knows only the total memory; take half of it as free.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return None


def _of_meminfo(root: Path) -> Iterator[int]:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            yield 1024 * int(line.split()[1])


def _of_groups(root: Path) -> Iterator[int]:
    """Free bytes in each control group (version 2 or 1): its limit minus the memory in use that cannot be reclaimed."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, limit, used, cache = root / "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            top = root / "sys/fs/cgroup/memory"
            limit, used, cache = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        group = top / path.lstrip("/")
        # Inside a container the path may be the one seen from outside; the container's own group is then at the top.
        for place in (group, *group.parents):
            if not place.is_relative_to(top):
                break
            most, now = _lines(place / limit), _lines(place / used)
            if most and now and most[0].isdecimal():
                stale = [int(entry.split()[1]) for entry in _lines(place / "memory.stat")
                         if entry.split()[0] == cache]  # fmt: skip
                yield max(0, int(most[0]) - int(now[0]) + sum(stale))


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _bytes_of_a_number() -> int:
    return 8 if keras.config.floatx() == "float64" else 4


def _members_of(model: keras.Model) -> int:
    shape = model.inputs[0].shape
    return shape[1] if len(shape) == 4 else 1


def _numbers(shape: tuple, lookback: int) -> int:
    """Elements per window of an array of this shape; an unknown time dimension counts as ``lookback``."""
    return prod(lookback if size is None else size for size in shape[1:])
