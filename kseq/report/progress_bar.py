"""How far a training is, for those who call from Python: a bar in a notebook, lines elsewhere.

The bar is HTML that IPython's display handle replaces in place. Those of rich and of tqdm need ipywidgets there;
where it is missing they leave a warning or a terminal's signs in the output.
"""

import html
import sys
import time
from typing import Any

from kseq.naming import checked_class
from kseq.text import visible
from kseq.training.progress import Block

#: Seconds between two drawings: more of them would fill a notebook's connection.
_REST = 0.2


@checked_class("kseq.ProgressBar")
class ProgressBar:
    """Shows what is trained; give it as ``progress``.

    In a notebook it is a bar with a line for each block of seeds that is done; elsewhere these lines are printed on
    standard error.

    Example:
        >>> kseq.compare("nino12", progress=kseq.ProgressBar())  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._done: list[str] = []
        self._now: tuple[str, int, int] | None = None
        self._drawn, self._handle = 0.0, None

    def __call__(self, what: str, epoch: int, epochs: int) -> None:
        """Show that ``what`` ("LSTM, seeds 0-4") has trained ``epoch`` of ``epochs``."""
        begun = self._now is None or self._now[0] != what
        self._now = (what, epoch, epochs)
        if begun or epoch == epochs or time.monotonic() - self._drawn > _REST:
            self._draw()

    def block_done(self, block: Block) -> None:
        """Show that a block of seeds is done."""
        shortest, longest = min(block.epochs), max(block.epochs)
        epochs = f"{longest}" if shortest == longest else f"{shortest}-{longest}"
        line = f"{block.what}: {epochs} epoch{'s' * (longest > 1)}, {block.seconds:.1f} s"
        self._done.append(line)
        self._now = None
        if _in_notebook():
            self._draw()
        else:
            print(visible(line), file=sys.stderr)

    def __repr__(self) -> str:
        now = "" if self._now is None else "{}: {} of {}".format(*self._now)
        return "\n".join(map(visible, [*self._done, *([now] if now else [])]))

    def _repr_html_(self) -> str:
        lines = [f"<div>{html.escape(visible(line))}</div>" for line in self._done]
        if self._now is not None:
            what, epoch, epochs = self._now
            text = f"{html.escape(visible(what))}: {epoch} of {epochs}"
            lines.append(f'<div><progress value="{epoch}" max="{epochs}"></progress> {text}</div>')
        return "".join(lines) or "<div></div>"

    def _draw(self) -> None:
        """Put the bar into the output of the cell that runs, in place of what it was."""
        if not _in_notebook():
            return
        from IPython.display import display

        self._drawn = time.monotonic()
        shown: Any = _Shown(self)
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)


class _Shown:
    """The bar as it is now."""

    def __init__(self, bar: ProgressBar):
        self._text, self._html = repr(bar), bar._repr_html_()

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._html


def _in_notebook() -> bool:
    """Whether a kernel of Jupyter runs this, not a terminal."""
    # A kernel has loaded IPython long since.
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None
