"""kseq: which recurrent cell, SimpleRNN, LSTM or GRU, serves this series, and is it better than a baseline?

Nothing heavy is imported with the package: a name below brings its module, and with it Keras, on first use. Set
``KERAS_BACKEND`` before that, or let ``kseq compare --backend`` do it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from kseq._version import __version__
from kseq.errors import BackendError, ConfigError, DataError, KseqError

if TYPE_CHECKING:
    from kseq import layers as layers

#: Public names and the modules that hold them.
_PUBLIC = {
    "Series": "data",
    "Panel": "data",
    "load_series": "data",
    "read_csv": "data",
    "read_parquet": "data",
    "read_panel": "data",
    "from_frame": "data",
    "panel_from_frame": "data",
    "make_windows": "preprocessing.windows",
    "Batches": "training.batches",
    "build_model": "models.builders",
    "build_simple_rnn": "models.builders",
    "build_lstm": "models.builders",
    "build_gru": "models.builders",
    "split_members": "layers",
    "Evaluation": "training.callbacks",
    "predict": "training.callbacks",
    "Comparison": "comparison.result",
    "Settings": "settings",
    "compare": "comparison.result",
    "tune": "experiments.tune",
    "Space": "experiments.tune",
    "Forecaster": "forecasting.forecaster",
    "explain": "explanation.explain",
    "Explanation": "explanation.result",
}

__all__ = ["BackendError", "ConfigError", "DataError", "KseqError", "__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"kseq.{_PUBLIC[name]}"), name)
    if name == "layers":
        return importlib.import_module("kseq.layers")
    raise AttributeError(f"module 'kseq' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "layers"])
