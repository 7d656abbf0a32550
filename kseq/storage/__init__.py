"""Files on disk: results are written whole or not at all, and never over a user's files.

``folders`` writes folders of results, each of a :class:`Kind`, and ``files`` writes single files.
``regular`` reads regular files only, ``csv_text`` makes CSV text, and ``schemas`` check the JSON that kseq reads back;
import these three modules by name, as they bring pandas or msgspec.
"""

from kseq.storage._disk import Disk, disk
from kseq.storage._journal import HIDDEN, JOURNAL, settle
from kseq.storage._json import plain, to_json
from kseq.storage._kinds import Kind
from kseq.storage._places import remove_empty, require_other
from kseq.storage.files import file, replacing, write_bytes, write_file
from kseq.storage.folders import Folder, folder, not_written

__all__ = [
    "HIDDEN",
    "JOURNAL",
    "Disk",
    "Folder",
    "Kind",
    "disk",
    "file",
    "folder",
    "not_written",
    "plain",
    "remove_empty",
    "replacing",
    "require_other",
    "settle",
    "to_json",
    "write_bytes",
    "write_file",
]
