"""``kseq bench``: how fast training is here, against stock Keras and a hand-written loop, measured in one run.

Machines drift, so that only ratios inside one run count: contenders train in turn, round after round, and medians are
compared. Before anything is timed, the contenders must compute the same: where they do not, no speed-up is shown.

``kseq`` is what :func:`kseq.training.fit.fit` runs. Beside it stand a builder's model, a ``Sequential``, a functional
model and a builder's model with two metrics, all compiled and fitted by Keras's methods, and ``fit`` on plain arrays.

Workloads are those of the kernels' measurements: ``short``, ``daily`` and ``long``, and a stacked and a bidirectional
one. An epoch is a whole epoch of ``fit``, data and callbacks included; the first one, in which graphs and kernels are
made, is told apart.
"""

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pandas as pd

from kseq import backends, interop, kernels, layers, startup
from kseq.bench.hardware import peak_flops, this_machine
from kseq.bench.measured import FOR_GPUS, WORKLOADS, Bench, Measurement, Workload
from kseq.bench.users import USERS, model_of, training_of
from kseq.comparison.networks import build_cell
from kseq.data import Series
from kseq.errors import BackendError
from kseq.layers.feeding import Listeners, fed
from kseq.models.builders import CELLS
from kseq.preprocessing.splits import Split
from kseq.preprocessing.windows import WindowedPanel, make_windows
from kseq.settings import Settings
from kseq.training.batches import Batches
from kseq.training.budget import Training
from kseq.training.callbacks import EpochTimer, forecast_batch, kernel_of
from kseq.training.early_stopping import MemberStopping
from kseq.training.fit import compile_model
from kseq.validation import require_choice, require_each_once, require_whole

#: Contenders by their short names, and their names in the table; kseq itself always runs.
CONTENDERS = {"stock": "stock Keras", "native": "native loop", **USERS}


def usual_workloads() -> tuple[str, ...]:
    """The jobs that are measured unless others are asked for: all that the device in use can do in time."""
    on_cpu = backends.device_in_use(keras.config.backend()) == "cpu"
    return tuple(name for name in WORKLOADS if not (on_cpu and name in FOR_GPUS))


def make_data(workload: Workload, seed: int = 0) -> WindowedPanel:
    """Random columns whose training part holds the workload's windows."""
    rows = workload.windows + workload.time
    values = np.random.default_rng(seed).normal(size=(rows + 2, workload.features))
    frame = pd.DataFrame(values, columns=[f"x{number}" for number in range(workload.features)])
    series = Series("bench", frame, ("x0",), tuple(frame.columns[1:]))
    return make_windows(series, workload.time, split=Split(*np.array([[0], [rows], [rows], [rows], [rows + 2]])))


def run(
    cells: Sequence[str] = ("rnn", "lstm", "gru"),
    workloads: Sequence[str] | None = None,
    rounds: int = 5,
    members: Sequence[int] = (1,),
    contenders: Sequence[str] | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Bench:
    """Measure.

    Args:
        cells: Cells to measure, ``"rnn"``, ``"lstm"`` or ``"gru"``.
        workloads: Names of :data:`WORKLOADS`; by default :func:`usual_workloads`.
        rounds: Epochs of each contender that count, all in turn.
        members: Numbers of seeds trained at once by kseq; the others train one seed after the other.
        contenders: Names of :data:`CONTENDERS` that stand beside kseq; by default all.
        tell: Called with a line on what is measured next.

    Raises:
        ConfigError: An unknown cell, workload or contender, or a number below 1.
    """
    workloads = usual_workloads() if workloads is None else workloads
    contenders = tuple(CONTENDERS) if contenders is None else contenders
    for name, known, given in (
        ("cell", CELLS, cells), ("workload", WORKLOADS, workloads), ("contender", CONTENDERS, contenders),
    ):  # fmt: skip
        for one in given:
            require_choice(name, one, known)
    require_whole("rounds", rounds)
    require_each_once("members", members)
    for count in members:
        require_whole("members", count, least=1)
    peak = peak_flops()
    measurements: list[Measurement] = []
    for workload in workloads:
        for cell in cells:
            tell(f"{workload}, {CELLS[cell]}")
            measurements += _measure(workload, cell, rounds, members, contenders)
    return Bench(measurements, peak, this_machine())


def _measure(name: str, cell: str, rounds: int, members: Sequence[int], contenders: Sequence[str]) -> list[Measurement]:
    """All contenders on one job, epoch by epoch in turn."""
    workload = WORKLOADS[name]
    data = make_data(workload)
    x, y = data.train.gather(np.arange(len(data.train)))
    y = y.reshape(len(y), 1)
    model = _model(cell, workload, data)
    stock = layers.to_stock(model)
    native = _native(cell, workload, model, x, y) if "native" in contenders else None
    users = {short: model_of(short, _model(cell, workload, data)) for short in USERS if short in contenders}
    ours = {count: model if count == 1 else _model(cell, workload, data, count) for count in members}

    # Forecasts of the same weights are compared in full float32, also where a device trains with fewer digits.
    windows = x[: workload.batch]
    differences: dict[str | int, float] = {}
    with kernels.load(keras.config.backend()).full_precision():
        expected = forecast_batch(stock, windows)

        def differs(forecast: np.ndarray) -> float:
            return float(np.abs(forecast - expected).max() / np.abs(expected).max())

        if native is not None:
            differences["native loop"] = differs(native.predict(windows))
        for short, trained in users.items():
            differences[short] = differs(forecast_batch(trained, windows))
        for count, trained in ours.items():
            if count == 1:
                differences[count] = differs(forecast_batch(trained, windows))
            else:
                differences[count] = differs(forecast_batch(trained, np.repeat(windows[:, None], count, axis=1))[:, 0])

    entries: list[tuple[Measurement, Callable[[], tuple[float, list[float]]]]] = []
    if "stock" in contenders:
        plain = Measurement(name, cell, "stock Keras", kernel="keras", step="keras")
        entries.append((plain, _stock_epochs(stock, data, workload)))
    if native is not None:
        entry = Measurement(name, cell, "native loop", difference=differences["native loop"])
        entries.append((entry, lambda: (native.epoch(), [native.epoch()])))
    for short, trained in users.items():
        user = Measurement(name, cell, USERS[short], difference=differences[short])
        entries.append((user, _timed(training_of(short, trained, Batches(data.train, workload.batch, seed=0), x, y))))
    for count, trained in ours.items():
        own = Measurement(name, cell, "kseq", count, difference=differences[count])
        entries.append((own, _own_epochs(trained, data, workload, count)))
    for number in range(rounds + 1):
        for entry, epochs in entries:
            first, later = epochs()
            if number == 0:
                entry.first = first
            else:
                entry.seconds += [seconds / entry.members for seconds in later]
    own_entries = [entry for entry, _ in entries if entry.contender == "kseq"]
    yardsticks = [entry for entry, _ in entries if entry.contender != "kseq"]
    trainees = {USERS[short]: trained for short, trained in users.items()}
    for entry in [*own_entries, *yardsticks]:
        ran = ours[entry.members] if entry.contender == "kseq" else trainees.get(entry.contender)
        if ran is not None:
            entry.kernel, entry.step = kernel_of(ran), layers.step_used(ran)
    if any(count > 1 for count in members) and "stock" in contenders:
        yardsticks.append(_two_processes(name, cell))
    found: list[Measurement] = []
    for entry in own_entries:
        # A contender that trains one seed at a time costs the same a seed, however many there are.
        found += [replace(yardstick, members=entry.members) for yardstick in yardsticks
                  if entry.members > 1 or yardstick.contender != "two processes"]  # fmt: skip
        found.append(entry)
    return found


def _model(cell: str, workload: Workload, data: WindowedPanel, members: int = 1) -> keras.Model:
    """The network of a comparison, without the linear map of the window, which the other contenders lack."""
    settings = Settings(
        lookback=workload.time, units=workload.units, num_layers=workload.num_layers,
        bidirectional=workload.bidirectional, skip="none",
    )  # fmt: skip
    return build_cell(cell, data, settings, range(members))


def _stock_epochs(
    model: keras.Model, data: WindowedPanel, workload: Workload
) -> Callable[[], tuple[float, list[float]]]:
    """Keras as its user calls it; its own way with arrays is no faster than its way with these batches."""
    model.compile(keras.optimizers.Adam(Training().learning_rate), "mse")
    batches = Batches(data.train, workload.batch, seed=0)
    return _timed(lambda timer: model.fit(batches, epochs=2, verbose=0, shuffle=False, callbacks=[timer]))


def _own_epochs(
    model: keras.Model, data: WindowedPanel, workload: Workload, count: int
) -> Callable[[], tuple[float, list[float]]]:
    """What :func:`kseq.training.fit.fit` runs, compiled once; with members, their early stopping too."""
    compile_model(model, Training())
    order = {"seed": 0} if count == 1 else {"seeds": range(count)}
    source, also = fed(Batches(data.train, workload.batch, **order))
    watch = [] if count == 1 else [MemberStopping(count, patience=0)]

    def train(timer: EpochTimer) -> None:
        told = Listeners([*watch, timer], feeding=also, add_history=True, model=model, epochs=2, verbose=0)
        model.fit(source, epochs=2, verbose=0, shuffle=False, callbacks=told)

    return _timed(train)


def _timed(train: Callable[[EpochTimer], Any]) -> Callable[[], tuple[float, list[float]]]:
    """Make of a training of two epochs what returns the seconds of the first, and of the others."""

    def epochs() -> tuple[float, list[float]]:
        timer = EpochTimer()
        train(timer)
        return timer.seconds[0], timer.seconds[1:]

    return epochs


def _native(cell: str, workload: Workload, model: keras.Model, x: np.ndarray, y: np.ndarray) -> Any:
    """The hand-written loop with the model's weights, where the backend has one."""
    if keras.config.backend() != "torch":
        return None
    from kseq.kernels.torch_native import NativeLoop

    loop = NativeLoop(cell, x, y, workload.batch, workload.units, workload.num_layers, workload.bidirectional)
    loop.load(interop.to_torch(model, recurrent="recurrent", linear="fc"))
    return loop


def _two_processes(name: str, cell: str) -> Measurement:
    """Stock Keras in two processes at once, each with a seed of its own: what a user does without members.

    Each has one thread: with more, the processes' threads wait for one another's processors, and both crawl.
    """
    command = startup.command(f"from kseq.bench.timings import Workload, child; child({WORKLOADS[name]!r}, {cell!r})")
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        for _ in range(2)
    ]
    try:
        outputs = [process.communicate()[0] for process in started]
    finally:
        # A signal to this process alone does not reach them.
        for process in started:
            process.kill()
    failed = [process.returncode for process in started if process.returncode]
    if failed:
        raise BackendError(f"a process that trains stock Keras failed (status {failed[0]}); its message stands above.")
    seconds = [second / 2 for output in outputs for second in json.loads(output.splitlines()[-1])]
    return Measurement(name, cell, "two processes", seconds=seconds, kernel="keras")


def child(workload: Workload, cell: str, epochs: int = 4) -> None:
    """Train stock Keras on a job and print the seconds of each epoch without the first, as JSON."""
    data = make_data(workload)
    epoch = _stock_epochs(layers.to_stock(_model(cell, workload, data)), data, workload)
    epoch()
    print(json.dumps([seconds for _ in range(epochs - 1) for seconds in epoch()[1]]))


__all__ = ["WORKLOADS", "Bench", "Measurement", "Workload", "child", "make_data", "peak_flops", "run"]
