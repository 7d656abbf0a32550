"""Pages of a folder that are made again from the files in it."""

import warnings
from collections.abc import Mapping
from pathlib import Path

from kseq import storage
from kseq.errors import ConfigError
from kseq.report.run_folder import KINDS, Tell, folder
from kseq.storage import Folder


def write_pages(opened: Folder, pages: Mapping[str, str]) -> list[Path]:
    """Put pages that were made again into a folder, beside all that is there.

    Raises:
        OutputError: They cannot be written.
    """
    record = opened.record
    listed = list(opened.kind.in_order([*opened.listed, *pages, opened.kind.record]))
    contents = {name: page.encode() for name, page in pages.items()}
    contents[opened.kind.record] = storage.to_json({**record, "files": listed}).encode()
    try:
        opened.write(contents, [name for name in opened.listed if name != opened.kind.record])
    except OSError as error:
        raise storage.not_written(opened.path, error) from error
    return [opened.path / name for name in pages]


def refresh(path: Path, tell: Tell | None = None) -> list[Path]:
    """Make the page of the run in a folder again, once an explanation was written beside it.

    Args:
        path: Of the folder, which nobody writes into.
        tell: Called with a sentence where the page cannot be made; a warning by default.

    Returns:
        list[Path]: The page; empty where the folder holds no run, or a page cannot be made of it.
    """
    if not (path / KINDS["run"].record).is_file():
        return []
    from kseq.report.html.pages import PAGES, of_folder

    _, name, _ = PAGES["run"]
    try:
        with folder(path) as opened:
            return write_pages(opened, {name: of_folder(path)[name]}) if opened.listed else []
    except ConfigError as error:
        text = f"{name} cannot be made again ({error}); all other files are written."
        if tell is None:
            warnings.warn(text, UserWarning, stacklevel=3)
        else:
            tell(text)
        return []
