"""What of a place decides the numbers of a training: backend, device, versions, and kseq's own code."""

import functools
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kseq import backends
from kseq._version import __version__
from kseq.errors import BackendError

#: Packages whose versions decide how a network is trained, beside the backend's own.
_PACKAGES = ("keras", "numpy", "numba")

#: Packages of kseq whose code decides it: an installed copy that was edited does not read what it made before.
_CODE = ("kernels", "layers", "models", "training", "comparison/jobs.py", "comparison/strategies.py")

#: Variables that a worker is given as they are here.
_VARIABLES = ("KERAS_BACKEND", "KERAS_TORCH_DEVICE", "JAX_PLATFORMS", "CUDA_VISIBLE_DEVICES", "KSEQ_KERNELS")


def facts() -> dict[str, Any]:
    """Return what decides the numbers in this process, as the facts of a job hold it; loads Keras and the backend."""
    import keras

    from kseq.layers import _dispatch

    backend = keras.config.backend()
    versions = backends.versions()
    names = (*_PACKAGES, *(name for name in versions if name.startswith(backend)))
    return {
        "kseq": __version__,
        "code": code_digest(),
        "versions": {name: versions[name] for name in names if name in versions},
        "backend": backend,
        "device": backends.device_in_use(backend),
        "floatx": keras.config.floatx(),
        "kernels": _dispatch.policy(),
    }


def environment() -> dict[str, str]:
    """Return the variables that a worker must have."""
    return {name: os.environ[name] for name in _VARIABLES if name in os.environ}


@functools.cache
def code_digest() -> str:
    """SHA-256 of the code of kseq by which networks are built and trained."""
    total, home = hashlib.sha256(), Path(__file__).parents[1]
    for part in _CODE:
        place = home / part
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            total.update(file.relative_to(home).as_posix().encode())
            total.update(file.read_bytes())
    return total.hexdigest()


def require_same(expected: Mapping[str, Any]) -> None:
    """Refuse to work where numbers may come out otherwise than where the work was asked for.

    Raises:
        BackendError: This process has another backend, device or version.
    """
    if not expected:
        return
    here = facts()
    for name, value in expected.items():
        if here.get(name) != value:
            raise BackendError(
                f"a worker on {os.uname().nodename if hasattr(os, 'uname') else 'this machine'} has {name} "
                f"{here.get(name)}, expected {value} as where the run was started; install the same versions on all "
                "workers."
            )
