"""How far a run made again agrees with its record, as text."""

from typing import TYPE_CHECKING

from kseq.report.table import aligned

if TYPE_CHECKING:
    from kseq.experiments.agreement import Agreement


def agreement_text(agreement: "Agreement") -> str:
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
    return "\n\n".join([aligned(shown), *_changes(agreement), _result(agreement)])


def _changes(agreement: "Agreement") -> list[str]:
    if not agreement.changes:
        return []
    return ["\n".join(["Not as in the run", *(f"  - {change}" for change in agreement.changes)])]


def _result(agreement: "Agreement") -> str:
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
