"""A trained model in one ``.keras`` file, with all that it takes to forecast with it.

Such a file is a zip archive of Keras's own members, ``config.json``, ``metadata.json`` and ``model.weights.h5``. Keras
leaves further members alone, so that a :class:`kseq.forecasting.card.ModelCard` travels as two more: ``kseq.json``, and
its numbers as ``kseq.arrays``.
``keras.models.load_model`` loads the file without kseq.

A file may come from anywhere. It is inspected before Keras is loaded: the archive by :mod:`kseq.forecasting._archive`,
the card by the schemas of :mod:`kseq.storage.card_schemas`, and what Keras wrote by :mod:`kseq.forecasting._network`,
against the card. The network is then built by kseq from the card's settings, and filled with the arrays that were
inspected. Nothing in a file is run, and none of its sizes is believed before so many bytes are there. Checksums tell a
damaged file from a whole one.
"""

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kseq.errors import ConfigError, DataError, KseqError
from kseq.forecasting._archive import Archive, NoArchive, Refused
from kseq.forecasting._card_parts import kinds_of
from kseq.forecasting._format1 import card_of_series
from kseq.forecasting.card import FORMAT, ModelCard
from kseq.naming import checked, names_near
from kseq.storage import write_file
from kseq.validation import require_path

if TYPE_CHECKING:
    import keras

    from kseq.forecasting import _network

#: The member that is kseq's.
MEMBER = "kseq.json"

#: The member with the numbers of the card.
ARRAYS = "kseq.arrays"

#: Keras's members, of which checksums are kept, as of the arrays.
CONFIG, WEIGHTS = "config.json", "model.weights.h5"

#: Largest members that are read, in bytes. A card holds some hundred rows and numbers, a config a few layers.
LARGEST = {MEMBER: 2**26, CONFIG: 2**24, WEIGHTS: 2**32, ARRAYS: 2**30}


@names_near(
    {
        **dict.fromkeys(("predict", "forecast"), "kseq.forecast(model, 12)"), "export": "kseq.export(model)",
        "plot": "kseq.compare(...).plot()", "summary": ".card", "explain": "kseq.explain(model=path)",
    }
)  # fmt: skip
@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained network and its card.

    Args:
        network: ``(batch, lookback, features)`` to ``(batch, horizon * targets)``.
        card: The model card: everything else that a forecast needs.
    """

    network: "keras.Model"
    card: ModelCard

    def __repr__(self) -> str:
        return f"TrainedModel({self.card!r}; kseq.forecast(model, steps), .save(path))"

    def save(self, path: str | Path) -> Path:
        """Write it into one file, see :func:`save`."""
        return save(self, path)


def save(model: TrainedModel, path: str | Path) -> Path:
    """Write a model into one file, of Keras's own layers; an existing file is replaced once the new one is whole.

    Args:
        model: The model.
        path: A name that ends in ``.keras``.

    Raises:
        ConfigError: The name ends otherwise, is that of a file that kseq has not written, or a weight is not finite.
        OutputError: A ConfigError too: the file cannot be written there; it says where it is instead.
    """
    from kseq.layers import to_stock

    path = require_name(path)
    require_own(path)
    lacking = sum(int(weight.size - np.isfinite(weight).sum()) for weight in model.network.get_weights())
    if lacking:
        raise ConfigError(
            f"the training of {model.card.name} diverged: {lacking} of its {model.network.count_params()} weights are "
            "not finite, and nothing was written; lower the learning rate, or look for outliers in the series."
        )
    network = to_stock(model.network)

    def write(temporary: Path) -> None:
        network.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            arrays = b"".join(array.tobytes() for array in model.card.arrays().values())
            archive.writestr(ARRAYS, arrays, zipfile.ZIP_DEFLATED)
            sums = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in (CONFIG, WEIGHTS, ARRAYS)}
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
        ConfigError: It is one.
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


def read_card(path: str | Path) -> ModelCard:
    """Read what a file says of its model, once the whole file has been inspected; Keras is not loaded.

    Args:
        path: The file.

    Raises:
        DataError: It is missing, damaged, or none that kseq has written.
    """
    card, _ = _read(require_path(path))
    return card


def read_parts(path: str | Path) -> tuple[ModelCard, list[np.ndarray]]:
    """Read a file's card and its weights, in the order of ``keras.Model.weights``; Keras is not loaded.

    Args:
        path: The file.

    Raises:
        DataError: It is missing, damaged, or none that kseq has written.
    """
    return _read(require_path(path))


@checked("kseq.load_model")
def load(path: str | Path) -> TrainedModel:
    """Load a model that :func:`save` has written, on any backend, with the fast layers of kseq.

    Args:
        path: The file.

    Raises:
        DataError: It is missing, damaged, none that kseq has written, or its weights are not finite.

    Example:
        >>> model = load("model.keras")  # doctest: +SKIP
        >>> model.card.name, model.card.last  # doctest: +SKIP
        ('GRU', Timestamp('2010-12-01 00:00:00'))
    """
    card, weights = _read(require_path(path))
    # Keras is loaded here and no earlier.
    from kseq.forecasting import _network

    return TrainedModel(_network.build(_plan(card), weights, card.name), card)


#: What it is called beside other functions of kseq.
load_model = load


def _plan(card: ModelCard) -> "_network.Plan":
    from kseq.forecasting import _network

    return _network.Plan.of(card.settings, len(card.input_columns), len(card.context.targets), len(card.seeds))


def _read(path: Path) -> tuple[ModelCard, list[np.ndarray]]:
    """Inspect a file; return its card and its weights, in the order of ``keras.Model.weights``."""
    expected = "expected a .keras file that `kseq fit` or kseq.fit(...).save has written"
    try:
        with Archive(path) as archive:
            lacking = [name for name in (CONFIG, WEIGHTS, MEMBER) if name not in archive]
            if lacking:
                raise DataError(f"{path} was not written by kseq (it has no {lacking[0]}); {expected}.")
            return _inspect(archive, path)
    except FileNotFoundError as error:
        raise DataError(f"received {path}, which does not exist; {expected}.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); {expected}.") from error
    except NoArchive as error:
        raise DataError(f"{path} is no model, or is cut off ({_shown(error)}); {expected}.") from error
    except Refused as error:
        raise DataError(f"{path} is damaged ({_shown(error)}); copy it again, or fit the model again.") from error
    except ValueError as error:
        raise DataError(f"received {str(path)!r}, which is no name of a file ({error}); {expected}.") from error


def _inspect(archive: Archive, path: Path) -> tuple[ModelCard, list[np.ndarray]]:
    # Both are slow to import, and needed where a file is read alone.
    from kseq.forecasting import _network, _weights
    from kseq.storage import card_schemas, parsing

    content = archive.read(MEMBER, LARGEST[MEMBER])
    try:
        known = parsing.parse(content, card_schemas.CardFormat)
        if not 1 <= known["format"] <= FORMAT:
            raise DataError(
                f"{path} was written by kseq {known['kseq']} in format {known['format']}, expected 1 to {FORMAT}; load "
                "it with that version."
            )
        # In format 1 a model of one series had no arrays.
        with_arrays = known["format"] > 1 or ARRAYS in archive
        record: Any = parsing.parse(content, card_schemas.CardRecord if with_arrays else card_schemas.SeriesCardRecord)
    except ValueError as error:
        raise Refused(f"{MEMBER}: {error}") from error
    del content
    for name in (CONFIG, WEIGHTS, *([ARRAYS] if with_arrays else ())):
        if archive.sha256(name, LARGEST[name]) != record.get("checksums", {}).get(name):
            raise Refused(f"{name} has been changed")
    try:
        if with_arrays:
            card, order = ModelCard.from_json(record, _arrays(archive, record)), None
        else:
            card, order = card_of_series(record)
    except KseqError as error:
        raise Refused(f"{MEMBER}: {error}".rstrip(".")) from error
    # What pandas and NumPy raise of dates, zones and shapes that do not go together.
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError) as error:
        raise Refused(f"{MEMBER}: {_shown(error)}") from error
    plan = _plan(card)
    plan.bytes(WEIGHTS, archive.size(WEIGHTS))
    try:
        config = parsing.parse_any(archive.read(CONFIG, LARGEST[CONFIG]))
    except ValueError as error:
        raise Refused(f"{CONFIG}: {error}") from error
    _network.require_config(config, plan)
    weights = _weights.read_weights(archive.read(WEIGHTS, LARGEST[WEIGHTS]), plan, WEIGHTS)
    return card, weights if order is None else _network.with_inputs_in_order(weights, plan, order)


def _arrays(archive: Archive, record: Any) -> bytes:
    """The arrays of a card, once it is known that there are as many bytes as their shapes take."""
    shapes, kinds = record["arrays"], kinds_of(record)
    lacking = [name for name in kinds if name not in shapes]
    if lacking:
        raise Refused(f"{MEMBER}: it gives no shape of {lacking[0]}")
    size = sum(prod(shapes[name]) * np.dtype(kind).itemsize for name, kind in kinds.items())
    if archive.size(ARRAYS) != size:
        raise Refused(f"{ARRAYS} holds {archive.size(ARRAYS):,} bytes, expected {size:,}")
    return archive.read(ARRAYS, LARGEST[ARRAYS])


def _shown(error: Exception) -> str:
    """A reason in one line; names in a file may hold anything."""
    text = " ".join(str(error).split())[:400] or type(error).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in text)
