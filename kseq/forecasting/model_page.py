"""``MODEL.md`` beside a model's file: its data, errors, intervals and limits, for people.

The template engine is Jinja2, as of the pages of :mod:`kseq.report.html`. All that it prints is escaped for Markdown,
so that a name of a file or of a column is text, whatever it holds.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kseq._version import __version__
from kseq.evaluation.metrics import ALL_METRICS
from kseq.forecasting.card import ModelCard
from kseq.models.parameter_counts import layer_widths
from kseq.storage import write_file

#: Last line of a file that kseq has written, and may write again.
MARKER = "<!-- written by kseq fit -->"

#: What stands for something in Markdown or in HTML.
_MARKS = re.compile(r"([\\`*_\[\]<>#|~$&])")

#: Series that are named.
SHOWN = 8


class _Plain(str):
    """Text that is Markdown as it stands."""


def escaped(value: Any) -> str:
    r"""A value as text that Markdown shows as it is, in one line.

    Example:
        >>> escaped("a|b <i>")
        'a\\\\|b \\\\<i\\\\>'
    """
    if isinstance(value, _Plain):
        return str(value)
    text = "".join(letter if letter.isprintable() else " " for letter in str(value))
    return _MARKS.sub(r"\\\1", text)


def place_of(model: Path) -> Path:
    """Where the page of a model's file stands: ``MODEL.md`` beside it, or ``NAME-MODEL.md`` of another name."""
    return model.with_name("MODEL.md" if model.stem == "model" else f"{model.stem}-MODEL.md")


def write(card: ModelCard, parameters: int, model: Path) -> Path | None:
    """Write the page beside a model's file.

    Args:
        card: Card of the model.
        parameters: Weights of all its networks.
        model: The model's file.

    Returns:
        The page; None where a file stands there that kseq did not write, which is left alone.

    Raises:
        OutputError: It cannot be written.
    """
    path = place_of(model)
    if path.exists():
        try:
            own = path.read_text(encoding="utf-8").rstrip().endswith(MARKER)
        except (OSError, UnicodeDecodeError):
            own = False
        if not own:
            return None
    text = render(card, parameters, model.name)

    def put(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    return write_file(path, put)


def render(card: ModelCard, parameters: int, file: str) -> str:
    """Make the page of a model.

    Args:
        card: Card of the model.
        parameters: Weights of all its networks.
        file: Name of the model's file.
    """
    # Jinja2 is loaded once there is a page to make.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("kseq.forecasting", "."), autoescape=False, undefined=StrictUndefined, finalize=escaped,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["date"] = lambda value: str(value).removesuffix(" 00:00:00")
    # A list is escaped item by item, so that its commas stay.
    environment.filters["join"] = lambda values, mark: _Plain(mark.join(map(escaped, values)))
    context, settings = card.context, card.settings
    series = len(context.ids)
    return environment.get_template("MODEL.md.jinja").render(
        card=card, file=_Plain(_in_code(file)), version=_Plain(__version__), parameters=parameters, series=series,
        networks=len(card.seeds), targets=context.targets, columns=card.input_columns, ids=context.ids[:SHOWN],
        static=tuple(context.static.columns), kept=len(context), sentence=_Plain(_sentence(card)),
        layers=_Plain(_layers(card)), marker=_Plain(MARKER),
        transform=card.transform.label if card.transform else "none",
        versions=[f"{name} {version}" for name, version in card.versions.items()],
        chosen=_Plain(_chosen(card)), share=_Plain(f"{100 * settings['validation']:g}"),
        budget=[f"{name} {value}" for name, value in settings["training"].items() if value is not None],
        **_errors(card), **_intervals(card), limits=[_Plain(limit) for limit in _limits(card)],
    )  # fmt: skip


def _in_code(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _sentence(card: ModelCard) -> str:
    what = "one series" if len(card.context.ids) == 1 else f"each of {len(card.context.ids):,} series"
    return f"A recurrent network that forecasts {what}, trained by `kseq fit`."


def _layers(card: ModelCard) -> str:
    widths = layer_widths(card.settings["units"], card.settings["num_layers"])
    text = f"{len(widths)} layer{'s' * (len(widths) > 1)} of {', '.join(map(str, widths))} units"
    text += ", reading windows in both directions" * bool(card.settings["bidirectional"])
    return text + ", and a linear map of the window" * (card.settings.get("skip", "none") == "linear")


def _chosen(card: ModelCard) -> str:
    if not card.scores:
        return "All rows were trained on from the start."
    again = " It was then trained again on all rows, for as many gradient steps." if card.refitted else ""
    return f"The validation part told when to stop.{again}"


def _metric(card: ModelCard) -> Any:
    several = len(card.context.ids) > 1 or len(card.context.targets) > 1
    return ALL_METRICS[card.settings.get("metric") or ("mase" if several else "mae")]


def _rivals(card: ModelCard) -> list[str]:
    """Baselines that did better on the validation part."""
    return [name for name, score in card.scores.items() if score < card.scores[card.name]]


def _errors(card: ModelCard) -> dict[str, Any]:
    metric = _metric(card)
    unit = "" if metric.unit == "" else " %" if metric.unit == "%" else f" {card.context.unit}".rstrip()
    verdict = "It did better than the baselines beside it there."
    if card.scores and _rivals(card):
        verdict = f"**{' and '.join(map(escaped, _rivals(card)))} did better there:** ask `kseq compare` whether a " \
                  "network is worth while."  # fmt: skip
    names = {"MAE": "Mean absolute error", "MASE": "Mean absolute scaled error (MASE)"}
    return {
        "scores": [(name, f"{score:.4g}{unit}") for name, score in card.scores.items()],
        "metric": names.get(metric.label, metric.label),
        "metric_short": metric.label,
        "verdict": _Plain(verdict),
    }


def _intervals(card: ModelCard) -> dict[str, Any]:
    half, several = card.half_widths, len(card.context.ids) > 1
    unit = f" {card.context.unit}".rstrip()
    known = [level for level in card.settings["levels"] if half.reason(level) is None]
    widths = []
    for level in known:
        first = (half if card.moves is None else card.moves).at(level, 1)[0] * (1 if several else card.unit[0])
        widths.append((f"{level:g}", " and ".join(f"{width:.4g}{'' if several else unit}" for width in first)))
    reasons: Iterable[str | None] = (half.reason(level) for level in card.settings["levels"])
    return {
        "widths": widths,
        "errors": half.errors,
        "quantiles": card.moves is not None,
        "in_scale": _Plain(", in the scale of each series" * several),
        "reach": half.values.shape[1],
        "no_widths": next((reason for reason in reasons if reason), "none was asked for"),
    }


def _limits(card: ModelCard) -> list[str]:
    """What the model cannot do, as far as its card tells."""
    context, transform = card.context, card.transform
    steps = {step.name for step in transform.steps} if transform else set()
    limits = [
        f"It needs the last {card.reach} rows before the first step, one every step ({escaped(card.step)}), without "
        "missing dates or values.",
        f"It was trained on rows to {escaped(str(card.last).removesuffix(' 00:00:00'))}; what has changed since, it "
        "does not know. `kseq evaluate` says how it does on newer rows.",
        "From step "
        f"{card.horizon + 1} on it reads its own forecasts: errors add up, and forecasts often approach a mean.",
        "Values far beyond those of the training part lie outside what it has seen.",
    ]
    if context.future:
        limits.append(f"It needs {', '.join(map(escaped, context.future))} at each step that it forecasts.")
    if context.features:
        limits.append(f"Beyond step {card.horizon} it needs {', '.join(map(escaped, context.features))} ahead, too.")
    if steps & {"log", "log1p"}:
        limits.append("It reads logarithms: it takes no negative values, and forecasts medians rather than means.")
    if "trend" in steps:
        limits.append("It continues the straight line through the training rows, however far ahead.")
    if len(context.ids) > 1:
        limits.append("A series that was not in the training is scaled by its own past, and forecast less well.")
    if card.scores and _rivals(card):
        limits.append("A baseline did better on the validation part, see above.")
    return limits
