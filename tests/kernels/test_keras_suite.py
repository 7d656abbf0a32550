"""Keras's own tests of SimpleRNN, LSTM, GRU and Bidirectional, run with the classes of kseq in the place of Keras's.

Keras's package ships its tests. Each file is loaded here a second time, and the name ``layers`` in it then stands for
Keras's layers with three classes replaced.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import keras
import pytest

import kseq.layers
from kseq import kernels
from kseq.layers import _fast_loop

if tuple(map(int, keras.__version__.split(".")[:2])) < (3, 15):
    pytest.skip(f"Keras {keras.__version__} may come without its tests", allow_module_level=True)

# Keras's harness trains every layer from a generator, of which Keras then warns.
pytestmark = pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")


def load_suite(cell: str, case: str) -> type:
    """The test case of one of Keras's files, with the layers of kseq."""
    path = Path(keras.src.layers.rnn.__file__).with_name(f"{cell}_test.py")
    spec = importlib.util.spec_from_file_location(f"keras_suite_{cell}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    ours = {name: getattr(kseq.layers, name) for name in ("SimpleRNN", "LSTM", "GRU")}
    module.layers = SimpleNamespace(**{**vars(keras.src.layers), **ours})
    return getattr(module, case)


class TestSimpleRNN(load_suite("simple_rnn", "SimpleRNNTest")):
    pass


class TestLSTM(load_suite("lstm", "LSTMTest")):
    pass


class TestGRU(load_suite("gru", "GRUTest")):
    # Asks which function Keras's own loop calls on a GPU; here that loop does not run.
    test_torch_cudnn_dispatch_fires = None


class TestBidirectional(load_suite("bidirectional", "SimpleRNNTest")):
    test_torch_cudnn_bidirectional_gru_dispatch_fires = None


@pytest.fixture(autouse=True)
def kernels_run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where a test's settings have a kernel, it ran: the suite passes with Keras's loop in any case."""
    run_kernel, results = _fast_loop.run_kernel, []

    def recording(*args, **kwargs):
        results.append(run_kernel(*args, **kwargs))
        return results[-1]

    monkeypatch.setattr(_fast_loop, "run_kernel", recording)
    filtering = keras.config.is_traceback_filtering_enabled()
    yield
    # Keras's test case turns this off, for the whole process.
    if filtering:
        keras.config.enable_traceback_filtering()
    if any(part in request.node.name for part in ("basics", "correctness", "statefulness", "initial_state")):
        assert any(isinstance(result, kernels.Output) for result in results), results
