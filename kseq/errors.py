"""Every error that kseq raises on purpose.

A message says what was received, what was expected and what to do. The command line prints it as one line and
exits with status 2; a script catches :class:`KseqError` for all of them.
"""

from collections.abc import Iterable
from pathlib import Path


class KseqError(Exception):
    """Base of the errors that a user can mend."""


class DataError(KseqError):
    """A series, a file or a column cannot be used as it is."""


class ConfigError(KseqError):
    """A setting is out of range or contradicts another one."""


class OutputError(ConfigError):
    """Results cannot be written where they belong.

    Args:
        message: says why, and where they are instead.
        files: paths of the files that hold them now; empty where there are none.
    """

    def __init__(self, message: str, files: Iterable[Path] = ()):
        super().__init__(message)
        self.files = list(files)


class BackendError(KseqError):
    """A Keras backend or a device is asked for that this machine does not have."""


class Unsupported(KseqError):
    """A kernel declines a layer's settings; the layer then runs Keras's own path.

    Args:
        reason: one short phrase, recorded with the result ("recurrent_dropout > 0").
    """

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason
