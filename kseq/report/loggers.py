"""Learning curves and the final table, written for other programs: TensorBoard, MLflow, or a class of one's own.

A logger is told of each row as soon as its training is done, and of the table at the end; see :class:`Logger`. Another
one is a class with these two methods, given as ``compare(..., log=[MyLogger()])``.

TensorBoard's files are written by tensorboardX, whose only needs are NumPy and protobuf: TensorBoard's own writer comes
with a web server, and that of PyTorch with both it and PyTorch, which other backends are without. MLflow is written by
its client alone (mlflow-skinny): to the server of ``MLFLOW_TRACKING_URI``, otherwise to files, which MLflow reads where
``MLFLOW_ALLOW_FILE_STORE=true``; its databases would need SQLAlchemy and Alembic, and a second to be made.
"""

import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from kseq import backends, storage
from kseq.errors import ConfigError, Parameter
from kseq.evaluation.model_result import ModelResult
from kseq.report.run_folder import default_folder
from kseq.report.table import render
from kseq.storage.csv_text import csv_text

if TYPE_CHECKING:
    from kseq.comparison.tables import Tables
    from kseq.storage import Folder

#: Metrics that MLflow takes in one call.
_BATCH = 1000


class Logger(Protocol):
    """Takes what a comparison comes to."""

    def row(self, result: ModelResult) -> None:
        """Take a row: a model that was trained, or a baseline. Its ``history`` holds the learning curves."""
        ...

    def end(self, comparison: "Tables | None") -> None:
        """Take the finished comparison, with its table; None where the run was stopped or failed."""
        ...


def curves(result: ModelResult) -> Iterator[tuple[str, str, np.ndarray]]:
    """Learning curves of a row, one a training.

    Yields:
        tuple[str, str, np.ndarray]: The training, ``"seed-3"`` or ``"seed-3-fold-2"``; ``"loss"`` or ``"val_loss"``;
        and the values by epoch.
    """
    if not result.history:
        return
    folds = len(result.epochs) // len(result.seeds)
    for training, epochs in enumerate(result.epochs):
        fold, member = divmod(training, len(result.seeds))
        which = f"seed-{result.seeds[member]}" + (f"-fold-{fold + 1}" if folds > 1 else "")
        for name, values in result.history.items():
            yield which, name, values[training, :epochs]


def figures(comparison: "Tables") -> dict[str, dict[str, float]]:
    """Numbers of the table by model and column; those that are not finite are left out."""
    table = comparison.table.set_index("model").select_dtypes("number").astype(float)
    return {
        str(model): {str(name): float(value) for name, value in line.items() if np.isfinite(value)}
        for model, line in table.iterrows()
    }


class TensorBoard:
    """Writes event files, a folder a training, which TensorBoard shows as runs.

    Args:
        folder: New folder; ``tensorboard --logdir`` shows it, or one above it.

    Raises:
        ConfigError: The package tensorboardX is not installed.
    """

    def __init__(self, folder: Path):
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise _missing("tensorboard", "tensorboardX") from error
        self.folder, self._writer = folder, SummaryWriter

    @contextmanager
    def _open(self, *names: str) -> Iterator[Any]:
        writer = self._writer(str(self.folder.joinpath(*(name.replace("/", "-") for name in names))))
        try:
            yield writer
        finally:
            writer.close()

    def row(self, result: ModelResult) -> None:
        """Write the learning curves of a row."""
        by_training: dict[str, list[tuple[str, np.ndarray]]] = {}
        for which, name, values in curves(result):
            by_training.setdefault(which, []).append((name, values))
        for which, of_it in by_training.items():
            with self._open(result.name, which) as writer:
                for name, values in of_it:
                    for epoch, value in enumerate(values.tolist(), start=1):
                        writer.add_scalar(name, value, epoch)

    def end(self, comparison: "Tables | None") -> None:
        """Write the table, as text and each number as a scalar of its model, and the verdict."""
        if comparison is None:
            return
        for model, numbers in figures(comparison).items():
            with self._open(model) as writer:
                for name, value in numbers.items():
                    writer.add_scalar(f"table/{name}", value, 0)
        with self._open("comparison") as writer:
            writer.add_text("table", render(comparison, "markdown"))
            writer.add_text("settings", f"```\n{json.dumps(_settings(comparison), indent=2)}\n```")


class MLflow:
    """Writes one MLflow run in the experiment ``kseq``.

    Args:
        folder: For MLflow's files, where ``MLFLOW_TRACKING_URI`` names no other place.
        name: Of the run.

    Raises:
        ConfigError: MLflow is not installed, or cannot be written.
    """

    def __init__(self, folder: Path, name: str):
        where = os.environ.get("MLFLOW_TRACKING_URI")
        if not where:
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
            where = folder.absolute().as_uri()
        try:
            from mlflow import entities
            from mlflow.exceptions import MlflowException
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise _missing("mlflow", "MLflow") from error
        self._entities = entities
        try:
            self._client = MlflowClient(tracking_uri=where)
            found = self._client.get_experiment_by_name("kseq")
            experiment = found.experiment_id if found else self._client.create_experiment("kseq")
            self.run = self._client.create_run(experiment, run_name=name).info.run_id
        except MlflowException as error:
            raise ConfigError(
                f"MLflow cannot be written at {where} ({error}); expected a server, or nothing, in MLFLOW_TRACKING_URI."
            ) from error

    def _metrics(self, values: Sequence[tuple[str, float, int]]) -> None:
        now = int(time.time() * 1000)
        for first in range(0, len(values), _BATCH):
            part = values[first : first + _BATCH]
            metrics = [self._entities.Metric(_plain(name), value, now, step) for name, value, step in part]
            self._client.log_batch(self.run, metrics=metrics)

    def row(self, result: ModelResult) -> None:
        """Write the learning curves of a row as metrics by epoch."""
        self._metrics([
            (f"{result.name}/{which}/{name}", value, epoch)
            for which, name, values in curves(result)
            for epoch, value in enumerate(values.tolist(), start=1)
        ])  # fmt: skip

    def end(self, comparison: "Tables | None") -> None:
        """Write settings as parameters, the numbers of the table as metrics, and the table as files."""
        if comparison is None:
            self._client.set_terminated(self.run, "FAILED")
            return
        parameters = [
            self._entities.Param(name, text if isinstance(text, str) else json.dumps(text))
            for name, text in _settings(comparison).items()
        ]
        # A parameter of MLflow is 6,000 characters at most; the file holds them whole.
        self._client.log_batch(self.run, params=[one for one in parameters if len(one.value) <= 500])
        self._metrics([
            (f"{model}/table/{name}", value, 0)
            for model, numbers in figures(comparison).items()
            for name, value in numbers.items()
        ])  # fmt: skip
        self._client.log_text(self.run, csv_text(comparison.table), "table.csv")
        self._client.log_text(self.run, render(comparison, "markdown"), "table.md")
        self._client.log_text(self.run, json.dumps(_settings(comparison), indent=2), "settings.json")
        self._client.set_terminated(self.run)


#: Loggers by the names that ``--log`` takes.
LOGGERS: dict[str, Callable[[Path, str], Logger]] = {
    "tensorboard": lambda place, name: TensorBoard(_new(place / "tensorboard" / name)),
    "mlflow": lambda place, name: MLflow(place / "mlruns", name),
}


def opened(given: Any, place: Path, name: str) -> list[Logger]:
    """Open loggers.

    Args:
        given: Names among :data:`LOGGERS` and objects with the methods of :class:`Logger`, one or several; text may
            hold several names with commas between them.
        place: Folder in which they keep what they write: ``tensorboard/NAME`` or ``mlruns``.
        name: Of the run.

    Raises:
        ConfigError: An unknown name, what is no logger, or a package that is not installed.

    Example:
        >>> opened("tensorboard", Path("kseq-runs"), "first")  # doctest: +SKIP
    """
    several = [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given
    found: list[Logger] = []
    for one in several if isinstance(several, list | tuple) else [several]:
        if isinstance(one, str) and one in LOGGERS:
            found.append(LOGGERS[one](place, name))
        elif hasattr(one, "row") and hasattr(one, "end"):
            found.append(cast(Logger, one))
        else:
            raise ConfigError(
                "received ", Parameter("log"), f" {one!r}, expected {' or '.join(LOGGERS)} or, from Python, an object "
                "with the methods row and end.",
            )  # fmt: skip
    return found


def place_of(folder: "Folder | None", series: str) -> tuple[Path, str]:
    """Where loggers keep what they write, and the name of the run: beside the run's folder, and that folder's name.

    Args:
        folder: Of the run's files; None for none.
        series: Name of the series.
    """
    path = default_folder(series, backends.running() or "kseq") if folder is None else folder.path
    return path.absolute().parent, path.absolute().name


@contextmanager
def logging(comparison: "Tables", loggers: Sequence[Logger]) -> Iterator[None]:
    """Tell loggers of each row that a comparison gets inside the block, and of the whole at its end.

    Nobody is to lose a training for a logger: what one raises is a warning, and it is told nothing more.
    """
    left = list(loggers)

    def tell(what: str, *given: Any) -> None:
        for logger in list(left):
            try:
                getattr(logger, what)(*given)
            except Exception as error:
                left.remove(logger)
                name = type(logger).__name__
                warnings.warn(f"{name} takes no more: {type(error).__name__}: {error}", UserWarning, stacklevel=4)

    comparison.listeners.append(partial(tell, "row"))
    try:
        yield
    except BaseException:
        tell("end", None)
        raise
    finally:
        comparison.listeners.pop()
    tell("end", comparison)


def _new(folder: Path) -> Path:
    """The folder, or one beside it with a number: curves of two runs in one folder would be drawn as one."""
    number, new = 1, folder
    while new.exists():
        number += 1
        new = folder.with_name(f"{folder.name}-{number}")
    return new


def _missing(extra: str, package: str) -> ConfigError:
    return ConfigError(
        "received ", Parameter("log"), f" {extra}, which needs {package}; run pip install 'kseq[{extra}]'."
    )


def _settings(comparison: "Tables") -> dict[str, Any]:
    record = comparison.settings.record if comparison.settings else {}
    return {name: value for name, value in storage.plain(record).items() if value not in (None, {}, [], "")}


def _plain(name: str) -> str:
    """A name as MLflow takes it: letters, digits and ``_-. /:``."""
    return "".join(letter if letter.isalnum() or letter in "_-. /:" else "-" for letter in name)
