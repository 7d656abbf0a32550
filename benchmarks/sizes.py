"""Level and power of the tests behind a verdict: the figures of ``docs/statistics.md``.

    python benchmarks/sizes.py                  # some seconds
    python benchmarks/sizes.py --draws 2000     # a minute or two
    python benchmarks/sizes.py --arch           # arch's model confidence set on the same draws as well; a minute more

Losses are drawn with correlation in time, many times over. Where all rows have one expected loss, the share of draws is
counted in which a test finds a difference that is not there, and in which three equal cells share a letter or stay in
the model confidence set. Where one row is better by a known amount, the share is counted in which it is found.
"""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.signal import lfilter

from kseq.evaluation.confidence_set import SIZE, confidence_set
from kseq.evaluation.over_time import cosine_test, diebold_mariano
from kseq.evaluation.rows import Row
from kseq.evaluation.significance import differences, grouping

#: Rows that come before those that are used, so that a draw does not begin at its mean.
LEAD = 200

#: What losses are drawn by: weights of noise and of earlier values, as :func:`scipy.signal.lfilter` takes them.
PROCESSES = {f"AR(1), rho {rho:g}": ([1.0], [1.0, -rho]) for rho in (-0.6, -0.3, 0.0, 0.2, 0.4, 0.6, 0.8, 0.9)} | {
    "AR(2), 0.4 and 0.2": ([1.0], [1.0, -0.4, -0.2]),
    "AR(2), 0.6 and -0.4": ([1.0], [1.0, -0.6, 0.4]),
    "MA(1), 0.8": ([1.0, 0.8], [1.0]),
    "MA(1), -0.5": ([1.0, -0.5], [1.0]),
    "MA(3), 0.7, 0.5 and 0.3": ([1.0, 0.7, 0.5, 0.3], [1.0]),
}


#: Steps of forecasts that overlap, and the memory of what they miss.
OVERLAPS = [(steps, rho) for steps in (3, 6, 12) for rho in (0.0, 0.6, 0.8)]


def draw(rng: np.random.Generator, process: str, *shape: int) -> np.ndarray:
    """Draw series of mean 0 and of one variance, ``shape``, the last axis in time."""
    ahead, behind = PROCESSES[process]
    noise = rng.normal(size=(*shape[:-1], shape[-1] + LEAD))
    unit = np.sqrt(np.square(lfilter(ahead, behind, np.eye(1, 2000))).sum())
    return lfilter(ahead, behind, noise)[..., LEAD:] / unit


def long_run(process: str) -> float:
    """Standard error of the mean of such a series, times the root of its length."""
    ahead, behind = PROCESSES[process]
    unit = np.sqrt(np.square(lfilter(ahead, behind, np.eye(1, 2000))).sum())
    return sum(ahead) / sum(behind) / unit


def found(test: Callable[..., Any], draws: int, process: str, n: int, errors: float = 0.0, seed: int = 0) -> float:
    """Percent of draws in which a test over time finds a difference at 5 %.

    Args:
        test: of :mod:`kseq.evaluation.over_time`.
        draws: Number of draws.
        process: of :data:`PROCESSES`.
        n: Number of windows.
        errors: How large the true difference is, in standard errors of its mean; 0 for none.
        seed: of the draws.
    """
    shift, level = errors * long_run(process) / np.sqrt(n), np.full(n, 10.0)
    drawn = draw(np.random.default_rng(seed), process, draws, n)
    return 100 * float(np.mean([test(10 + shift + one, level).p <= 0.05 for one in drawn]))


def found_overlapping(draws: int, steps: int, rho: float, n: int, errors: float = 0.0) -> float:
    """Percent of draws in which the test over time finds a difference between forecasts that overlap.

    Differences are sums of as many successive values of a first-order autoregression as forecasts have steps.

    Args:
        draws: Number of draws.
        steps: Steps of a forecast, made at each step.
        rho: Coefficient of the autoregression.
        n: Number of windows.
        errors: As in :func:`found`.
    """
    noise = np.random.default_rng(0).normal(size=(draws, n + LEAD))
    drawn = lfilter(np.ones(steps) / steps, [1, -rho], noise)[:, LEAD:] + errors / (1 - rho) / np.sqrt(n)
    shift, level = 1 + np.abs(drawn).max(), np.full(n, 1 + np.abs(drawn).max())
    return 100 * float(np.mean([cosine_test(shift + one, level, horizon=steps).p <= 0.05 for one in drawn]))


def three_cells(rng: np.random.Generator, process: str, windows: int, better: float = 0.0, seeds: int = 5) -> list[Row]:
    """Rows of three cells, of which the last is better by a known amount.

    A loss is the difficulty of its window, which all share, what the cell misses there whatever its seed, what this
    seed misses there, and how lucky the seed was throughout. It is 10 in the mean.
    """
    shared = draw(rng, process, windows)
    rows = []
    for name in ("SimpleRNN", "LSTM", "GRU"):
        losses = 10 + shared + 0.5 * draw(rng, process, windows) + 0.5 * draw(rng, process, seeds, windows)
        losses += 0.05 * rng.normal(size=(seeds, 1)) - better * (name == "GRU")
        rows.append(Row(name, losses[:, :, None, None], losses=losses))
    return rows


def ties(draws: int, process: str, windows: int = 100, seed: int = 0) -> float:
    """Percent of draws in which three equal cells share a letter."""
    rng = np.random.default_rng(seed)
    tied = 0
    for _ in range(draws):
        rows = three_cells(rng, process, windows)
        tied += set(grouping(rows, differences(rows)).values()) == {"a"}
    return 100 * tied / draws


def planted(draws: int, process: str, windows: int = 100, seed: int = 0) -> tuple[float, float]:
    """Percent of draws in which the better of three cells wins, and in which another is said to be better.

    It is better by six standard errors of the difference of two cells.
    """
    rng = np.random.default_rng(seed)
    of_time = 0.5 * long_run(process) * np.sqrt(2 * (1 + 1 / 5) / windows)
    better = 6 * float(np.hypot(of_time, 0.05 * np.sqrt(2 / 5)))
    right = wrong = 0
    for _ in range(draws):
        pairs = [pair for pair in differences(three_cells(rng, process, windows, better)) if pair.significant]
        right += sum(pair.better == "GRU" for pair in pairs) == 2
        wrong += any(pair.worse == "GRU" for pair in pairs)
    return 100 * right / draws, 100 * wrong / draws


def kept(draws: int, process: str, windows: int = 100, arch: bool = False, worse: float = 0.0, seed: int = 0) -> float:
    """Percent of draws in which the model confidence set, at 90 %, keeps three equal rows, or one that is worse.

    Args:
        draws: Number of draws.
        process: of :data:`PROCESSES`.
        windows: Number of windows.
        arch: Whether to ask arch's set instead of kseq's.
        worse: By how many standard errors of their difference the last row is worse than each other; 0 for equal rows.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    whole = 0
    for number in range(draws):
        losses = 10 + draw(rng, process, windows) + 0.5 * draw(rng, process, 3, windows)
        losses[-1] += worse * 0.5 * np.sqrt(2 / windows) * long_run(process)
        if arch:
            from arch.bootstrap import MCS

            size = int(np.sqrt(windows))
            found = MCS(losses.T, SIZE, reps=1000, block_size=size, method="max", bootstrap="circular", seed=number)
            found.compute()
            whole += 2 in found.included if worse else len(found.included) == 3
        else:
            inside = confidence_set([one[None] for one in losses]) > SIZE
            whole += bool(inside[-1] if worse else inside.all())
    return 100 * whole / draws


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=500, help="draws of each figure of the tests over time")
    parser.add_argument("--arch", action="store_true", help="arch's set as well, which takes a minute")
    asked = parser.parse_args()
    whitened = partial(cosine_test, whitened=True)
    lengths = (8, 15, 50, 100, 200)
    heads = [*(f"n = {n}" for n in lengths), "plain, 100", "usual, 100", *(f"power, {n}" for n in lengths[1:])]
    print("A true null is rejected at 5 %, and a difference of three standard errors is found, in % of draws; plain: "
          "the cosine test without prewhitening")  # fmt: skip
    print(f"{'losses':26}" + "".join(f"{head:>12}" for head in [*heads, "plain, 50"]))
    for process in PROCESSES:
        shown = [found(whitened, asked.draws, process, n) for n in lengths]
        shown += [found(test, asked.draws, process, 100) for test in (cosine_test, diebold_mariano)]
        shown += [found(whitened, asked.draws, process, n, errors=3) for n in lengths[1:]]
        shown.append(found(cosine_test, asked.draws, process, 50, errors=3))
        print(f"{process:26}" + "".join(f"{one:12.1f}" for one in shown), flush=True)
    lengths = (30, 100, 200)
    print("\nThe same of forecasts that overlap")
    heads = [*(f"n = {n}" for n in lengths), *(f"power, {n}" for n in lengths)]
    print(f"{'losses':26}" + "".join(f"{head:>12}" for head in heads))
    for steps, rho in OVERLAPS:
        shown = [found_overlapping(asked.draws, steps, rho, n) for n in lengths]
        shown += [found_overlapping(asked.draws, steps, rho, n, errors=3) for n in lengths]
        print(f"{f'{steps} steps, rho {rho:g}':26}" + "".join(f"{one:12.1f}" for one in shown), flush=True)
    few = min(200, asked.draws)
    print(f"\nThree cells of five seeds over 100 windows, in % of {few} draws; the better one misses less by six "
          "standard errors")  # fmt: skip
    print(f"{'losses':26}{'equal: tie':>12}{'better: wins':>14}{'better: loses':>15}")
    for process in PROCESSES:
        right, wrong = planted(few, process)
        print(f"{process:26}{ties(few, process):12.1f}{right:14.1f}{wrong:15.1f}", flush=True)
    print(f"\nModel confidence set at 90 % of three rows, in % of {asked.draws} draws ({few} of arch): equal rows "
          "that all stay; and one that is worse by three standard errors and stays")  # fmt: skip
    lengths = (50, 100, 400)
    heads = [*(f"n = {n}" for n in lengths), "worse, 100", *["arch, 100"] * asked.arch]
    print(f"{'losses':26}" + "".join(f"{head:>12}" for head in heads))
    for process in PROCESSES:
        shown = [*(kept(asked.draws, process, n) for n in lengths), kept(asked.draws, process, worse=3)]
        shown += [kept(few, process, arch=True)] * asked.arch
        print(f"{process:26}" + "".join(f"{one:12.1f}" for one in shown), flush=True)


if __name__ == "__main__":
    main()
