"""A run and its repetition, figure by figure: what differs, by how much, and what may explain it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kseq.experiments.reproduce import Recorded
from kseq.report.comparison import Comparison
from kseq.report.table import aligned
from kseq.storage import plain

#: What a record says of the place where the run was made.
PLACE = ("kseq", "backend", "device", "versions", "machine")

#: What it says of how a row was computed: beside timings, all that may differ while the figures are the same.
MEANS = ("kernel", "members_at_once")


@dataclass(frozen=True)
class Difference:
    """A figure that did not come out the same.

    Args:
        row: Row of the table.
        figure: Its name in the record: ``mae[3]`` is that of the fourth seed that did not diverge.
        recorded: Its value in the record.
        repeated: Its value now; None where there is none.
    """

    row: str
    figure: str
    recorded: Any
    repeated: Any

    @property
    def size(self) -> float:
        """The difference as a share of the larger value; infinite where one of them is no number."""
        values = (self.recorded, self.repeated)
        if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
            return math.inf
        return abs(self.recorded - self.repeated) / max(map(abs, values))


class Agreement:
    """How far a run that was made again agrees with its record.

    Every figure of every row of the record is compared exactly: all metrics of all seeds, epochs, weights, skill,
    groups and intervals. Timings are not.

    Args:
        run: The record.
        comparison: The run made again.
    """

    def __init__(self, run: Recorded, comparison: Comparison):
        before, now = run.record, plain(comparison.record)
        rows_now = {model["name"]: model for model in now["models"]}
        rows_before = {model["name"]: model for model in before["models"]}
        self.changes = [*_changes(before, now, PLACE), *_other_sources(before, now)]
        self.unmatched = sorted(rows_before.keys() ^ rows_now.keys())
        self.differences: list[Difference] = []
        self._figures: dict[str, int] = {}
        means: dict[str, list[str]] = {}
        for name in [name for name in rows_before if name in rows_now]:
            figures, again = _figures(rows_before[name]), _figures(rows_now[name])
            self._figures[name] = len(figures)
            self.differences += [
                Difference(name, figure, value, again.get(figure))
                for figure, value in figures.items()
                if figure not in again or again[figure] != value
            ]
            for change in _changes(rows_before[name], rows_now[name], MEANS):
                means.setdefault(change, []).append(name)
        self.changes += [f"{change} ({', '.join(names)})" for change, names in means.items()]

    @property
    def identical(self) -> bool:
        """Whether every figure of every row came out the same, bit for bit."""
        return not self.differences and not self.unmatched

    @property
    def largest(self) -> Difference | None:
        """The difference that is the largest share of its figure; of numbers, where some are numbers."""
        numbers = [difference for difference in self.differences if math.isfinite(difference.size)]
        return max(numbers or self.differences, key=lambda difference: difference.size, default=None)

    @property
    def table(self) -> pd.DataFrame:
        """One line a row of the table: ``model``, ``figures``, ``identical`` (how many), ``largest`` (difference)."""
        lines = []
        for name, count in self._figures.items():
            sizes = [difference.size for difference in self.differences if difference.row == name]
            lines.append({"model": name, "figures": count, "identical": count - len(sizes),
                          "largest": max(sizes, default=0.0)})  # fmt: skip
        return pd.DataFrame(lines, columns=["model", "figures", "identical", "largest"])


def _changes(before: Mapping, now: Mapping, parts: Sequence[str]) -> Iterator[str]:
    """Describe differences of the environment that the record tells: ``"numpy 2.3.1 there, 2.4.0 here"``."""
    for part in parts:
        if part not in before:
            continue
        there, here = dict(_leaves(before[part], part)), dict(_leaves(now[part], part))
        for key in dict.fromkeys([*there, *here]):
            if there.get(key) != here.get(key):
                name = key.rpartition(".")[2]
                yield f"{name} {there.get(key, 'none')} there, {here.get(key, 'none')} here"


def _other_sources(before: Mapping, now: Mapping) -> Iterator[str]:
    """Name the user's functions whose code has changed."""
    for name, there in before["settings"].get("own", {}).items():
        here = now["settings"]["own"][name]
        for what, short in (("function", slice(None)), ("sha256", slice(12)), ("about", slice(None))):
            if there.get(what, "") != here[what]:
                called = {"sha256": "source", "about": "parameters"}.get(what, what)
                yield f"{called} of {name} {there.get(what, '')[short] or 'unknown'} there, {here[what][short]} here"


def _figures(model: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of a row that are compared, by names such as ``mae[0]`` and ``intervals.95.coverage``."""
    kept = {key: value for key, value in model.items() if key not in ("name", *MEANS) and "seconds" not in key}
    return dict(_leaves(kept, ""))


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{name}[{number}]")
    else:
        yield name, value


def agreement_text(agreement: Agreement) -> str:
    """A line on each row, what is another here, and what it comes to."""
    table = agreement.table
    shown = table.assign(
        identical=[
            "all" if same == count else f"{same}"
            for same, count in zip(table["identical"], table["figures"], strict=True)
        ],
        largest=["–" if size == 0 else f"{size:.1e}" for size in table["largest"]],
    )
    shown = shown.rename(columns={"identical": "bit for bit", "largest": "largest relative difference"}).astype(str)
    return "\n\n".join([aligned(shown), *_not_as_in_the_run(agreement), _result(agreement)])


def _not_as_in_the_run(agreement: Agreement) -> list[str]:
    if not agreement.changes:
        return []
    return ["\n".join(["Not as in the run", *(f"  - {change}" for change in agreement.changes)])]


def _result(agreement: Agreement) -> str:
    total = int(agreement.table["figures"].sum())
    if agreement.identical:
        return f"Identical: all {total:,} figures of {len(agreement.table)} rows, bit for bit."
    sentences = ["Not identical:"]
    if agreement.unmatched:
        sentences.append(f"{', '.join(agreement.unmatched)} on one side alone.")
    largest = agreement.largest
    if largest is not None:
        sentences.append(
            f"{len(agreement.differences):,} of {total:,} figures differ, the most {largest.figure} of {largest.row}: "
            f"{largest.recorded} in the record, {largest.repeated} now."
        )
    return " ".join(sentences)
