"""Weights of a network out of the HDF5 file in a ``.keras`` file: those that its plan names, and nothing else."""

import io
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kseq.forecasting._archive import Refused
from kseq.forecasting._network import Plan, shown

if TYPE_CHECKING:
    import h5py

#: What h5py raises of damaged files; it has no class of its own.
_DAMAGE = (
    OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, IndexError, MemoryError, OverflowError,
)  # fmt: skip


def read_weights(content: bytes, plan: Plan, name: str) -> list[np.ndarray]:
    """Read the arrays of a network out of an HDF5 file.

    Args:
        content: The file.
        plan: Says which arrays of which shapes there are; the file must hold these and no others.
        name: Name of the file, for messages.

    Returns:
        float32 arrays, in the order of ``keras.Model.weights``.

    Raises:
        Refused: The file is damaged, holds other arrays, or keeps one elsewhere: in a link, another file or a virtual
            dataset; or a number is not finite.
    """
    import h5py

    expected = dict(plan.weights)
    groups = {parent for path in expected for parent in _parents(path)}
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            _require_objects(file, expected, groups)
            arrays = [file[path][()] for path in expected]
    except Refused as error:
        raise Refused(f"{name}: {error}") from error
    except _DAMAGE as error:
        text = " ".join(str(error).split())[:200]
        raise Refused(f"{name} is no HDF5, or damaged: {text}") from error
    for path, array in zip(expected, arrays, strict=True):
        lacking = int(array.size - np.isfinite(array).sum())
        if lacking:
            raise Refused(f"{name}: {lacking} of the {array.size} weights {path} are not finite")
    return arrays


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:stop]) for stop in range(1, len(parts)))


#: What the file holds beside weights: a group ``vars`` for each layer, and layers without weights.
_EMPTY = ("vars", "input_layer", "dropout", "average", "cell", "add")


def _require_objects(file: "h5py.File", expected: Mapping[str, tuple[int, ...]], groups: set[str]) -> None:
    """Refuse a file of other arrays than those that are expected, or that keeps one elsewhere."""
    import h5py

    seen, waiting = 0, [("", file)]
    while waiting:
        path, group = waiting.pop()
        for key in group:
            inner = f"{path}/{key}" if path else key
            kind = group.get(key, getclass=True, getlink=True)
            if kind is not h5py.HardLink:
                raise Refused(f"{shown(inner)} is a link ({kind.__name__}), expected an array")
            found = group[key]
            if isinstance(found, h5py.Group):
                if inner in groups:
                    waiting.append((inner, found))
                elif key.rstrip("0123456789_") not in _EMPTY:
                    raise Refused(f"there is a group {shown(inner)}, expected none")
                elif path.count("/") < DEPTH:
                    waiting.append((inner, found))
                else:
                    raise Refused(f"it is nested more than {DEPTH} levels deep")
                continue
            _require_dataset(found, inner, expected)
            seen += 1
    if seen != len(expected):
        raise Refused(f"there are {seen} arrays, expected {len(expected)}")


#: Levels of nested groups.
DEPTH = 16


def _require_dataset(found: Any, path: str, expected: Mapping[str, tuple[int, ...]]) -> None:
    import h5py

    if not isinstance(found, h5py.Dataset) or path not in expected:
        raise Refused(f"there is {shown(path)}, expected none of that name")
    if found.is_virtual or found.external:
        raise Refused(f"{path} is kept in other files, expected all weights in this one")
    if found.shape != expected[path] or found.dtype != np.dtype("<f4"):
        raise Refused(f"{path} is {found.dtype} of shape {shown(found.shape)}, expected float32 of {expected[path]}")
    stored = found.id.get_storage_size()
    if found.chunks is not None or stored != found.nbytes:
        raise Refused(f"{path} is stored in {stored} bytes, expected {found.nbytes} in one piece")
