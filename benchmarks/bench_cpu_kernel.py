"""Speed of the compiled CPU kernel against ``torch.nn.RNN``, ``LSTM`` and ``GRU``: forward and backward of one layer.

Run ``python benchmarks/bench_cpu_kernel.py`` on a quiet machine with PyTorch installed. Both sides run in turn in one
process; a row is printed only after outputs and gradients agree. ``ratio`` is the median over rounds of theirs / ours,
which a slow moment of the machine, hitting both, leaves alone. With members, theirs is one layer run S times.
``of peak`` compares the kernel's multiply-adds with those of a large float32 matrix product on as many threads.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from kseq.kernels import Spec, cpu

Array = np.ndarray

CELLS = {"simple_rnn": (torch.nn.RNN, 1), "lstm": (torch.nn.LSTM, 4), "gru": (torch.nn.GRU, 3)}
SIZES = {  # batch, time, features, units
    "short": (32, 24, 1, 32),
    "daily": (64, 60, 1, 32),
    "long": (64, 336, 4, 64),
}


def seconds(function: Callable[[], object]) -> float:
    """Time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def peak() -> float:
    """Multiply-adds a second of a large float32 matrix product."""
    a = torch.rand(1024, 1024)
    return 1024**3 / min(seconds(lambda: a @ a) for _ in range(20))


def from_torch(cell: str, layer: torch.nn.RNNBase) -> tuple[Array, Array, Array]:
    """A layer's weights, or where it has them its gradients, in Keras's layouts."""

    def array(parameter: torch.nn.Parameter) -> Array:
        values = (parameter if parameter.grad is None else parameter.grad).detach().numpy()
        if cell == "gru":  # r, z, h there; z, r, h here
            r, z, h = np.split(values, 3)
            values = np.concatenate([z, r, h])
        return np.ascontiguousarray(values.T)

    biases = [array(layer.bias_ih_l0), array(layer.bias_hh_l0)]
    if cell == "gru":
        bias = np.stack(biases)
    else:
        bias = biases[0] if layer.bias_ih_l0.grad is not None else biases[0] + biases[1]
    return array(layer.weight_ih_l0), array(layer.weight_hh_l0), bias


def check_parity(name: str, ours: Array, theirs: Array) -> None:
    """Raise unless two float32 arrays agree to a hundred-thousandth of the largest value."""
    gap = np.abs(ours - theirs).max() / max(1.0, np.abs(theirs).max())
    if not gap < 1e-5:
        raise SystemExit(f"{name} differs from PyTorch's by {gap:.1e} of its largest value: no speed to report.")


def bench(size: str, cell: str, members: int | None, rounds: int, machine: float) -> None:
    """Check and time one cell at one size, and print a row."""
    batch, time_steps, features, units = SIZES[size]
    make_layer, gates = CELLS[cell]
    torch.manual_seed(0)
    layer = make_layer(features, units, batch_first=True)
    x = torch.randn(batch, time_steps, features)
    weights = from_torch(cell, layer)
    axis: tuple[int, ...] = ()
    if members is not None:
        axis = (members,)
        weights = tuple(np.repeat(w[None], members, axis=0) for w in weights)
    spec = Spec(cell, "tanh", None if cell == "simple_rnn" else "sigmoid")
    state = [np.zeros((batch, *axis, units), np.float32)] * (2 if cell == "lstm" else 1)
    d_last = np.ones((batch, *axis, units), np.float32)

    def ours() -> tuple[cpu.Result, cpu.Gradients]:
        result = cpu.forward(spec, x.numpy(), *weights, state, threads=torch.get_num_threads())
        return result, cpu.backward(result.saved, d_last, needs_sequences=False)

    def theirs() -> torch.Tensor:
        for _ in range(members or 1):
            layer.zero_grad()
            last = layer(x)[0][:, -1]
            last.sum().backward()
        return last

    result, gradients = ours()
    last = theirs().detach().numpy()
    expected = from_torch(cell, layer)
    for s in range(members or 1):
        of_member = (lambda a: a) if members is None else (lambda a, s=s: a[s])
        check_parity(f"{cell}'s output", result.last if members is None else result.last[:, s], last)
        for name, mine, right in zip(("kernel", "recurrent_kernel", "bias"), gradients[2:], expected, strict=True):
            check_parity(f"{cell}'s gradient of the {name}", of_member(mine), right)

    times = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    mine = statistics.median(a for a, _ in times)
    right = statistics.median(b for _, b in times)
    ratio = statistics.median(b / a for a, b in times)
    multiply_adds = 3 * (members or 1) * batch * time_steps * (features + 1 + units) * gates * units
    speed = multiply_adds / mine
    print(
        f"{size:6} {members or 1:3} {cell:11} {mine * 1e3:9.3f} {right * 1e3:9.3f} {ratio:7.1f}"
        f" {2 * speed / 1e9:8.0f} {speed / machine:8.0%}",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="timed rounds for a row (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="threads for both sides (default: PyTorch's own choice)")
    options = parser.parse_args()
    rounds = options.rounds
    if options.threads:
        torch.set_num_threads(options.threads)
    machine = peak()
    print(f"{torch.get_num_threads()} threads; a matrix product runs at {2 * machine / 1e9:.0f} GFLOP/s")
    print("size     S cell         ours ms  torch ms   ratio  GFLOP/s  of peak")
    for size, members in (("short", None), ("daily", None), ("long", None), ("short", 10), ("daily", 10)):
        for cell in CELLS:
            bench(size, cell, members, rounds if size != "long" else max(3, rounds // 5), machine)


if __name__ == "__main__":
    main()
