"""Without compiled loops kseq trains as Keras does, by the framework's own."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import sys

if "absent" in sys.argv:
    sys.modules["numba"] = None
from kseq import startup

startup.lighten_imports()
import keras
import numpy as np

import kseq
from kseq.layers import step_used

x = np.random.default_rng(0).normal(size=(16, 6, 2)).astype("float32")
results = []
for kind in (keras.layers, kseq.layers):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((6, 2))])
    for cell in ("LSTM", "GRU", "SimpleRNN"):
        model.add(getattr(kind, cell)(3, return_sequences=cell != "SimpleRNN"))
    model.add(keras.layers.Dense(1))
    model.compile("adam", "mse")
    loss = model.fit(x, x[:, -1, :1], batch_size=8, epochs=2, verbose=0).history["loss"]
    results.append(np.hstack([loss, *[np.ravel(weight) for weight in model.get_weights()]]))
np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-6)
print(step_used(model), "|", model.layers[0].kernel_used)
"""

EXPECTED = {
    "torch": "fast | torch-native",
    "tensorflow": "keras | keras (Numba is not installed, or NUMBA_DISABLE_JIT is set)",
}
if os.environ["KERAS_BACKEND"] not in EXPECTED:
    pytest.skip("JAX compiles its own loops", allow_module_level=True)


@pytest.mark.parametrize("how", ["disabled", pytest.param("absent", marks=pytest.mark.above_backends)])
def test_any_fit_gives_the_numbers_of_keras(how):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if how == "disabled":
        environment["NUMBA_DISABLE_JIT"] = "1"
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", SCRIPT, how], env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(EXPECTED[os.environ["KERAS_BACKEND"]]), done.stdout
