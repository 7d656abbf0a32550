"""The machine that numbers were made on: what decides their speed and their last bits, besides backend and versions."""

import os
import platform
from typing import Any

#: Variables by which a user sets the threads of NumPy, of the frameworks and of kseq's own kernel.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "KSEQ_NUM_THREADS")


def machine() -> dict[str, Any]:
    """Describe processor, number of cores, system, and threads where the user has set them."""
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
