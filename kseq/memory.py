"""How many members to train at once, and how many windows to forecast at once: by memory, and by measured speed.

What one member costs is added up from its model: weights with their gradients, moments and best values kept aside, a
batch of windows of its own, and what the recurrent layers keep of every step for the way back. Measured peaks of
trainings lay between 0.6 and 1.2 times the estimate on the three backends (90 MB to 2.5 GB), those of forecasts below
it, by far. A training may take a quarter of the memory that is free: other programs want some too.

Speed bounds the number besides, on a CPU. An epoch costs a fixed time, of Python and of the framework's calls, and a
time for each member; beyond some number of members the first is a small part. Milliseconds an epoch and seed (one
thread's processor time, 512 windows of 24 steps, 32 units, batches of 32):

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

So 20 at once, and 10 on JAX, where more leave the cache; seeds are shared out evenly among the blocks. On a GPU, where
small products do not fill the device, memory alone bounds them.

However many run at once, each member gives what it gives alone, but for the rounding of its last digits. Where memory
is so short that it decides, ``--members`` fixes what it would decide.
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

#: Share of the free memory that a training, or a forecast, may take.
SHARE = 0.25
#: Members at once on a CPU, where the backend's file has no ``MEMBERS_AT_ONCE`` of its own.
MEMBERS_AT_ONCE = 20
#: Windows forecast at once where memory allows them.
WINDOWS_AT_ONCE = 1024

#: Sets of weights: values, gradients, two moments, the best ones kept, a copy on the way there, and what kernels lay
#: out anew.
_COPIES_OF_WEIGHTS = 9
#: Copies of a batch: as gathered, as the framework's, and the next one.
_COPIES_OF_WINDOWS = 3
#: Vectors of ``units`` numbers kept a step: states, gates, and for the GRU its candidate's recurrent part.
_KEPT = {keras.layers.SimpleRNN: 2, keras.layers.LSTM: 6, keras.layers.GRU: 5}


@dataclass(frozen=True)
class Cost:
    """What one member of a model costs, in numbers.

    Args:
        weights: trainable ones.
        window: numbers that a window brings in, and that are forecast for it.
        kept: numbers that the layers keep of a window for the way back.
        products: multiply-adds of a window, on the way ahead.
    """

    weights: int
    window: int
    kept: int
    products: int

    def training_bytes(self, batch: int) -> int:
        """Memory of one member in training, with batches of so many windows."""
        a_window = self.kept + _COPIES_OF_WINDOWS * self.window
        return _bytes_of_a_number() * (_COPIES_OF_WEIGHTS * self.weights + batch * a_window)

    def forecast_bytes(self) -> int:
        """Memory that forecasting one window takes."""
        return _bytes_of_a_number() * (self.kept + _COPIES_OF_WINDOWS * self.window)


def cost_of(model: keras.Model, lookback: int) -> Cost:
    """Add up what one member of a model costs.

    Args:
        model: functional, such as one from ``build_model``, with members or without.
        lookback: steps of a window.

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
            # Outputs, and their gradients.
            kept += 2 * sum(_numbers(output.shape, lookback) for output in node.output_tensors) // members
    window = _numbers(model.inputs[0].shape, lookback) // members
    return Cost(weights, window + model.outputs[0].shape[-1], kept, products)


def members_at_once(model: keras.Model, lookback: int, batch: int, seeds: int) -> int:
    """Choose how many of a cell's seeds to train at once.

    Args:
        model: of one member.
        lookback: steps of a window.
        batch: windows in a batch.
        seeds: that there are.

    Returns:
        int: members of a block; blocks of that size, the last one perhaps smaller, hold all seeds.
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
    """Choose how many windows to forecast at once, for all members of a model.

    Args:
        model: with members or without.
        lookback: steps of a window.

    Returns:
        int: at least 1, at most :data:`WINDOWS_AT_ONCE`.
    """
    free = available()
    if free is None:
        return WINDOWS_AT_ONCE
    one = _members_of(model) * cost_of(model, lookback).forecast_bytes()
    return max(1, min(WINDOWS_AT_ONCE, int(SHARE * free) // one))


def require_room(size: int, what: str, *advice: str) -> None:
    """Refuse what is larger than the free memory, before any of it is allocated.

    Args:
        size: bytes that it takes at least.
        what: takes them, for the message ("a GRU of 3,393 weights").
        *advice: pieces of a message that say what to do, see :class:`kseq.errors.KseqError`.

    Raises:
        ConfigError: it is.
    """
    free = available()
    if free is not None and size > free:
        raise ConfigError(
            f"received settings for {what}, which take {size / 1e9:,.1f} GB at least, expected at most the "
            f"{free / 1e9:,.1f} GB of memory that are free; ", *advice, ".",
        )  # fmt: skip


def available() -> int | None:
    """Bytes that are free where the backend computes: on its GPU, or for this process on the machine.

    Returns:
        int | None: None where neither says.
    """
    backend = keras.config.backend()
    if backends.device_in_use(backend) != "cpu":
        return kernels.load(backend).free_memory()
    return _free_on_machine()


def _free_on_machine(root: Path = Path("/")) -> int | None:
    """The least of what the machine has free and of what each control group around this process leaves."""
    free = [*_of_meminfo(root), *_of_groups(root)]
    if free:
        return min(free)
    try:
        # Where there is no /proc, what is free is not told by the standard library: of all memory, say half.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return None


def _of_meminfo(root: Path) -> Iterator[int]:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            yield 1024 * int(line.split()[1])


def _of_groups(root: Path) -> Iterator[int]:
    """What control groups (version 2, or 1) leave: their limit less what is in use and cannot be given back."""
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
        # In a container the path may be that outside of it: its own group then is what lies at the top.
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
    """How many numbers of a window are in an array of this shape, whose length in time may be open."""
    return prod(lookback if size is None else size for size in shape[1:])
