"""A trained model in one ``.keras`` file, with all that it takes to forecast with it.

Such a file is a zip archive of Keras's own members, ``config.json``, ``metadata.json`` and ``model.weights.h5``. Keras
leaves further members alone, so that a :class:`kseq.modelcard.ModelCard` travels as a fourth, ``kseq.json``. A model of
many series has a fifth, ``kseq.arrays``: the numbers of its :class:`kseq.panels.card.PanelCard`.
``keras.models.load_model`` loads the file without kseq.

Nothing in a file is run. What is read is JSON and arrays of numbers; the layers that ``config.json`` may name are those
of :data:`CLASSES`, and none may ask for more memory than the file has weights. Checksums tell a damaged file from a
whole one.
"""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kseq.errors import ConfigError, DataError
from kseq.modelcard import FORMAT, ModelCard
from kseq.panels.card import PanelCard
from kseq.storage import write_file

if TYPE_CHECKING:
    import keras

#: The member that is kseq's.
MEMBER = "kseq.json"

#: The member with arrays of a model of many series.
ARRAYS = "kseq.arrays"

#: Keras's members, which checksums are kept of, as of the arrays.
CONFIG, WEIGHTS = "config.json", "model.weights.h5"

#: Largest members that are read, in bytes. A card holds some hundred rows and numbers, a config a few layers.
LARGEST = {MEMBER: 2**26, CONFIG: 2**24, WEIGHTS: 2**32, ARRAYS: 2**30}

#: Classes that a config may name, by module.
CLASSES = {
    "keras": {"DTypePolicy"},
    "keras.src.models.functional": {"Functional"},
    "keras.layers": {"InputLayer", "SimpleRNN", "LSTM", "GRU", "Bidirectional", "Dense", "Dropout", "Average"},
    "keras.initializers": {"GlorotUniform", "Orthogonal", "OrthogonalInitializer", "Zeros"},
    # A tensor between two layers, by the name of the layer that it leaves.
    None: {"__keras_tensor__"},
}


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained network and its card.

    Args:
        network: ``(batch, lookback, features)`` to ``(batch, horizon * targets)``.
        card: what else a forecast needs.
    """

    network: "keras.Model"
    card: ModelCard


@dataclass(frozen=True, eq=False)
class TrainedPanel:
    """A network that was trained on many series, and its card.

    Args:
        network: as of :class:`TrainedModel`.
        card: what else a forecast needs.
    """

    network: "keras.Model"
    card: PanelCard


def save(model: TrainedModel | TrainedPanel, path: str | Path) -> Path:
    """Write a model into one file, of Keras's own layers; an existing file is replaced once the new one is whole.

    Args:
        model: the model.
        path: a name that ends in ``.keras``.

    Raises:
        ConfigError: the name ends otherwise, or is that of a file that kseq has not written.
        OutputError: a ConfigError too: the file cannot be written there; it says where it is instead.
    """
    path = require_name(path)
    require_own(path)

    def write(temporary: Path) -> None:
        model.network.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            kept = [CONFIG, WEIGHTS]
            if isinstance(model, TrainedPanel):
                arrays = b"".join(array.tobytes() for array in model.card.arrays().values())
                archive.writestr(ARRAYS, arrays, zipfile.ZIP_DEFLATED)
                kept.append(ARRAYS)
            sums = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in kept}
            content = json.dumps({**model.card.to_json(), "checksums": sums}, allow_nan=False, ensure_ascii=False)
            archive.writestr(MEMBER, content, zipfile.ZIP_DEFLATED)

    return write_file(path, write)


def require_name(path: str | Path) -> Path:
    """Refuse a file name by which Keras would not know its format."""
    path = Path(path)
    if path.suffix != ".keras":
        raise ConfigError(f"received {path} as the model's file, expected a name that ends in .keras.")
    return path


def require_own(path: Path) -> None:
    """Refuse to replace a file that kseq has not written.

    Raises:
        ConfigError: it is one.
    """
    if os.path.lexists(path) and not is_own(path):
        raise ConfigError(f"{path} was not written by kseq; expected a free name, or that of a model to replace.")


def is_own(path: Path) -> bool:
    """Whether a file is a model that kseq has written, as its card tells."""
    try:
        with zipfile.ZipFile(path) as archive:
            return MEMBER in archive.namelist()
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
        return False


def read_card(path: str | Path) -> ModelCard | PanelCard:
    """Read what a file says of its model; Keras is not loaded.

    Raises:
        DataError: it is missing, damaged, or none that kseq has written.
    """
    path = Path(path)
    with _Archive(path) as archive:
        content = archive.json(MEMBER)
        if content.get("format") != FORMAT:
            raise DataError(
                f"{path} was written by kseq {content.get('kseq')} in format {content.get('format')}, expected "
                f"{FORMAT}; load it with that version."
            )
        try:
            many = "panel" in content
            for name in (CONFIG, WEIGHTS, *([ARRAYS] if many else ())):
                if hashlib.sha256(archive.read(name)).hexdigest() != content["checksums"][name]:
                    raise archive.damaged(f"{name} has been changed")
            card: ModelCard | PanelCard
            card = PanelCard.from_json(content, archive.read(ARRAYS)) if many else ModelCard.from_json(content)
            _require_plain(archive.json(CONFIG), archive.size(WEIGHTS))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise archive.damaged(f"{MEMBER} or {CONFIG}: {error}") from error
    return card


def load(path: str | Path) -> TrainedModel | TrainedPanel:
    """Load a model that :func:`save` has written, on any backend, with the fast layers of kseq.

    Args:
        path: the file.

    Raises:
        DataError: it is missing, damaged, none that kseq has written, or beyond this version of Keras.

    Example:
        >>> model = load("model.keras")  # doctest: +SKIP
        >>> model.card.name, model.card.last  # doctest: +SKIP
        ('GRU', Timestamp('2010-12-01 00:00:00'))
    """
    card = read_card(path)
    import keras

    # Once these are known to Keras, its own layers load as them.
    import kseq.layers  # noqa: F401

    try:
        loaded = keras.models.load_model(path, compile=False, safe_mode=True)
        # Older versions load an input and an output as lists of one.
        (window,), (output,) = loaded.inputs, loaded.outputs
        network = keras.Model(window, output, name=loaded.name)
        shapes = network.input_shape, network.output_shape
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        raise DataError(
            f"{path} was written with Keras {card.versions.get('keras')} and does not load with Keras "
            f"{keras.__version__}; install that version, or fit the model again."
        ) from error
    expected = (None, card.lookback, len(card.input_columns)), (None, card.horizon * len(card.context.targets))
    if shapes != expected:
        raise DataError(f"{path}: its network takes and gives {shapes}, expected {expected}; fit the model again.")
    return TrainedPanel(network, card) if isinstance(card, PanelCard) else TrainedModel(network, card)


class _Archive:
    """A zip file whose members are read whole and checked."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> "_Archive":
        expected = "expected a .keras file that `kseq fit` has written"
        if not self.path.exists():
            raise DataError(f"received {self.path}, which does not exist; {expected}.")
        try:
            self.file = zipfile.ZipFile(self.path)
        except zipfile.BadZipFile as error:
            raise DataError(f"{self.path} is no model, or is cut off ({error}); {expected}.") from error
        except OSError as error:
            raise DataError(f"{self.path} cannot be read ({error.strerror}); {expected}.") from error
        lacking = [name for name in (CONFIG, WEIGHTS, MEMBER) if name not in self.file.namelist()]
        if lacking:
            self.file.close()
            raise DataError(f"{self.path} was not written by kseq (it has no {lacking[0]}); {expected}.")
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def size(self, name: str) -> int:
        return self.file.getinfo(name).file_size

    def read(self, name: str) -> bytes:
        if self.size(name) > LARGEST[name]:
            raise self.damaged(f"{name} holds {self.size(name):,} bytes, at most {LARGEST[name]:,} are read")
        try:
            return self.file.read(name)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            raise self.damaged(f"{name}: {error}") from error

    def json(self, name: str) -> Any:
        try:
            content = json.loads(self.read(name))
        except (ValueError, RecursionError) as error:
            raise self.damaged(f"{name} is not JSON: {error}") from error
        if not isinstance(content, dict):
            raise self.damaged(f"{name} holds no record")
        return content

    def damaged(self, reason: str) -> DataError:
        return DataError(f"{self.path} is damaged ({reason}); copy it again, or fit the model again.")


def _require_plain(config: Any, weights: int) -> None:
    """Refuse a config that names anything but plain layers, or layers larger than a file of weights could fill.

    Raises:
        ValueError: it does.
    """
    for part in _parts(config):
        if part.get("compile_config"):
            raise ValueError("the model is compiled")
        kind = part.get("class_name")
        if kind is None and "module" not in part:
            continue
        if kind not in CLASSES.get(part.get("module"), ()) or part.get("registered_name") not in (None, kind):
            raise ValueError(f"{part.get('module')}.{kind} is none of the layers that kseq saves")
        units = part["config"].get("units", 0)
        if 4 * units * (units if kind in ("SimpleRNN", "LSTM", "GRU") else 1) > weights:
            raise ValueError(f"{units} units in {weights} bytes of weights")


def _parts(config: Any) -> Iterator[Mapping[str, Any]]:
    """Every dictionary in a config, however deep."""
    if isinstance(config, dict):
        yield config
    for inner in config.values() if isinstance(config, dict) else config if isinstance(config, list) else ():
        yield from _parts(inner)
