import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from kseq import compare, from_frame, panel_from_frame
from kseq.bench.measured import Bench, Measurement
from kseq.data import Panel
from kseq.evaluation.intervals import Interval
from kseq.evaluation.model_result import ModelResult
from kseq.forecasting.forecast import Forecast
from kseq.report import lettering
from kseq.report.bench import plot_bench
from kseq.report.plot import plot_history, plot_predictions

pytestmark = [pytest.mark.above_backends, pytest.mark.pictures, pytest.mark.long]

DATES = pd.date_range("2000-01-01", periods=80, freq="MS")
VALUES = 20 + np.sin(np.arange(80))

#: Drawn as they stand by the fonts that come with matplotlib.
NAMES = ["cost_$_per_$_spent", "_US$_größe_$", r"a_{b}^c \$x\$ 100 % \frac{x} $$x$$"]


def one_series(name):
    return from_frame(pd.DataFrame({name: VALUES}, DATES), target=name, unit=name, name=name)


def many_series(name):
    frame = pd.DataFrame({"unique_id": np.repeat([name, f"{name} 2"], 80), "ds": [*DATES] * 2, "y": [*VALUES] * 2})
    return panel_from_frame(frame, unit=name)


def compared(series, name):
    comparison = compare(series, cells=(), baselines=("persistence",), lookback=4)
    y = comparison.data.test_y
    curves = {"loss": np.array([[1.0, 0.5], [1.1, 0.6]])}
    comparison.add(ModelResult(name, np.stack([y, y + 0.1]), seeds=(0, 1), history=curves))
    return comparison


def forecast_of(series):
    panel = Panel.of(series)
    values = np.ones((len(panel.ids), 3, 1))
    dates = pd.DatetimeIndex(np.tile(pd.date_range(DATES[-1], periods=4, freq="MS")[1:], len(panel.ids)))
    return Forecast("GRU", dates, values, {80.0: Interval(80.0, values - 1, values + 1)}, (), panel)


def bench_on(name):
    machine = {"processor": name, "cores": 2, "device": "cpu", "backend": "torch", "versions": {}, "threads": {}}
    made = [Measurement("short", "gru", who, 1, first=1.0, seconds=[1.0]) for who in ("stock Keras", "kseq")]
    return Bench(made, peak=5e9, machine=machine)


#: Each picture, and how often it must show a name.
PICTURES = {
    # Title, axis twice over, legend.
    "comparison": (lambda name: plot_predictions(compared(one_series(name), name)), 3),
    "panel": (lambda name: plot_predictions(compared(many_series(name), name)), 3),
    "history": (lambda name: plot_history(compared(one_series("y"), name)), 1),
    "forecast": (lambda name: forecast_of(one_series(name)).plot(), 2),
    "panel forecast": (lambda name: forecast_of(many_series(name)).plot(), 2),
    "bench": (lambda name: plot_bench(bench_on(name)), 1),
}


def texts(figure):
    figure.savefig(io.BytesIO(), dpi=30)
    return [text for text in figure.findobj(lambda artist: hasattr(artist, "get_parse_math")) if text.get_text()]


def drawn(names):
    """Each picture with one of the names, each name in two pictures; all pairs are `thorough`."""
    return [
        pytest.param(picture, name, marks=[] if at % len(names) == number else pytest.mark.thorough)
        for at, picture in enumerate(PICTURES)
        for number, name in enumerate(names)
    ]


@pytest.mark.parametrize(("picture", "name"), drawn(NAMES))
def test_names_are_plain_text_in_every_picture(picture, name):
    draw, count = PICTURES[picture]
    shown = [text for text in texts(draw(name)) if name in text.get_text()]
    assert len(shown) >= count
    assert not any(text.get_parse_math() or text.get_usetex() for text in shown)


SIGNS = ["日本の気温 \N{GRINNING FACE} sales a\x1b[31mb\x07 ჰაერი \U00012000", "two\nlines", "x" * 500]


@pytest.mark.parametrize(("picture", "name"), drawn(SIGNS))
def test_signs_without_a_font_raise_no_warning(picture, name):
    """Warnings are errors in tests."""
    texts(PICTURES[picture][0](name))


def test_a_sign_that_no_font_has_is_replaced(monkeypatch):
    monkeypatch.setattr(lettering, "_others", lambda: iter(()))
    lettering._family.cache_clear()
    text = lettering.plain(Figure().text(0, 0, "日 ok \x00"))
    assert text.get_text() == "\N{REPLACEMENT CHARACTER} ok \N{REPLACEMENT CHARACTER}"
    lettering._family.cache_clear()


def test_a_font_that_has_a_sign_is_used(monkeypatch):
    monkeypatch.setattr(lettering, "_others", lambda: iter([("Some", frozenset([ord("日")]))]))
    lettering._family.cache_clear()
    text = lettering.plain(Figure().text(0, 0, "日 ok"))
    assert text.get_text() == "日 ok"
    assert text.get_fontfamily()[-1] == "Some"
    lettering._family.cache_clear()


def test_a_legend_shows_names_that_begin_with_an_underscore():
    axes = Figure().subplots()
    for name in ("_one", "two"):
        axes.plot([1, 2], label=lettering.label(name))
    axes.plot([1, 2])
    assert [text.get_text() for text in lettering.legend(axes).get_texts()] == ["_one", "two"]
