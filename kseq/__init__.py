"""kseq: which recurrent cell, SimpleRNN, LSTM or GRU, serves this series, and is it better than a baseline?

Nothing heavy is imported with the package: a name below brings its module, and with it Keras, on first use. The backend
is that of ``KERAS_BACKEND``, or the first installed of PyTorch, TensorFlow and JAX; ``kseq.backends.choose`` names one.
"""

import importlib
from typing import TYPE_CHECKING, Any

from kseq._version import __version__
from kseq.errors import BackendError, ConfigError, DataError, KseqError

if TYPE_CHECKING:
    from kseq import backends as backends
    from kseq import data as data
    from kseq import interop as interop
    from kseq import layers as layers
    from kseq import models as models

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
    "audit": "experiments.audit",
    "fit": "forecasting.fit",
    "Space": "experiments.tune",
    "Forecaster": "forecasting.forecaster",
    "explain": "explanation.explain",
    "Explanation": "explanation.result",
}

__all__ = ["BackendError", "ConfigError", "DataError", "KseqError", "__version__", *_PUBLIC]


#: Public modules, which are there without an import of their own.
_MODULES = ("backends", "data", "interop", "layers", "models")

#: Of the above what is made of Keras's classes, and brings Keras as it is imported.
_OF_KERAS = ("training.batches", "training.callbacks", "models.builders", "interop", "layers", "forecasting.fit")


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC and name not in _MODULES:
        import difflib

        close = difflib.get_close_matches(name, __dir__(), n=1)
        hint = f"; did you mean kseq.{close[0]}?" if close else ""
        raise AttributeError(f"module 'kseq' has no attribute {name!r}{hint}")
    module = _PUBLIC.get(name, name)
    if module in _OF_KERAS:
        from kseq import backends

        # Keras alone would take TensorFlow, whether it is installed or not.
        if backends.running() is None:
            backends.choose()
    found = importlib.import_module(f"kseq.{module}")
    return getattr(found, name) if name in _PUBLIC else found


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
