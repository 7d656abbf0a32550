"""How loops are compiled, and for how long their machine code is kept on disk: until a file of this folder changes."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.extending import register_jitable

#: All that loops are made of. Numba looks at a loop's own file alone, and would go on with old code of what it calls.
SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()

#: For what loops call. Unlike ``njit``, it compiles one version for ``f(0)`` and ``f(n)``. It is kept on disk as a part
#: of the loops alone: kept by itself, its code would outlive changes of what it calls.
part = register_jitable(nogil=True, error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=True)


def compiled(loop: Callable) -> Any:
    """Compile a loop when it is called: without the interpreter's lock, and kept on disk."""
    made = numba.njit(nogil=True, cache=True, error_model="numpy", no_cfunc_wrapper=True)(loop)
    kept = getattr(made._cache, "_cache_file", None)
    if kept is not None:
        kept._source_stamp = kept._source_stamp, SOURCES
    return made
