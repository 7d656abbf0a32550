"""Kinds of results: which files each may have, and which of the files in a folder kseq wrote."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Names of the journal, and of its draft: which files of a hidden folder are to be moved, and which old ones removed.
JOURNAL, DRAFT = "journal.json", "draft.json"

#: Names of the files of all kinds. Of what a killed process left behind, only files of these names are removed.
KNOWN = {DRAFT}

#: Patterns of further names, which hold what a user has called something.
PATTERNS: list[re.Pattern[str]] = []


def is_known(name: str) -> bool:
    """Whether kseq writes files of this name."""
    return name in KNOWN or any(pattern.fullmatch(name) for pattern in PATTERNS)


@dataclass(frozen=True)
class Kind:
    """The files that results of one kind may have, and the record among them that lists what kseq wrote.

    Args:
        record: Name of the JSON file whose ``files`` lists the others.
        names: Names of all files that this kind may have, the record among them.
        earlier: Called with a record that kseq wrote before 0.2, without ``files``; returns the names of the
            files that it belongs to, or ``None`` for a record that kseq did not write. Defaults to a function that
            returns ``None``.
        pattern: Of further names, such as those that hold the name of a column. Defaults to none.
    """

    record: str
    names: tuple[str, ...]
    earlier: Callable[[Mapping[str, Any]], Sequence[str] | None] = field(default=lambda record: None)
    pattern: re.Pattern[str] | None = None

    def __post_init__(self) -> None:
        KNOWN.update(self.names)
        if self.pattern is not None and self.pattern not in PATTERNS:
            PATTERNS.append(self.pattern)

    def in_order(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of some names that this kind may have, in the order in which they are told; those of the pattern last.

        Args:
            names: Names of files.
        """
        given = list(dict.fromkeys(names))
        more = [name for name in given if self.pattern is not None and self.pattern.fullmatch(name)]
        return (*(name for name in self.names if name in given), *(name for name in more if name not in self.names))

    def read(self, folder: Path) -> dict[str, Any]:
        """Return the record in a folder; empty where there is none that is valid JSON."""
        try:
            record = json.loads((folder / self.record).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return record if isinstance(record, dict) else {}

    def listed(self, folder: Path) -> tuple[str, ...]:
        """Return the names of the files in a folder that kseq wrote, as its record says."""
        record = self.read(folder)
        files, written_by = record.get("files"), record.get("written_by")
        if not (isinstance(written_by, str) and written_by.startswith("kseq ") and isinstance(files, list)):
            files = self.earlier(record) or []
        if not files:
            return ()
        # Whatever a record says, nothing but a file of a name that kseq writes can be kseq's.
        names = [name for name in (*files, self.record) if isinstance(name, str)]
        return tuple(name for name in self.in_order(names) if is_file(folder / name))


def is_file(path: Path) -> bool:
    return path.is_symlink() or path.is_file()
