"""What a bench runs on, and how fast it multiplies matrices."""

import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kseq import backends
from kseq.backends import machine


def this_machine() -> dict[str, Any]:
    """Hardware, versions and threads of this process."""
    backend = keras.config.backend()
    return {
        **machine(),
        "device": backends.device_in_use(backend),
        "backend": backend,
        "versions": backends.versions(),
    }


def peak_flops(size: int | None = None, seconds: float = 2.0) -> float:
    """Operations a second of a large float32 matrix product, the best of NumPy's and the backend's within a time."""
    size = size or (2048 if backends.device_in_use(keras.config.backend()) == "cpu" else 8192)
    a = np.random.default_rng(0).random((size, size), "float32")
    b = keras.ops.convert_to_tensor(a)
    best = float("inf")
    products: list[Callable[[], Any]] = [
        lambda: a @ a,
        # One number of the result is waited for: to bring it all back from a GPU would take longer than the product.
        lambda: keras.ops.convert_to_numpy(keras.ops.matmul(b, b)[0, 0]),
    ]
    for product in products:
        product()
        until = time.perf_counter() + seconds / 2
        while (started := time.perf_counter()) < until:
            product()
            best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best
