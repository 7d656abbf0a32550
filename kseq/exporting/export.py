"""Write a trained model for another runtime, check what was written, and describe it."""

import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from kseq.backends import start_quietly
from kseq.errors import BackendError, ConfigError, Given, OutputError, Parameter
from kseq.exporting import _numpy
from kseq.exporting.description import description
from kseq.exporting.inputs import example_of
from kseq.exporting.networks import Network, networks_of
from kseq.exporting.recipe import Recipe
from kseq.forecasting import _network, model_file
from kseq.forecasting.card import ModelCard
from kseq.forecasting.forecaster import Forecaster
from kseq.forecasting.model_file import TrainedModel
from kseq.naming import checked, hint
from kseq.storage import require_other, to_json, write_file
from kseq.validation import require_whole

#: How far an exported file may be from the forecasts of kseq, as a share of each target's spread.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Format:
    """A format that models are exported to.

    Args:
        suffix: End of the file's name.
        package: Package that must be installed to write it.
        extra: Extra of kseq that brings that.
    """

    suffix: str
    package: str
    extra: str


FORMATS = {
    "onnx": Format(".onnx", "onnx", "onnx"),
    "savedmodel": Format("-savedmodel", "tensorflow", "tensorflow"),
    "torch": Format(".pt2", "torch", "torch"),
}


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        path: The file; of a SavedModel the folder.
        description: The JSON beside it.
        checked: Largest distance of the example's outputs from kseq's, as a share of each target's spread; None
            where no runtime was there to check with, or the model keeps no whole window.
        notes: Sentences on what was left out.
    """

    path: Path
    description: Path
    checked: float | None
    notes: tuple[str, ...]


@checked("kseq.export")
def export(
    model: str | Path | TrainedModel | Forecaster,
    to: str = "onnx",
    out: str | Path | None = None,
    *,
    steps: int | None = None,
    level: Sequence[float] | None = None,
) -> Exported:
    """Export a trained model: a graph from rows in the user's unit to forecasts in the user's unit.

    Transforms, scales and, beyond the horizon, the repeated reading of the model's own forecasts are in the graph. What
    it takes, and how a calendar and phases of a season are made from dates, stands in a JSON file beside it, with an
    example. The batch is free; rows of a window and steps are fixed, and runtimes refuse others.

    Args:
        model: A file of :func:`kseq.fit`, what that returns, or a fitted :class:`kseq.Forecaster`.
        to: ``"onnx"``, ``"savedmodel"`` (TensorFlow) or ``"torch"`` (a program of ``torch.export``).
        out: File to write, of a SavedModel the folder; by default beside the model's file, with the format's suffix.
            The JSON is called ``<out>.json``.
        steps: Steps that the graph forecasts; the model's horizon by default.
        level: Percents of the intervals that it gives; by default those named when the model was fitted, as far as they
            are known.

    Returns:
        Exported: The files.

    Raises:
        ConfigError: An unknown format, a level of which nothing is known, or a file that kseq has
            not written is there.
        BackendError: The library that writes the format is not installed.
        DataError: The model's file is damaged.

    Example:
        >>> kseq.export("model.keras", "onnx", steps=12).path  # doctest: +SKIP
        PosixPath('model.onnx')
    """
    if to not in FORMATS:
        named = isinstance(to, str | Path) and Path(to).suffix
        file = ("; ", Given("out", str(to)), " names a file.") if named else (hint(to, FORMATS) or ".",)
        raise ConfigError("received ", Parameter("to"), f" {to!r}, expected one of {', '.join(FORMATS)}", *file)
    kind = FORMATS[to]
    require_library(to)
    card, networks = _parts_of(model)
    out = _place(model, kind, out)
    steps = card.horizon if steps is None else steps
    require_whole("steps", steps)
    levels, notes = _levels(card, level)
    recipe = Recipe(card, steps, levels)
    require_other(out, [Path(model)] if isinstance(model, str | Path) else [])
    beside = out.with_name(out.name + ".json")
    _require_own(out, beside)
    example = example_of(recipe)
    expected = _numpy.run(recipe, networks, example) if example is not None else {}
    text = to_json(description(recipe, out.name, example, expected))
    shapes = {one.name: np.zeros((1, *one.shape), one.dtype) for one in recipe.inputs}
    writer = _WRITERS[to]
    found: list[float | None] = []

    def write(path: Path) -> None:
        writer(path, recipe, networks, shapes, {"kseq.json": text})
        found.append(_distance(to, path, recipe, example, expected))

    def describe(path: Path) -> None:
        path.write_text(text, encoding="utf-8")

    if to == "savedmodel":
        _write_folder(out, write)
    else:
        write_file(out, write)
    write_file(beside, describe)
    return Exported(out, beside, found[-1], tuple(notes))


def require_library(to: str) -> None:
    """Refuse a format whose library is not installed.

    Raises:
        BackendError: It is not.
    """
    kind = FORMATS[to]
    if find_spec(kind.package) is None:
        raise BackendError(
            "received ", Parameter("to"), f" {to}, which is written by {kind.package}, and that is not installed; "
            f"pip install 'kseq[{kind.extra}]', or export to onnx.",
        )  # fmt: skip


def _parts_of(model: str | Path | TrainedModel | Forecaster) -> tuple[ModelCard, list[Network]]:
    """Card and networks; of a file without Keras."""
    if isinstance(model, Forecaster):
        model = model.fitted
    if isinstance(model, TrainedModel):
        card, weights = model.card, [np.asarray(array) for array in model.network.get_weights()]
    else:
        card, weights = model_file.read_parts(model)
    plan = _network.Plan.of(card.settings, len(card.input_columns), len(card.context.targets), len(card.seeds))
    return card, networks_of(plan, weights)


def _place(model: Any, kind: Format, out: str | Path | None) -> Path:
    if out is None:
        path = Path(model) if isinstance(model, str | Path) else Path("model.keras")
        return path.with_name(path.stem + kind.suffix)
    out = Path(out)
    if kind.suffix.startswith(".") and out.suffix != kind.suffix:
        raise ConfigError("received ", Parameter("out"), f" {out}, expected a name that ends in {kind.suffix}.")
    if not out.name:
        raise ConfigError("received ", Parameter("out"), f" {out}, expected a name.")
    return out


def _levels(card: ModelCard, level: Sequence[float] | None) -> tuple[tuple[float, ...], list[str]]:
    """Levels of intervals whose half-widths are known, and why others are left out."""
    known, notes = [], []
    for one in card.settings["levels"] if level is None else level:
        reason = card.half_widths.reason(one)
        if reason is None:
            known.append(float(one))
        elif level is None:
            notes.append(f"No {one:g} % interval: {reason}.")
        else:
            raise ConfigError(f"received level {one:g}, and {reason}; give another ", Parameter("level"), ".")
    return tuple(known), notes


def _require_own(out: Path, beside: Path) -> None:
    """Refuse to replace what an earlier export has not written.

    Raises:
        ConfigError: It is such.
    """
    there = [path for path in (out, beside) if os.path.lexists(path)]
    if not there:
        return
    try:
        own = str(json.loads(beside.read_text(encoding="utf-8"))["exported_by"]).startswith("kseq")
    except (OSError, ValueError, KeyError, TypeError):
        own = False
    if not own:
        raise ConfigError(
            f"{there[0]} was not written by `kseq export`; expected a free name, see ", Parameter("out"), "."
        )


def _write_folder(path: Path, write: Callable[[Path], None]) -> None:
    """Write a folder in one step; an earlier one is replaced once the new one is whole."""
    new, old = (path.with_name(f".{path.name}.{secrets.token_hex(4)}.{part}") for part in ("new", "old"))
    try:
        write(new)
        if path.exists():
            path.rename(old)
        new.rename(path)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror}); expected a name in a folder of your own."
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _distance(
    to: str,
    path: Path,
    recipe: Recipe,
    example: Mapping[str, np.ndarray] | None,
    expected: Mapping[str, np.ndarray],
) -> float | None:
    """Run the example in what was written; its largest distance from what kseq computes, in each target's spread.

    Raises:
        ConfigError: It is too far: the file is not left behind.
    """
    runner = _RUNNERS.get(to)
    if example is None or runner is None or (to == "onnx" and find_spec("onnxruntime") is None):
        return None
    got = runner(path, example)
    number, context = int(example["series"][0]) if "series" in example else 0, recipe.card.context
    y = context.y[context.borders[number] : context.ends[number]]
    # A constant series has no spread; float64 has some 16 digits of its level.
    scale = np.maximum(np.nanstd(y, axis=0), 1e-6 * np.nanmax(np.abs(y), axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    far = [(np.abs(got[name] - value) / scale)[np.isfinite(value)] for name, value in expected.items()]
    distance = float(max((one.max() for one in far if one.size), default=0.0))
    if not distance <= TOLERANCE:
        raise ConfigError(
            f"{to} gives forecasts that are {distance:.1g} of the series' spread from kseq's, expected at most "
            f"{TOLERANCE:g}; nothing was written. Export to another format, and report this."
        )
    return distance


def _write_onnx(path: Path, recipe: Recipe, networks: Sequence[Network], shapes: Any, notes: Mapping[str, str]) -> None:
    from kseq.exporting._onnx import graph_of

    path.write_bytes(graph_of(recipe, networks, notes))


def _write_torch(
    path: Path, recipe: Recipe, networks: Sequence[Network], shapes: Any, notes: Mapping[str, str]
) -> None:
    from kseq.kernels import torch_export

    torch_export.save(path, recipe, networks, shapes, notes)


def _write_savedmodel(
    path: Path, recipe: Recipe, networks: Sequence[Network], shapes: Any, notes: Mapping[str, str]
) -> None:
    start_quietly("tensorflow")
    from kseq.kernels import tensorflow_export

    tensorflow_export.save(path, recipe, networks, shapes)


_WRITERS = {"onnx": _write_onnx, "torch": _write_torch, "savedmodel": _write_savedmodel}


def _run_onnx(path: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def _run_torch(path: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    from kseq.kernels import torch_export

    return torch_export.run(path, inputs)


def _run_savedmodel(path: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    from kseq.kernels import tensorflow_export

    return tensorflow_export.run(path, inputs)


_RUNNERS = {"onnx": _run_onnx, "torch": _run_torch, "savedmodel": _run_savedmodel}
