"""Kinds of results: which files each may have, and which of the files in a folder kseq wrote."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Names of the journal, and of its draft: which files of a hidden folder are to be moved, and which old ones removed.
JOURNAL, DRAFT = "journal.json", "draft.json"

#: Names of the files of all kinds. Of what a killed process left behind, only files of these names are removed.
KNOWN = {DRAFT}


@dataclass(frozen=True)
class Kind:
    """The files that results of one kind may have, and the record among them that lists what kseq wrote.

    Args:
        record (str): Name of the JSON file whose ``files`` lists the others.
        names (tuple[str, ...]): Names of all files that this kind may have, the record among them.
        earlier (Callable): Called with a record that kseq wrote before 0.2, without ``files``; returns the names of the
            files that it belongs to, or ``None`` for a record that kseq did not write. Defaults to a function that
            returns ``None``.
    """

    record: str
    names: tuple[str, ...]
    earlier: Callable[[Mapping[str, Any]], Sequence[str] | None] = field(default=lambda record: None)

    def __post_init__(self) -> None:
        KNOWN.update(self.names)

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
        return tuple(name for name in self.names if name in (*files, self.record) and is_file(folder / name))


def is_file(path: Path) -> bool:
    return path.is_symlink() or path.is_file()
