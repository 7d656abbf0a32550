"""kseq: which recurrent cell, SimpleRNN, LSTM or GRU, serves this series, and is it better than a baseline?

Nothing heavy is imported with the package: a name below brings its module, and with it Keras, on first use. The backend
is that of ``KERAS_BACKEND``, or the first installed of PyTorch, TensorFlow and JAX; ``kseq.backends.choose`` names one.
"""

import importlib
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any

from kseq._version import __version__
from kseq.errors import BackendError, ConfigError, DataError, KseqError

# What editors and type checkers know of the names below.
if TYPE_CHECKING:
    from kseq import backends as backends
    from kseq import data as data
    from kseq import interop as interop
    from kseq import layers as layers
    from kseq import models as models
    from kseq.data import Panel as Panel
    from kseq.data import Series as Series
    from kseq.data import from_frame as from_frame
    from kseq.data import load_series as load_series
    from kseq.data import panel_from_frame as panel_from_frame
    from kseq.data import read_csv as read_csv
    from kseq.data import read_panel as read_panel
    from kseq.data import read_parquet as read_parquet
    from kseq.experiments.audit import audit as audit
    from kseq.experiments.compare import compare as compare
    from kseq.experiments.judge import judge as judge
    from kseq.experiments.tune import Space as Space
    from kseq.experiments.tune import tune as tune
    from kseq.explanation.explain import explain as explain
    from kseq.explanation.explanation import Explanation as Explanation
    from kseq.exporting.export import export as export
    from kseq.forecasting.fit import fit as fit
    from kseq.forecasting.forecast import forecast as forecast
    from kseq.forecasting.forecaster import Forecaster as Forecaster
    from kseq.forecasting.model_file import load_model as load_model
    from kseq.layers import split_members as split_members
    from kseq.models.builders import build_gru as build_gru
    from kseq.models.builders import build_lstm as build_lstm
    from kseq.models.builders import build_model as build_model
    from kseq.models.builders import build_simple_rnn as build_simple_rnn
    from kseq.preprocessing.windows import make_windows as make_windows
    from kseq.report.comparison import Comparison as Comparison
    from kseq.report.progress_bar import ProgressBar as ProgressBar
    from kseq.settings import Settings as Settings
    from kseq.training.batches import Batches as Batches
    from kseq.training.callbacks import Evaluation as Evaluation
    from kseq.training.callbacks import predict as predict

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
    "Comparison": "report.comparison",
    "Settings": "settings",
    "compare": "experiments.compare",
    "tune": "experiments.tune",
    "audit": "experiments.audit",
    "judge": "experiments.judge",
    "fit": "forecasting.fit",
    "forecast": "forecasting.forecast",
    "load_model": "forecasting.model_file",
    "Space": "experiments.tune",
    "Forecaster": "forecasting.forecaster",
    "export": "exporting.export",
    "explain": "explanation.explain",
    "Explanation": "explanation.explanation",
    "ProgressBar": "report.progress_bar",
}

__all__ = ["BackendError", "ConfigError", "DataError", "KseqError", "__version__", *_PUBLIC]


#: What people look for here, and where it is.
_ELSEWHERE = {
    "gru": "layers.GRU", "lstm": "layers.LSTM", "simplernn": "layers.SimpleRNN", "rnn": "layers.SimpleRNN",
    "kernelpolicy": "layers.kernel_policy", "fromtorch": "interop.from_torch", "totorch": "interop.to_torch",
    "setbackend": "backends.choose", "plot": "compare(...).plot", "evaluate": "judge", "score": "judge",
    "train": "fit", "predictions": "compare(...).predictions", "windows": "make_windows", "backtest": "compare",
    "benchmark": "compare", "reproduce": "compare", "load": "load_model", "readexcel": "read_csv", "read": "read_csv",
}  # fmt: skip

#: Public modules, which are there without an import of their own.
_MODULES = ("backends", "data", "interop", "layers", "models")


class _BackendFirst:
    """Chooses a backend where a module of kseq is the first to import Keras, which alone would take TensorFlow.

    That holds for ``from kseq.layers import GRU`` as for ``kseq.layers.GRU``. Imports of Keras by others are left
    alone.
    """

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        """Find nothing; look at who imports Keras."""
        if name == "keras" and _importer().split(".")[0] == "kseq":
            from kseq import backends

            backends.choose()


def _importer() -> str:
    """Name of the module whose import is being done."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    return "" if frame is None else str(frame.f_globals.get("__name__", ""))


sys.meta_path.insert(0, _BackendFirst)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC and name not in _MODULES:
        from kseq.naming import nearest

        near = _ELSEWHERE.get(name.lower().replace("_", "")) or nearest(name, __dir__())
        hint = f"; did you mean kseq.{near}?" if near else ""
        raise AttributeError(f"module 'kseq' has no attribute {name!r}{hint}")
    module = _PUBLIC.get(name, name)
    found = importlib.import_module(f"kseq.{module}")
    return getattr(found, name) if name in _PUBLIC else found


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
