"""Which Keras backends and devices this machine has, and the choice of one before Keras is imported.

Keras reads ``KERAS_BACKEND`` once, at its import: :func:`choose` must run before that. No framework is imported here.
"""

import importlib.util
import json
import os
import platform
import subprocess
import sys
from importlib import metadata

from kseq.errors import BackendError, Parameter
from kseq.kernels import BACKENDS, load

DEVICES = ("cpu", "gpu")

#: Packages that may bring a backend, the usual one first.
_DISTRIBUTIONS = {"torch": ("torch",), "tensorflow": ("tensorflow", "tensorflow-cpu"), "jax": ("jax",)}

#: What keeps each framework off a GPU that is there; read by the framework when it is imported.
_CPU_ONLY = {"CUDA_VISIBLE_DEVICES": "-1", "KERAS_TORCH_DEVICE": "cpu", "JAX_PLATFORMS": "cpu"}

#: Start-up messages about instruction sets and plug-ins say nothing about a comparison.
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2"}


def installed() -> dict[str, str]:
    """Backends that can be imported, with their versions, in kseq's order of preference."""
    found = {}
    for backend in BACKENDS:
        if importlib.util.find_spec(backend) is None:
            continue
        for name in _DISTRIBUTIONS[backend]:
            try:
                found[backend] = metadata.version(name)
                break
            except metadata.PackageNotFoundError:
                continue
    return found


def choose(backend: str | None = None, device: str | None = None) -> str:
    """Set the backend and the device for this process, before Keras is imported.

    Args:
        backend: ``"torch"``, ``"tensorflow"`` or ``"jax"``; by default ``KERAS_BACKEND`` if set, else the first one
            installed.
        device: ``"cpu"`` keeps off a GPU, ``"gpu"`` insists on one; by default a GPU is used where there is one.

    Returns:
        str: the backend.

    Raises:
        BackendError: an unknown or missing backend, or a GPU that the backend does not see.
    """
    have = installed()
    backend = backend or os.environ.get("KERAS_BACKEND") or next(iter(have), None)
    if backend is None:
        raise BackendError(f"found no backend, expected one of {', '.join(BACKENDS)}; pip install 'kseq[torch]'.")
    if backend not in BACKENDS:
        raise BackendError(f"received backend {backend!r}, expected one of {', '.join(BACKENDS)}.")
    if backend not in have:
        also = f" (installed: {', '.join(have)})" if have else ""
        raise BackendError(f"backend {backend!r} is not installed{also}; pip install 'kseq[{backend}]'.")
    if device is not None and device not in DEVICES:
        raise BackendError(f"received device {device!r}, expected cpu or gpu.")
    if "keras" in sys.modules and os.environ.get("KERAS_BACKEND") != backend:
        raise BackendError(
            f"Keras already runs on {sys.modules['keras'].config.backend()!r} in this process; "
            f"set KERAS_BACKEND={backend} before it is imported."
        )
    os.environ["KERAS_BACKEND"] = backend
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if device == "cpu":
        os.environ.update(_CPU_ONLY)
    if device == "gpu" and not any(name != "cpu" for name in devices(backend)):
        raise BackendError(
            "received ",
            Parameter("device"),
            f" gpu, and {backend} sees no GPU here; use ",
            Parameter("device"),
            " cpu.",
        )
    return backend


def devices(backend: str) -> list[str]:
    """Devices that a backend sees in this process (imports the framework): ``["cpu"]``, ``["cpu", "NVIDIA ..."]``."""
    return load(backend).devices()


def device_in_use(backend: str) -> str:
    """The device that the backend computes on: its first GPU where it sees one, else ``"cpu"``."""
    return next((name for name in devices(backend) if name != "cpu"), "cpu")


def devices_elsewhere(backend: str) -> list[str]:
    """What :func:`devices` says, asked in a process of its own: several backends can be asked one after the other."""
    code = f"import json, kseq.backends as b; print(json.dumps(b.devices({backend!r})))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **_QUIET, "KERAS_BACKEND": backend},
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BackendError(f"backend {backend!r} is installed and cannot be imported ({last}); install it again.")
    return json.loads(done.stdout.strip().splitlines()[-1])


def running() -> str | None:
    """The backend that Keras runs on in this process; None before Keras is imported."""
    return sys.modules["keras"].config.backend() if "keras" in sys.modules else None


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a comparison's numbers."""
    packages = ("keras", *(name for names in _DISTRIBUTIONS.values() for name in names), "numba", "numpy", "pandas",
                "scipy", "statsmodels")  # fmt: skip
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
