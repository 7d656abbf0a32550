"""What the shell offers after TAB for an option's value; what is slow to import is imported only then."""

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

from kseq.backends import DEVICES
from kseq.cli.types import CommaList
from kseq.kernels import BACKENDS

#: What click asks for completions.
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def completes(names: Callable[[], Iterable[str]]) -> Completer:
    """Offer names; in a list with commas, those that are not in it yet."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        listed = isinstance(parameter.type, CommaList)
        before, comma, part = incomplete.rpartition(",") if listed else ("", "", incomplete)
        taken = before.split(",")
        return [CompletionItem(f"{before}{comma}{n}") for n in names() if n.startswith(part) and n not in taken]

    return complete


def _built_ins() -> Iterable[str]:
    from kseq.data import BUILT_INS

    return BUILT_INS


def _cells() -> Iterable[str]:
    from kseq.settings import CELL_NAMES

    return CELL_NAMES


def _baselines() -> Iterable[str]:
    from kseq.baselines import BASELINES

    return BASELINES


backends, devices = completes(lambda: BACKENDS), completes(lambda: DEVICES)
built_ins, cells, baselines = completes(_built_ins), completes(_cells), completes(_baselines)
