"""Which Keras backends and devices this machine has, and the choice of one before Keras is imported; their versions.

Keras reads ``KERAS_BACKEND`` once, at its import: :func:`choose` must run before that. No framework is imported here.
"""

import contextlib
import importlib.util
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from kseq import startup
from kseq.errors import BackendError, Parameter
from kseq.imports import wrap_import
from kseq.kernels import BACKENDS, load
from kseq.naming import hint

DEVICES = ("cpu", "gpu")

#: Packages that may bring a backend, the usual one first.
_DISTRIBUTIONS = {"torch": ("torch",), "tensorflow": ("tensorflow", "tensorflow-cpu"), "jax": ("jax",)}

#: What keeps each framework off a GPU that is there; read by the framework when it is imported.
_CPU_ONLY = {"CUDA_VISIBLE_DEVICES": "-1", "KERAS_TORCH_DEVICE": "cpu", "JAX_PLATFORMS": "cpu"}

#: Start-up messages about instruction sets and plug-ins say nothing about a comparison. A user's own value counts.
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "GLOG_minloglevel": "2", "ABSL_MIN_LOG_LEVEL": "2"}

#: Variables by which a user sets the threads of NumPy, of the frameworks and of kseq's own kernel.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "KSEQ_NUM_THREADS")


def installed() -> dict[str, str]:
    """Backends that can be imported, with their versions, in kseq's order of preference."""
    # What reads versions brings the parts of the standard library that read mail: some hundredths of a second.
    from importlib import metadata

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

    Raises:
        BackendError: An unknown or missing backend, or a GPU that the backend does not see.
    """
    have = installed()
    backend = backend or os.environ.get("KERAS_BACKEND") or next(iter(have), None)
    if backend is None:
        raise BackendError(f"found no backend, expected one of {', '.join(BACKENDS)}; pip install 'kseq[torch]'.")
    if backend not in BACKENDS:
        raise BackendError(
            f"received backend {backend!r}, expected one of {', '.join(BACKENDS)}{hint(backend, BACKENDS) or '.'}"
        )
    if backend not in have:
        also = f" (installed: {', '.join(have)})" if have else ""
        raise BackendError(f"backend {backend!r} is not installed{also}; pip install 'kseq[{backend}]'.")
    if device is not None and device not in DEVICES:
        raise BackendError(f"received device {device!r}, expected cpu or gpu{hint(device, DEVICES) or '.'}")
    if "keras" in sys.modules and os.environ.get("KERAS_BACKEND") != backend:
        raise BackendError(
            f"Keras already runs on {sys.modules['keras'].config.backend()!r} in this process; "
            f"set KERAS_BACKEND={backend} before it is imported."
        )
    os.environ["KERAS_BACKEND"] = backend
    start_quietly(backend)
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


def start_quietly(backend: str) -> None:
    """Have a framework say nothing of instruction sets and plug-ins when it is imported, which it is not yet.

    Args:
        backend: One of the backends; :func:`choose` does it for the one that Keras runs on.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if backend == "tensorflow" and os.environ["TF_CPP_MIN_LOG_LEVEL"] not in ("0", "1"):
        wrap_import("tensorflow", _stderr_aside)


@contextlib.contextmanager
def _stderr_aside() -> Iterator[None]:
    """Keep what is written to file descriptor 2 in a temporary file; write it out after all if an error comes.

    TensorFlow's shared libraries write to it while they are loaded, before they have read any setting: since 2.21 no
    environment variable keeps them from it.
    """
    try:
        saved = os.dup(2)
    except OSError:
        # There is no standard error that anything could be written to.
        yield
        return
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            if failed:
                file.seek(0)
                os.write(2, file.read())


def devices(backend: str) -> list[str]:
    """Devices that a backend sees in this process (imports the framework): ``["cpu"]``, ``["cpu", "NVIDIA ..."]``."""
    return load(backend).devices()


def device_in_use(backend: str) -> str:
    """The device that the backend computes on: its first GPU where it sees one, else ``"cpu"``."""
    return next((name for name in devices(backend) if name != "cpu"), "cpu")


def devices_elsewhere(backend: str) -> list[str]:
    """What :func:`devices` says, asked in a process of its own: several backends can be asked one after the other."""
    import json
    import subprocess

    done = subprocess.run(
        startup.command(f"import json, kseq.backends as b; print(json.dumps(b.devices({backend!r})))"),
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
    from importlib import metadata

    packages = ("keras", *(name for names in _DISTRIBUTIONS.values() for name in names), "numba", "numpy", "pandas",
                "scipy", "statsmodels")  # fmt: skip
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Describe the machine: processor, number of cores, system, and threads where the user has set them."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": {name: os.environ[name] for name in THREADS if name in os.environ},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
