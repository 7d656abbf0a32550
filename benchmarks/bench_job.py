"""The whole job: three cells, ten seeds each, a hundred epochs on ``nino12``, by kseq and by what others write.

One run trains, cell by cell and in turn, ten members at once with kseq, one seed after the other with stock Keras on
the same backend, and, on PyTorch, with a loop written by hand. All have 585 training windows, lookback 12, 32 units,
Adam 1e-3 and batches of 32, and no early stopping. Of stock Keras and of the loop as many seeds are trained as
``--seeds`` says; seconds are scaled to ten. Imports are left out, the building and compiling of models is not.

    KERAS_BACKEND=torch python benchmarks/bench_job.py --seeds 10
"""

import argparse
import time

import keras
import numpy as np

from kseq import Batches, layers, load_series, make_windows
from kseq.models.builders import CELLS, build_model
from kseq.training.fit import Training, fit

MEMBERS, BATCH, UNITS, LOOKBACK = 10, 32, 32, 12


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=2, help="of stock Keras and of the loop")
    parser.add_argument("--epochs", type=int, default=100)
    options = parser.parse_args()
    data = make_windows(load_series("nino12"), lookback=LOOKBACK, validation=0)
    training = Training(epochs=options.epochs, batch_size=BATCH, patience=0)
    scale = MEMBERS / options.seeds
    seconds: dict[str, dict[str, float]] = {}
    for cell in CELLS:
        contenders = {"kseq": lambda cell=cell: own(cell, data, training)}
        one_by_one = {"stock Keras": stock}
        if keras.config.backend() == "torch":
            one_by_one["native loop"] = native
        seconds[cell] = {name: timed(job) for name, job in contenders.items()}
        for name, job in one_by_one.items():
            seconds[cell][name] = scale * sum(
                timed(lambda job=job, seed=seed, cell=cell: job(cell, data, training, seed))
                for seed in range(options.seeds)
            )
        print(f"{CELLS[cell]:<10}", *(f"{name} {value:8.1f} s" for name, value in seconds[cell].items()), flush=True)
    totals = {name: sum(of_cell[name] for of_cell in seconds.values()) for name in seconds["rnn"]}
    print(f"{'all':<10}", *(f"{name} {value:8.1f} s" for name, value in totals.items()))
    print(*(f"kseq is {totals[name] / totals['kseq']:.1f}x faster than the {name}." for name in list(totals)[1:]))


def timed(job) -> float:
    """Seconds of a call."""
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


def own(cell, data, training) -> None:
    """All members at once."""
    model = build_model(cell, lookback=LOOKBACK, units=UNITS, members=range(MEMBERS))
    fit(model, data, training, range(MEMBERS))


def stock(cell, data, training, seed) -> None:
    """One seed as a user of Keras trains it."""
    model = layers.to_stock(build_model(cell, lookback=LOOKBACK, units=UNITS, seed=seed))
    model.compile(keras.optimizers.Adam(training.learning_rate), "mse")
    model.fit(Batches(data.train, BATCH, seed=seed), epochs=training.epochs, verbose=0, shuffle=False)


def native(cell, data, training, seed) -> None:
    """One seed in a loop written by hand."""
    from kseq.kernels.torch_native import NativeLoop

    x, y = data.train.gather(np.arange(len(data.train)))
    loop = NativeLoop(cell, x, y.reshape(len(y), 1), BATCH, UNITS, 1, False)
    for _ in range(training.epochs):
        loop.epoch()


if __name__ == "__main__":
    main()
