"""Two problems that ask for memory and nothing else: how far back can a cell carry what it has read?

In the *adding problem* (Hochreiter and Schmidhuber 1997) a sequence of T steps holds a random value and a mark a step;
two steps are marked, one in each half, and the target is the sum of their values. Whoever always answers 1 misses by a
mean squared error of 1/6. In the *copy problem* (after Arjovsky, Shah and Bengio 2016, with one answer at the end in
place of a sequence) the first five steps hold signs, +1 or -1, T steps of zeros follow, and the target is the five
signs. Whoever always answers 0 misses by 1.

A seed solves a problem where its error on new sequences is below a tenth of that of the constant answer.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
import pandas as pd

from kseq.explanation.gradients import LagCurve, loss_gradient
from kseq.explanation.networks import networks_of
from kseq.explanation.timing import STEPS, Times, times_of
from kseq.models.builders import build_model
from kseq.preprocessing.windows import Windows
from kseq.settings import CELL_NAMES
from kseq.training.batches import Batches
from kseq.training.callbacks import Progress as EpochProgress
from kseq.training.fit import Training, fit
from kseq.training.progress import Progress

#: Lengths that are tried, and one more where the user asks for it.
LENGTHS, LONGEST = (10, 30, 100, 300), 1000
#: Longest adding problem on which the gradients of all cells are compared.
COMPARED = 100
#: Signs to copy.
SIGNS = 5
#: A seed solves a problem where it misses by less than this share of what a constant answer misses by.
SOLVED = 0.1
#: Networks and their training, the same for all cells and lengths.
UNITS, BATCH, LEARNING_RATE, CLIP = 24, 32, 0.01, 1.0
#: Training sequences, drawn anew by their order alone; sequences that stop the training; sequences that are scored.
TRAIN, VALIDATION, TEST = 1600, 320, 640
#: Epochs of ``TRAIN`` sequences at most.
EPOCHS = 30
#: Sequences of which gradients are taken.
OF_GRADIENTS = 64


@dataclass
class _Sequences:
    """What a training reads: sequences to learn from, and others to choose the best weights by."""

    train: Windows
    validation: Windows
    lookback: int


@dataclass(frozen=True, eq=False)
class Tasks:
    """What cells did on both problems.

    Args:
        frame: One row a problem, length and cell: ``problem``, ``length``, ``model``, ``seeds``, ``solved`` (share of
            the seeds), ``error`` (median mean squared error over seeds), ``constant`` (that of the constant answer) and
            ``steps`` (median number of gradient steps until the validation error is below the limit; NaN where it
            never is).
        solved: By problem and cell's name, whether each seed solves each length, ``(seed, length)``, ascending.
        gradients: By cell's name, the gradient by lag before and after training on the longest adding problem up to
            100 steps, the same for all cells.
        parameters: By cell's name, trainable weights of a network for the adding problem.
        times: By cell's name, what a training step takes on the adding problem of ``gradients``.
    """

    frame: pd.DataFrame
    solved: dict[tuple[str, str], np.ndarray]
    gradients: dict[str, tuple[LagCurve, LagCurve]]
    parameters: dict[str, int] = field(default_factory=dict)
    times: dict[str, Times] = field(default_factory=dict)

    @property
    def lengths(self) -> np.ndarray:
        """Lengths of the problems, ascending."""
        return np.sort(self.frame["length"].unique())

    @property
    def compared(self) -> int:
        """Length of the adding problem on which the gradients of all cells are taken."""
        return _compared(self.lengths)

    def reach(self, model: str, problem: str) -> int:
        """Return the longest length that half of the seeds solve, with all shorter ones; 0 for none."""
        rows = self.frame[(self.frame["model"] == model) & (self.frame["problem"] == problem)].sort_values("length")
        solved = rows["solved"].to_numpy() >= 0.5
        count = len(solved) if solved.all() else int(solved.argmin())
        return int(rows["length"].iloc[count - 1]) if count else 0

    def reached(self, model: str, problem: str) -> np.ndarray:
        """Return the longest length that each seed solves, with all shorter ones, ``(seed,)``; 0 for none."""
        counts = np.cumprod(self.solved[problem, model], axis=1).sum(axis=1).astype(int)
        return np.array([0, *self.lengths])[counts].astype(float)


def adding(length: int, count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw sequences of the adding problem: inputs ``(count, length, 2)`` and targets ``(count, 1)``."""
    x = np.zeros((count, length, 2))
    x[..., 0] = generator.random((count, length))
    half, every = length // 2, np.arange(count)
    x[every, generator.integers(0, half, count), 1] = 1
    x[every, generator.integers(half, length, count), 1] = 1
    return x, (x[..., 0] * x[..., 1]).sum(axis=1, keepdims=True)


def copying(length: int, count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw sequences of the copy problem: inputs ``(count, SIGNS + length, 1)`` and targets ``(count, SIGNS)``."""
    signs = generator.choice([-1.0, 1.0], (count, SIGNS))
    return np.concatenate([signs, np.zeros((count, length))], axis=1)[..., None], signs


#: Problems by name: how they are drawn, and the constant answer.
PROBLEMS: dict[str, tuple[Callable, float]] = {"adding": (adding, 1.0), "copy": (copying, 0.0)}


def run_tasks(
    cells: Sequence[str] = ("rnn", "lstm", "gru"),
    seeds: Sequence[int] = tuple(range(10)),
    lengths: Sequence[int] = LENGTHS,
    progress: Progress | None = None,
) -> Tasks:
    """Train the cells on both problems at each length.

    A cell whose seeds all fail at a length is not trained at longer ones, which are no easier: its row says 0. But on
    the adding problem all cells are trained up to 100 steps, so that their gradients can be compared.

    Args:
        cells: Names of cells, of ``"rnn"``, ``"lstm"`` and ``"gru"``. All by default.
        seeds: Random seeds, one network each, trained as one ensemble. Ten by default.
        lengths: Numbers of steps T. 10, 30, 100 and 300 by default.
        progress: Called with what is trained, the epoch and the epoch limit, after each epoch.

    Returns:
        Tasks: The outcome of every problem, length and cell.
    """
    rows, gradients = [], {}
    solved: dict[tuple[str, str], list[np.ndarray]] = {}
    shown = _compared(lengths)
    for problem in PROBLEMS:
        for cell in cells:
            name, failed = CELL_NAMES[cell], False
            for length in sorted(lengths):
                own = solved.setdefault((problem, name), [])
                compared = problem == "adding" and length <= shown
                if failed and not compared:
                    rows.append(_row(problem, length, name, seeds, np.full(len(seeds), np.nan), np.nan, []))
                    own.append(np.zeros(len(seeds), bool))
                    continue
                errors, constant, steps, curves = _trained(problem, length, cell, seeds, progress)
                rows.append(_row(problem, length, name, seeds, errors, constant, steps))
                own.append(errors < SOLVED * constant)
                failed = not own[-1].any()
                if compared:
                    # Those of the longest one stay.
                    gradients[name] = curves
    stacked = {key: np.stack(own, axis=1) for key, own in solved.items()}
    return Tasks(pd.DataFrame(rows), stacked, gradients, *_sizes_and_times(cells, seeds, shown))


def _sizes_and_times(
    cells: Sequence[str], seeds: Sequence[int], length: int
) -> tuple[dict[str, int], dict[str, Times]]:
    """Weights of a network for the adding problem, and what a training step takes, by cells' names."""
    draw, _ = PROBLEMS["adding"]
    # As many sequences as are timed.
    x, y = draw(length, STEPS * BATCH, np.random.default_rng(length))
    windows = _as_windows(x, y)
    models = {CELL_NAMES[cell]: _model(cell, x, y, seeds) for cell in cells}
    parameters = {
        name: sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) // len(seeds)
        for name, model in models.items()
    }
    return parameters, times_of(models, _Sequences(windows, windows, length), _training())


def _model(cell: str, x: np.ndarray, y: np.ndarray, seeds: Sequence[int]) -> keras.Model:
    return build_model(
        cell, lookback=x.shape[1], features=x.shape[2], targets=y.shape[1], units=UNITS, members=list(seeds)
    )


def _training() -> Training:
    return Training(epochs=EPOCHS, batch_size=BATCH, learning_rate=LEARNING_RATE, clip_norm=CLIP, patience=EPOCHS)


def _compared(lengths: Iterable[int]) -> int:
    """The longest length up to 100, or the shortest one."""
    known = sorted(int(length) for length in lengths)
    return max((length for length in known if length <= COMPARED), default=known[0])


def _row(
    problem: str, length: int, name: str, seeds: Sequence[int], errors: np.ndarray, constant: float, steps: list[int]
) -> dict:
    tried = bool(np.isfinite(constant))
    return {
        "problem": problem,
        "length": length,
        "model": name,
        "seeds": len(seeds),
        "tried": tried,
        "solved": float(np.mean(errors < SOLVED * constant)) if tried else 0.0,
        "error": float(np.median(errors)),
        "constant": constant,
        "steps": float(np.median(steps)) if steps else float("nan"),
    }


def _trained(
    problem: str, length: int, cell: str, seeds: Sequence[int], progress: Progress | None
) -> tuple[np.ndarray, float, list[int], tuple[LagCurve, LagCurve]]:
    """Train one cell on one problem; return errors by seed, that of the constant, steps, and gradients by lag."""
    draw, answer = PROBLEMS[problem]
    # A stream for each problem and length, the same for all cells.
    generator = np.random.default_rng([list(PROBLEMS).index(problem), length])
    parts = [draw(length, count, generator) for count in (TRAIN, VALIDATION, TEST)]
    (train, validation, test), steps = [_as_windows(x, y) for x, y in parts], parts[0][0].shape[1]
    x, y = parts[2]
    model = _model(cell, x, y, seeds)
    shown = x[:OF_GRADIENTS], y[:OF_GRADIENTS]
    before = loss_gradient(networks_of(model), *shown)
    limit = SOLVED * float(np.mean((parts[1][1] - answer) ** 2))
    callbacks: list[keras.callbacks.Callback] = [_UntilSolved(limit)]
    if progress is not None:
        callbacks.append(EpochProgress(progress, f"{CELL_NAMES[cell]}, {problem} {length}", EPOCHS))
    fitted = fit(model, _Sequences(train, validation, steps), _training(), list(seeds), callbacks)
    batch, truth = Batches(test, None, members=len(seeds))[0]
    errors = np.mean((np.asarray(model.predict_on_batch(batch)) - truth) ** 2, axis=(0, 2))
    constant = float(np.mean((y - answer) ** 2))
    below = np.asarray(fitted.history["val_loss"]) < limit
    needed = [int(row.argmax() + 1) * (TRAIN // BATCH) for row in below if row.any()]
    return errors, constant, needed, (before, loss_gradient(networks_of(model), *shown))


class _UntilSolved(keras.callbacks.Callback):
    """End a training once every member has solved its problem on the validation sequences with room to spare."""

    def __init__(self, limit: float):
        super().__init__()
        self.limit = limit

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        losses = np.asarray((logs or {}).get("val_member", (logs or {}).get("val_loss", np.inf)))
        if np.all(losses < self.limit / 2):
            self.model.stop_training = True


def _as_windows(x: np.ndarray, y: np.ndarray) -> Windows:
    """Lay sequences one after the other, each followed by a row that holds its target."""
    count, steps, features = x.shape
    inputs = np.zeros((count, steps + 1, features), "float32")
    targets = np.zeros((count, steps + 1, y.shape[1]), "float32")
    inputs[:, :steps], targets[:, steps] = x, y
    firsts = range(steps, count * (steps + 1), steps + 1)
    return Windows(inputs.reshape(-1, features), targets.reshape(-1, y.shape[1]), (firsts,), lookback=steps, horizon=1)
