"""The comparison as text: aligned for a terminal, Markdown, CSV or JSON; a verdict stands under the first two."""

import html
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from kseq.evaluation.metrics import ALL_METRICS
from kseq.evaluation.rows import best_baseline
from kseq.storage.csv_text import csv_text
from kseq.text import DASH, decimals_for, figure, visible

if TYPE_CHECKING:
    from kseq.comparison.tables import Tables

FORMATS = ("table", "markdown", "latex", "csv", "json")

#: Columns of a terminal that sentences take.
WIDTH = 100

#: Heads of the columns of what cells may have of their own, where they have.
OWN_SETTINGS = {
    "num_layers": "layers", "lookback": "lookback", "dropout": "dropout", "learning_rate": "learning rate",
    "weight_decay": "weight decay", "transform": "transform", "trials": "trials",
}  # fmt: skip


def render(comparison: "Tables", style: str = "table") -> str:
    """Write the table out.

    Args:
        comparison: The result.
        style: ``"table"`` (aligned, for a terminal) or ``"markdown"``, both with the verdict under the table;
            ``"latex"``, a table for the package booktabs; ``"csv"`` or ``"json"``: all columns, numbers in full, and
            nothing else.

    Returns:
        str: Without a newline at the end.
    """
    if style == "csv":
        return csv_text(comparison.table).rstrip("\n")
    if style == "json":
        return as_json(comparison.table)
    shown, targets = shown_table(comparison), comparison.by_target
    if style == "latex":
        legend = _legend(comparison)[0]
        tables = [latex(shown, caption=f"{comparison.data.series.name}: {legend}")]
        tables += [latex(shown_of_target(one), caption=f"{one.data.series.name}: {legend}") for one in targets]
        return "\n\n".join(tables)
    write, mark = (markdown, "**") if style == "markdown" else (aligned, "")
    parts = [write(shown)]
    for one in targets:
        head = _marked(str(one.data.series.targets[0])) if mark else visible(one.data.series.targets[0])
        parts.append(f"{mark}Target {head}{mark}\n" + "\n" * bool(mark) + write(shown_of_target(one)))
    return "\n\n".join([*parts, words(comparison, style)])


def as_html(frame: pd.DataFrame, texts: Sequence[str], more: Mapping[str, pd.DataFrame] | None = None) -> str:
    """A frame, further ones with their heads, and sentences as a notebook shows them; names are text."""
    tables = [frame.to_html(index=False, border=0)]
    for head, one in (more or {}).items():
        tables.append(f"<p>{html.escape(visible(head))}</p>{one.to_html(index=False, border=0)}")
    points = "".join(f"<li>{html.escape(visible(text))}</li>" for text in texts)
    return f"{''.join(tables)}<ul>{points}</ul>"


def as_json(frame: pd.DataFrame) -> str:
    """A frame as a JSON list of records, numbers in full."""
    return json.dumps(json.loads(frame.to_json(orient="records", double_precision=15)), indent=2)


def words(comparison: "Tables", style: str = "table") -> str:
    """The verdict, what to beware of, and how to read the table.

    Args:
        comparison: The result.
        style: ``"markdown"``, or anything else for a terminal.

    Returns:
        str: Without a newline at the end.
    """
    parts = {"Verdict": comparison.verdict, "Beware": comparison.cautions, "Reading the table": _legend(comparison)}
    if style == "markdown":
        blocks = [
            [f"**{head}**", "", *(f"- {visible(text)}" for text in texts)] for head, texts in parts.items() if texts
        ]
    else:
        blocks = [[head, *map(_filled, texts)] for head, texts in parts.items() if texts]
    return "\n\n".join("\n".join(block) for block in blocks)


def _filled(text: str) -> str:
    return textwrap.fill(visible(text), WIDTH, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)


def _legend(comparison: "Tables") -> list[str]:
    """What head and ± stand for, as far as this table has them."""
    data, table = comparison.data, comparison.table
    seeds = table["seeds"][table["kind"] == "cell"]
    windows = f"{len(data.test_y)} test window{'s' * (len(data.test_y) > 1)}"
    texts = [f"Errors are over {windows}" + (f" of {data.horizon} steps" * (data.horizon > 1))]
    if (seeds > 1).any():
        span = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
        texts[0] += f", mean ± standard deviation over {span} seeds"
    texts[0] += "."
    if comparison.several:
        series = f"{len(set(data.test.series))} series"
        cells = any(row.kind == "cell" for row in comparison.rows)
        texts.append(
            (
                f"Each cell is one model for all {series}. Every number is the mean over series"
                if cells
                else f"Every number is the mean over {series}"
            )
            + " of that series' own number. MASE and RMSSE are errors in units of what repeating the "
            f"{'last value' if comparison.season == 1 else f'value {comparison.season} steps earlier'} misses in the "
            "same series."
        )
    texts.append(f"Rows are ranked, tested and told apart by {comparison.evidence.measure}.")
    if data.targets > 1:
        texts.append(f"The first table is the mean over {data.targets} targets; below it each stands by itself.")
    if comparison.folds:
        refitted = len(comparison.trainings) > 1
        trained = "anew for each" if refitted else "once, on what comes before the first"
        texts.append(f"Test windows are the folds of a backtest; all models were trained {trained}.")
    means = table["seeds"][table["kind"] == "ensemble"]
    if len(means):
        texts.append(
            f"x{means.max()} mean: the mean forecast of {means.max()} seeds, an ensemble that takes all their "
            "trainings and weights."
        )
    baseline = best_baseline(comparison.evidence.rows)
    if baseline is not None:
        measure = comparison.evidence.measure
        texts.append(f"skill: by how much the {measure} is below that of {baseline.name}, as a share.")
    noise = "seeds, of series and of the test period" if comparison.several else "seeds and of the test period"
    texts.append(f"group: rows that share a letter do not differ beyond the noise of {noise}.")
    texts.append("best?: rows of the model confidence set, one of which is the best one at 90 %.")
    return texts


def shown_table(comparison: "Tables") -> pd.DataFrame:
    """The table as a reader wants it: rounded text, mean ± standard deviation over seeds."""
    table = comparison.table
    unit = f", {comparison.data.series.unit}" if comparison.data.series.unit else ""
    heads = {"mae": f"MAE{unit}", "rmse": f"RMSE{unit}", "mape": "MAPE, %"}
    if comparison.several:
        heads = {"mase": "MASE", "rmsse": "RMSSE", **heads}
    # What ranks stands first.
    first = ALL_METRICS[comparison.measure]
    of_unit = {"target": unit, "%": ", %", "": ""}[first.unit]
    heads = {comparison.measure: f"{first.label}{of_unit}"} | heads
    shown = pd.DataFrame({"model": table["model"]})
    shown["parameters"] = [f"{p:,}" if p else DASH for p in table["parameters"]]
    if len(set(table["units"][table["kind"] == "cell"])) > 1 or "trials" in table:
        shown["units"] = [units or DASH for units in table["units"]]
    for name, head in OWN_SETTINGS.items():
        if name in table:
            shown[head] = [_setting(value) if value == value and cell else DASH
                           for value, cell in zip(table[name], table["kind"] == "cell", strict=True)]  # fmt: skip
    for metric, head in heads.items():
        decimals = decimals_for(table[metric], 2 if ALL_METRICS[metric].unit == "%" else 3)
        shown[head] = [
            _mean_and_spread(mean, spread, decimals)
            for mean, spread in zip(table[metric], table[f"{metric}_std"], strict=True)
        ]
    shown["skill"] = [_skill(skill) for skill in table["skill"]]
    shown["group"] = [group or DASH for group in table["group"]]
    shown["best?"] = ["yes" if best else DASH for best in table["may_be_best"]]
    if table["rank"].notna().any():
        shown["rank"] = [f"{rank:.2f}" if rank == rank else DASH for rank in table["rank"]]
    shown["epochs"] = [f"{e:.0f}" if e == e else DASH for e in table["epochs"]]
    shown["ms/epoch/seed"] = [f"{1000 * s:.1f}" if s == s else DASH for s in table["seconds_per_epoch_and_seed"]]
    return shown


def shown_of_target(comparison: "Tables") -> pd.DataFrame:
    """The table of one target of several, without what all targets have in common: sizes, epochs and times."""
    shown = shown_table(comparison)
    shared = {"parameters", "units", "epochs", "ms/epoch/seed", *OWN_SETTINGS.values()}
    return shown[[name for name in shown if name not in shared]]


def _setting(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _mean_and_spread(mean: float, spread: float, decimals: int | None) -> str:
    if mean != mean:
        return "n/a"
    text = figure(mean, decimals)
    return f"{text} ± {figure(spread, decimals)}" if spread == spread else text


def _skill(skill: float) -> str:
    if skill != skill:
        return DASH
    # No minus before a zero.
    return figure(round(skill, 3) + 0.0, sign=True) if abs(skill) < 1e4 else figure(skill, None, sign=True)


def markdown(shown: pd.DataFrame) -> str:
    """Text cells as a table in Markdown, the first column to the left, the others to the right."""
    head, *rows = ([_marked(cell) for cell in row] for row in (list(shown.columns), *shown.to_numpy().tolist()))
    lines = [head, ["---", *["---:"] * (shown.shape[1] - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _marked(cell: str) -> str:
    """A cell whose characters Markdown takes for text: none ends the cell, begins a link, or is markup."""
    return "".join(f"\\{character}" if character in "\\|<`*[" else character for character in visible(cell))


#: Characters that mean something to LaTeX, and what stands for each.
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "–": "--", "°": r"$^{\circ}$",
}  # fmt: skip
#: The sign of a negative number, which LaTeX would set as a hyphen.
_SIGN = re.compile(r"(?<![^ ])-(?=\d)")


def latex(shown: pd.DataFrame, caption: str) -> str:
    """Text cells as a LaTeX table with the rules of the package booktabs; groups are superscripts of the models.

    Args:
        shown: The table; a column ``group`` becomes letters behind the model's name.
        caption: Text under the table's head.

    Returns:
        str: A ``table`` environment, without a newline at the end.
    """
    shown = shown.copy()
    letters = shown.pop("group") if "group" in shown else pd.Series("", index=shown.index)
    names = [
        _tex(name) + (f"\\textsuperscript{{{_tex(own)}}}" if own not in ("", DASH) else "")
        for name, own in zip(shown.iloc[:, 0], letters, strict=True)
    ]
    lines = [
        " & ".join([name, *(_SIGN.sub("$-$", _tex(cell)) for cell in row)]) + r" \\"
        for name, row in zip(names, shown.iloc[:, 1:].to_numpy().tolist(), strict=True)
    ]
    note = " Rows that share a letter do not differ." if (letters != "").any() else ""
    return "\n".join([
        r"\begin{table}", r"\centering", f"\\caption{{{_tex(caption)}{note}}}",
        f"\\begin{{tabular}}{{l{'r' * (shown.shape[1] - 1)}}}", r"\toprule",
        " & ".join(_tex(head) for head in shown.columns) + r" \\", r"\midrule", *lines, r"\bottomrule",
        r"\end{tabular}", r"\end{table}",
    ])  # fmt: skip


def _tex(text: object) -> str:
    return "".join(_LATEX.get(character, character) for character in visible(text))


def aligned(shown: pd.DataFrame) -> str:
    """Text cells in columns for a terminal, the first to the left, the others to the right."""
    rows = [[visible(cell) for cell in row] for row in (list(shown.columns), *shown.to_numpy().tolist())]
    widths = [max(len(row[column]) for row in rows) for column in range(shown.shape[1])]

    def line(row: list[str]) -> str:
        first, *rest = row
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
        return "  ".join(cells).rstrip()

    return "\n".join([line(rows[0]), "  ".join("─" * width for width in widths), *map(line, rows[1:])])
