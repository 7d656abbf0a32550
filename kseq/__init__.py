"""kseq: which recurrent cell, SimpleRNN, LSTM or GRU, serves this series, and is it better than a baseline?

Nothing heavy is imported with the package: a name below brings its module, and with it Keras, on first use. Set
``KERAS_BACKEND`` before that, or let ``kseq compare --backend`` do it.
"""

import importlib
from typing import Any

from kseq._version import __version__
from kseq.errors import BackendError, ConfigError, DataError, KseqError

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
    "Batches": "batches",
    "build_model": "models",
    "build_simple_rnn": "models",
    "build_lstm": "models",
    "build_gru": "models",
    "split_members": "layers",
    "Evaluation": "callbacks",
    "predict": "callbacks",
    "Comparison": "comparison.result",
    "Settings": "settings",
    "compare": "comparison.result",
    "tune": "tuning",
    "Space": "tuning",
    "Forecaster": "forecasting.forecaster",
}

__all__ = ["BackendError", "ConfigError", "DataError", "KseqError", "__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"kseq.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module 'kseq' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
