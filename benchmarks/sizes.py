"""How often the tests behind a verdict find a difference that is not there: the figures of ``docs/statistics.md``.

    python benchmarks/sizes.py                  # some seconds
    python benchmarks/sizes.py --draws 4000     # a minute; the figures of the documents
    python benchmarks/sizes.py --arch           # arch's model confidence set on the same draws as well; a minute

Losses of equal mean are drawn with correlation in time, many times over, and the share of draws is counted in which the
test over time rejects at 5 %, in which three equal cells share a letter, and in which the model confidence set keeps
three equal rows.
"""

import argparse

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


def draw(rng: np.random.Generator, process: str, *shape: int) -> np.ndarray:
    """Draw series of mean 0 and of one variance, ``shape``, the last axis in time."""
    ahead, behind = PROCESSES[process]
    noise = rng.normal(size=(*shape[:-1], shape[-1] + LEAD))
    unit = np.sqrt(np.square(lfilter(ahead, behind, np.eye(1, 2000))).sum())
    return lfilter(ahead, behind, noise)[..., LEAD:] / unit


def sizes_over_time(draws: int, lengths: tuple[int, ...] = (50, 100, 200), seed: int = 0) -> dict[str, list[float]]:
    """Percent of draws in which the cosine test rejects a true null at 5 %, by process and number of windows."""
    found: dict[str, list[float]] = {}
    for process in PROCESSES:
        rng = np.random.default_rng(seed)
        found[process] = [
            100 * np.mean([cosine_test(10 + one, np.full(n, 10.0)).p <= 0.05 for one in draw(rng, process, draws, n)])
            for n in lengths
        ]
    return found


def usual_sizes(draws: int, n: int = 100, seed: int = 0) -> dict[str, float]:
    """The same of the usual Diebold-Mariano test, which takes losses to be independent."""
    return {
        process: 100 * np.mean([diebold_mariano(10 + one, np.full(n, 10.0)).p <= 0.05 for one in
                                draw(np.random.default_rng(seed), process, draws, n)])
        for process in PROCESSES
    }  # fmt: skip


def three_equal_cells(rng: np.random.Generator, process: str, windows: int, seeds: int = 5) -> list[Row]:
    """Rows of three cells of one expected loss.

    A loss is the difficulty of its window, which all share, what the cell misses there whatever its seed, what this
    seed misses there, and how lucky the seed was throughout.
    """
    shared = draw(rng, process, windows)
    rows = []
    for name in ("SimpleRNN", "LSTM", "GRU"):
        losses = 10 + shared + 0.5 * draw(rng, process, windows) + 0.5 * draw(rng, process, seeds, windows)
        losses += 0.05 * rng.normal(size=(seeds, 1))
        rows.append(Row(name, losses[:, :, None, None], losses=losses))
    return rows


def ties(draws: int, process: str, windows: int = 100, seed: int = 0) -> float:
    """Percent of draws in which three equal cells share a letter."""
    rng = np.random.default_rng(seed)
    tied = 0
    for _ in range(draws):
        rows = three_equal_cells(rng, process, windows)
        tied += set(grouping(rows, differences(rows)).values()) == {"a"}
    return 100 * tied / draws


def kept(draws: int, process: str, windows: int = 100, arch: bool = False, block: int = 0, seed: int = 0) -> float:
    """Percent of draws in which the model confidence set keeps all of three equal rows, at 90 %."""
    rng = np.random.default_rng(seed)
    whole = 0
    for number in range(draws):
        losses = 10 + draw(rng, process, windows) + 0.5 * draw(rng, process, 3, windows)
        if arch:
            from arch.bootstrap import MCS

            size = block or int(np.sqrt(windows))
            found = MCS(losses.T, SIZE, reps=1000, block_size=size, method="max", bootstrap="circular", seed=number)
            found.compute()
            whole += len(found.included) == 3
        else:
            whole += bool((confidence_set([one[None] for one in losses], block=block, seed=number) > SIZE).all())
    return 100 * whole / draws


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=500, help="draws of each figure of the tests over time")
    parser.add_argument("--arch", action="store_true", help="arch's set as well, which takes a minute")
    asked = parser.parse_args()
    print("The test over time rejects a true null at 5 %, in % of draws; the usual test beside it")
    print(f"{'losses':26}" + "".join(f"{f'n = {n}':>9}" for n in (50, 100, 200)) + f"{'usual, 100':>12}")
    usual = usual_sizes(asked.draws)
    for process, found in sizes_over_time(asked.draws).items():
        print(f"{process:26}" + "".join(f"{one:9.1f}" for one in found) + f"{usual[process]:12.1f}")
    few = min(300, asked.draws)
    heads = ("three cells tie", "set keeps three") + ("arch's set does",) * asked.arch
    print(
        f"\nThree equal rows over 100 windows, in % of {few} draws\n{'losses':26}" + "".join(f"{h:>17}" for h in heads)
    )
    for rho in (0.0, 0.2, 0.4, 0.6, 0.8):
        process = f"AR(1), rho {rho:g}"
        found = [ties(few, process), kept(few, process), *([kept(few, process, arch=True)] if asked.arch else [])]
        print(f"{process:26}" + "".join(f"{one:17.1f}" for one in found))


if __name__ == "__main__":
    main()
