"""The adding problem (Hochreiter and Schmidhuber 1997): what gates are for, with no data but what NumPy draws.

    python examples/adding.py [epochs]

A sequence has 100 steps of two numbers: a value, uniform between 0 and 1, and a mark, which is 1 at one step of the
first half and at one of the second (as Arjovsky, Shah and Bengio 2016 place them) and 0 elsewhere. The target is the
sum of the two marked values. To say 1 always gives a mean squared error of 1/6, the variance of that sum. To do better,
a network has to carry a value over some 50 steps, past values that look alike: a SimpleRNN, whose gradients fade on the
way, stays near 1/6, where LSTM and GRU fall below 0.01. All have the same budget, and no baseline helps: this is not a
series, but what a cell can do.
"""

import sys
from dataclasses import dataclass

import numpy as np

import kseq
from kseq import backends
from kseq.preprocessing.windows import Windows

STEPS = 100
UNITS = 32
LEARNING_RATE = 0.01
EPOCHS = 30
SEEDS = (0, 1, 2)


@dataclass
class Sequences:
    """What a training reads of windows: sequences to learn from, and others to choose the best weights by."""

    train: Windows
    validation: Windows
    lookback: int = STEPS


def draw(count: int, seed: int) -> Windows:
    """Draw sequences and lay them one after the other, each followed by a row that holds its target."""
    generator = np.random.default_rng(seed)
    values = generator.random((count, STEPS))
    marks = np.zeros((count, STEPS))
    for half in (0, STEPS // 2):
        marks[np.arange(count), generator.integers(half, half + STEPS // 2, count)] = 1
    rows = STEPS + 1
    inputs = np.zeros((count, rows, 2), "float32")
    targets = np.zeros((count, rows, 1), "float32")
    inputs[:, :STEPS, 0], inputs[:, :STEPS, 1] = values, marks
    targets[:, STEPS, 0] = (values * marks).sum(axis=1)
    first_targets = range(STEPS, count * rows, rows)
    return Windows(inputs.reshape(-1, 2), targets.reshape(-1, 1), (first_targets,), lookback=STEPS, horizon=1)


def error_of_one(sequences: Windows) -> float:
    """Mean squared error of saying 1 always."""
    return float(np.mean((sequences.targets[sequences.target_rows] - 1) ** 2))


def errors(cell: str, test: Windows, seeds: tuple[int, ...] = SEEDS, epochs: int = EPOCHS) -> np.ndarray:
    """Train a cell with several seeds at once; give the mean squared error of each on other sequences."""
    from kseq.training.budget import Training
    from kseq.training.fit import fit

    model = kseq.build_model(cell, lookback=STEPS, features=2, units=UNITS, members=seeds)
    # With a patience that never runs out, each member trains all epochs and takes its best weights back.
    training = Training(epochs=epochs, batch_size=32, learning_rate=LEARNING_RATE, patience=epochs)
    fit(model, Sequences(draw(3200, seed=1), draw(1000, seed=2)), training, seeds)
    x, y = kseq.Batches(test, None, members=len(seeds))[0]
    missed = np.asarray(model.predict_on_batch(x)) - y
    return np.asarray(np.mean(missed**2, axis=(0, 2)))


if __name__ == "__main__":
    backends.choose()
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else EPOCHS
    test = draw(5000, seed=3)
    print(f"mean squared errors; to say 1 always: {error_of_one(test):.4f}, expected {1 / 6:.4f}")
    for cell, name in (("rnn", "SimpleRNN"), ("lstm", "LSTM"), ("gru", "GRU")):
        each = ", ".join(f"{error:.4f}" for error in errors(cell, test, epochs=epochs))
        print(f"{name:<9}  {each}  (seeds {', '.join(map(str, SEEDS))})")
