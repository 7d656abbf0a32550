"""Functions of a user's own on their way to another process.

Pickle names a function by its module, which the other process may not find: a file of the current folder, or a script.
Such a module is loaded there from its file; what has no name at all is sent by cloudpickle, where that is installed.
"""

import importlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kseq.errors import ConfigError


def packed(make: Any, name: str, file: Path | None) -> tuple[str, Any]:
    """Make a function or a regressor ready to be sent.

    Args:
        make: The function or the regressor.
        name: Of its row, for the message.
        file: The file that holds its code; None where there is none.

    Returns:
        How :func:`unpacked` is to take it, and what it takes.

    Raises:
        ConfigError: It cannot be sent.
    """
    module = getattr(make, "__module__", None)
    path = getattr(make, "__qualname__", "")
    if file is not None and path and "<" not in path and module not in (None, "__main__"):
        return "file", (module, path, str(file.resolve()))
    try:
        import cloudpickle

        return "value", cloudpickle.dumps(make)
    except ModuleNotFoundError:
        try:
            return "value", pickle.dumps(make)
        except Exception as error:
            raise ConfigError(
                f"{name!r} cannot be sent to another process ({error}); put its function into a module of its own, or "
                "pip install cloudpickle."
            ) from error


def unpacked(how: str, given: Any, load: Callable[[Path], Any]) -> Any:
    """Take what :func:`packed` has made.

    Args:
        how: As :func:`packed` says.
        given: What it has made.
        load: Loads the module of a file.

    Raises:
        ConfigError: Its module is not here.
    """
    if how == "value":
        return pickle.loads(given)
    module, path, file = given
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        if not Path(file).is_file():
            raise ConfigError(
                f"received a function of {module}, and neither that module nor {file} is on this worker; install the "
                "module there, or put the file where workers find it."
            ) from error
        found = load(Path(file))
    for part in path.split("."):
        found = getattr(found, part)
    return found
