"""PyTorch's compiler waits, in processes of its own: it is there once in this one."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.environ["KERAS_BACKEND"] != "torch", reason="PyTorch's compiler")

DEFERRED = """
import json, sys
from kseq.kernels.torch_import import defer_compiler
defer_compiler()
import keras, numpy, torch

def drawn(x):
    return keras.random.uniform((2,), seed=1) + x

def there():
    return "torch._dynamo.convert_frame" in sys.modules

zeros = torch.zeros(2)
said = {}
"""


def said(code):
    """What a script says of itself in a process where the compiler waits."""
    code = f"{DEFERRED}{code}\nprint(json.dumps(said))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_keras_trains_without_the_compiler_which_is_brought_by_what_is_compiled_and_gives_the_same():
    found = said(
        "model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dropout(0.5, seed=1)])\n"
        "model.compile('adam', 'mse')\n"
        "model.fit(numpy.zeros((4, 3)), numpy.zeros((4, 2)), verbose=0)\n"
        "plain = drawn(zeros).tolist()\n"
        "said = {'before': there(), 'drawn': plain == drawn(zeros).tolist()}\n"
        "compiled = torch.compile(drawn, backend='eager')(zeros).tolist()\n"
        "said |= {'same': plain == compiled, 'there': there(), 'one': torch._dynamo is sys.modules['torch._dynamo']}"
    )
    assert found == {"before": False, "drawn": True, "same": True, "there": True, "one": True}


@pytest.mark.parametrize(
    "asked", ["import torch._dynamo.config", pytest.param("keras.utils.clear_session()", marks=pytest.mark.thorough)]
)
def test_its_other_names_bring_it(asked):
    assert said(f"before = there()\n{asked}\nsaid = [before, there()]") == [False, True]
