"""Run the commands and scripts of the pages, and write what they print and draw into the pages.

    python docs/make.py                        all pages, in some minutes
    python docs/make.py docs/start.md ...      these pages
    python docs/make.py --check docs/start.md  say what differs, write nothing

A page is Markdown. Its blocks run in order, in one empty folder a page:

- ```` ```console ````: lines that begin with ``$ kseq`` are commands, the lines under each its output;
- ```` ```python ````: a script; the scripts of a page share their names. A ```` ```text ```` block right after it holds
  what it prints.

Blocks in other languages are not run. A comment right before a block says how to run it::

    <!-- block
    show: Verdict|tie          # lines of the output to show, a regular expression; "..." stands for those between
    status: 2                  # exit status of the last command, otherwise 0
    picture: run/comparison.png flat.png   # file of the run, and its name under docs/pictures; more pairs may follow
    slow                       # over 20 s: run by `tox -e examples`
    loose                      # its numbers are a machine's own, and are not compared
    -->

markdown-it, which comes with rich, finds the blocks. Sybil and pytest-markdown-docs run such blocks and cannot write
outputs, and pytest-examples writes what Python prints but knows no commands.
"""

import argparse
import contextlib
import difflib
import io
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

DOCS = Path(__file__).resolve().parent
README = DOCS.parent / "README.md"
PICTURES = DOCS / "pictures"
#: Stands for output lines that a page leaves out.
GAP = "..."
#: Status of a command that was told to stop.
STOPPED = 130
_KEYS = {"show", "status", "picture", "slow", "loose"}


@dataclass
class Block:
    """A block of a page that is run.

    Attributes:
        language: ``"console"`` or ``"python"``.
        text: Its text in the page.
        output: What the page shows as its output: commands and their lines, or the text of the block after a script.
        lines: First line of what is written anew and the line after its last, counted from 0; None if nothing is.
        directives: What the comment before it says.
        where: Page and line, for messages.
    """

    language: str
    text: str
    output: str
    lines: tuple[int, int] | None
    directives: dict[str, str]
    where: str

    @property
    def slow(self) -> bool:
        """Whether it takes more than some 20 seconds."""
        return "slow" in self.directives


@dataclass
class Session:
    """What the blocks of a page share."""

    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "docs"})


def pages() -> list[Path]:
    """Return every page that has blocks to run, the README first."""
    return [page for page in (README, *sorted(DOCS.rglob("*.md"))) if blocks(page)]


def blocks(page: Path) -> list[Block]:
    """Read the blocks of a page.

    Args:
        page: A Markdown file.

    Returns:
        list[Block]: In the order of the page.

    Raises:
        ValueError: A comment before a block holds a key that is not known.
    """
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    found = []
    for index, token in enumerate(tokens):
        language = token.info.strip()
        if token.type != "fence" or language not in ("console", "python"):
            continue
        directives = _directives(tokens[index - 1].content) if index and tokens[index - 1].type == "html_block" else {}
        where = f"{page.name}:{token.map[0] + 1}"
        unknown = set(directives) - _KEYS
        if unknown:
            raise ValueError(f"{where}: received {', '.join(sorted(unknown))}; expected {', '.join(sorted(_KEYS))}.")
        lines, output = (token.map[0] + 1, token.map[1] - 1), token.content
        if language == "python":
            after = tokens[index + 1] if index + 1 < len(tokens) else None
            shown = after is not None and after.type == "fence" and after.info.strip() == "text"
            lines = (after.map[0] + 1, after.map[1] - 1) if shown else None
            output = after.content if shown else ""
        found.append(Block(language, token.content, output, lines, directives, where))
    return found


def _directives(comment: str) -> dict[str, str]:
    match = re.fullmatch(r"<!-- block\n(.*?)-->\s*", comment, flags=re.DOTALL)
    if match is None:
        return {}
    pairs = (line.partition(":") for line in match[1].splitlines() if line.strip())
    return {key.strip(): value.strip() for key, _, value in pairs}


def run(block: Block, session: Session) -> str:
    """Run a block in the current folder.

    Args:
        block: The block.
        session: Names that scripts of the page share; the block may add to them.

    Returns:
        str: The output as a page shows it.

    Raises:
        RuntimeError: A command ends with another status than the page says.
    """
    if block.language == "python":
        with _output() as printed:
            exec(compile(block.text, block.where, "exec"), session.names)
        return shown(printed.getvalue(), block.directives.get("show"))
    parts = []
    commands = [line for line in block.text.splitlines() if line.startswith("$ ")]
    for number, line in enumerate(commands, 1):
        with _output() as printed:
            status = _kseq(shlex.split(line[2:]))
        expected = int(block.directives.get("status", 0)) if number == len(commands) else 0
        if status == STOPPED:
            raise KeyboardInterrupt
        if status != expected:
            raise RuntimeError(f"{block.where}: {line}\nstatus {status}, expected {expected}:\n{printed.getvalue()}")
        parts.append(f"{line}\n{shown(printed.getvalue(), block.directives.get('show'))}")
    return "".join(parts)


def _kseq(words: list[str]) -> int:
    from kseq.cli import main

    if words[0] != "kseq":
        raise ValueError(f"received the command {words[0]!r}; pages run kseq alone.")
    # Progress goes to standard error and is no output; what a command refuses is.
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        status = main(words[1:])
    if status:
        print(*(line for line in errors.getvalue().splitlines() if line.startswith("kseq:")), sep="\n")
    return status


@contextlib.contextmanager
def _output() -> Iterator[io.StringIO]:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        yield printed


def shown(output: str, pattern: str | None) -> str:
    """Leave the lines of an output that match a pattern, with ``...`` for those between.

    Args:
        output: What was printed.
        pattern: Regular expression that is searched in each line; None for all lines. A line that continues a point of
            a list belongs to it.

    Returns:
        str: Lines without blanks at their ends.
    """
    lines = [line.rstrip() for line in output.strip("\n").splitlines()]
    if pattern is None:
        return "".join(f"{line}\n" for line in lines)
    kept, skipped, inside = [], False, False
    for line in lines:
        continued = inside and line.startswith("    ") and not line.lstrip().startswith("- ")
        inside = continued or re.search(pattern, line) is not None
        if inside:
            kept += [GAP] * skipped
            kept.append(line)
        skipped = not inside
    return "".join(f"{line}\n" for line in [*kept, *([GAP] if skipped else [])])


_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
_SPREAD = re.compile(r" \(\d[\d,.]* to \d[\d,.]*\)")
_TIME = re.compile(r"\d[\d,.]*(?: ± \d[\d,.]*)? ?(?:ms|s|min|h|MB|GB)\b")


def differences(expected: str, received: str, loose: bool = False) -> list[str]:
    """Compare two outputs: words exactly, numbers nearly, times not at all.

    Another processor may change the last digit that is shown, and which seeds reach a threshold: how far seeds spread
    around a number, ``30 (30 to 100)``, is not compared. Times are a machine's own.

    Args:
        expected: What a page shows.
        received: What was printed now.
        loose: Whether to compare words alone.

    Returns:
        list[str]: Lines of a diff; none if the outputs agree.
    """
    old, new = ([_plain(line) for line in _untimed(text)] for text in (expected, received))
    same = len(old) == len(new) and all(
        a[0] == b[0] and (loose or all(map(_near, a[1], b[1]))) for a, b in zip(old, new, strict=True)
    )
    return (
        [] if same else list(difflib.unified_diff(expected.splitlines(), received.splitlines(), "page", "run", "", ""))
    )


def _untimed(text: str) -> list[str]:
    """Take away times, the column of times and the lines that rule a table."""
    lines, timed = [], False
    for line in text.splitlines():
        timed = (timed or "ms/epoch" in line) and bool(line.strip())
        if set(line) <= set("─ "):
            continue
        if _TIME.search(line):
            # Whether one time is longer than another is the machine's, too.
            line = re.sub(r"\b(yes|NO|no difference seen)$", "", _TIME.sub("<time>", line))
        lines.append(re.sub(r"\S+$", "", line) if timed else line)
    return lines


def _plain(line: str) -> tuple[str, list[str]]:
    line = _SPREAD.sub("", line)
    return " ".join(_NUMBER.sub("#", line).split()), _NUMBER.findall(line)


def _near(old: str, new: str) -> bool:
    a, b = (float(text.replace(",", "")) for text in (old, new))
    unit = 10.0 ** -len(old.partition(".")[2].partition("e")[0])
    return abs(a - b) <= max(2 * unit if "." in old else 0, 0.05 * abs(a))


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Work in an empty folder."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        try:
            yield Path(name)
        finally:
            os.chdir(before)


def make(page: Path, check: bool = False) -> list[str]:
    """Run a page and write its outputs and pictures.

    Args:
        page: A Markdown file.
        check: Whether to write nothing.

    Returns:
        list[str]: Where outputs differ from those of the page, as lines of diffs, and what failed.
    """
    lines = page.read_text(encoding="utf-8").splitlines()
    found, session, changed = blocks(page), Session(), []
    outputs = []
    with folder():
        for block in found:
            print(f"{block.where}: {block.text.splitlines()[0]}", file=sys.stderr)
            try:
                outputs.append(run(block, session))
            except Exception as error:
                # The other outputs are worth keeping: a page takes a minute.
                changed.append(f"{block.where}: {type(error).__name__}: {error}")
                outputs.append(block.output)
                continue
            if block.lines is not None:
                changed += differences(block.output, outputs[-1], "loose" in block.directives)
            if "picture" in block.directives and not check:
                words = block.directives["picture"].split()
                PICTURES.mkdir(exist_ok=True)
                try:
                    for source, name in zip(words[::2], words[1::2], strict=True):
                        shutil.copyfile(source, PICTURES / name)
                except FileNotFoundError as error:
                    changed.append(f"{block.where}: {type(error).__name__}: {error}")
            if not check:
                # After each block, so that what is stopped keeps what was done.
                _write(page, lines, found, outputs)
    return changed


def _write(page: Path, lines: list[str], found: list[Block], outputs: list[str]) -> None:
    """Write a page with the outputs of its first blocks."""
    lines = list(lines)
    for block, output in reversed(list(zip(found, outputs, strict=False))):
        if block.lines is not None:
            first, end = block.lines
            lines[first:end] = output.splitlines()
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    """Make pages."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pages", nargs="*", type=Path, help="Markdown files [default: all]")
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 where an output differs")
    options = parser.parse_args()
    changed = [line for page in options.pages or pages() for line in make(page.resolve(), options.check)]
    print("\n".join(changed) or "nothing differs")
    return int(bool(changed) and (options.check or any("Error: " in line for line in changed)))


if __name__ == "__main__":
    sys.exit(main())
