"""Pages: self-contained, escaped, made again from a folder, small for many series."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import kseq
from kseq.cli import main
from kseq.errors import ConfigError
from kseq.report.html.pages import of_folder
from kseq.report.html.run import page_of_run

pytestmark = [pytest.mark.above_backends, pytest.mark.pictures, pytest.mark.long]

#: Addresses that a browser would load: in markup, in styles, and in calls of scripts.
LOADS = re.compile(r"""<(?:script|img|link|iframe)[^>]+(?:src|href)=["'](?!data:)|@import|url\(\s*["']?https?:""")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    comparison = kseq.compare(
        "nino12", seeds=2, epochs=2, units=4, horizon=2, cells=["lstm", "gru"], transform="none",
        baselines=["persistence", "seasonal-naive", "climatology", "ar"], no_refit_on_validation=True,
    )  # fmt: skip
    comparison.write(path)
    return path


def markup(page):
    """The page without its scripts and styles."""
    return re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)


def test_a_run_has_a_page_that_loads_nothing(folder):
    page = (folder / "report.html").read_text()
    assert "report.html" in json.loads((folder / "run.json").read_text())["files"]
    assert not LOADS.search(page)
    assert len(page) < 3_000_000
    for text in (
        "Verdict",
        "Forecasts",
        "MAE by steps ahead",
        "Validation loss",
        "one step late",
        "kseq reproduce run.json",
    ):
        assert text in markup(page)


def test_every_row_is_in_the_table_and_can_be_switched(folder):
    page = markup((folder / "report.html").read_text())
    for model in pd.read_csv(folder / "table.csv")["model"]:
        assert f">{model}</th>" in page
        assert f'value="{model}"' in page


def test_the_page_is_made_again_from_the_files(folder):
    before = markup((folder / "report.html").read_text())
    (folder / "report.html").unlink()
    assert main(["report", str(folder)]) == 0
    again = markup((folder / "report.html").read_text())
    # Bokeh draws its own numbers for the charts.
    own = re.compile(r'id="[^"]*"|data-root-id="[^"]*"|data-chart="[^"]*"')
    assert own.sub("", again) == own.sub("", before)
    assert "report.html" in json.loads((folder / "run.json").read_text())["files"]


def test_names_are_text():
    hostile = ["<script>alert(1)</script>", "$x$", '"onload="x', "</script><b>"]
    table = pd.DataFrame({"model": hostile, "kind": "cell", "mae": 1.0, "mase": 1.0, "parameters": 1})
    days = pd.date_range("2001-01-01", periods=40)
    forecasts = pd.DataFrame(
        {"unique_id": hostile[0], "ds": days.astype(str), "cutoff": days.astype(str), "y": np.arange(40.0)}
    )
    for name in hostile:
        forecasts[name] = np.arange(40.0) + 1
    record = {
        "series": {"name": hostile[0], "targets": [hostile[1]], "step": "daily", "first": "a", "last": "b", "rows": 40},
        "verdict": [hostile[3]], "traps": hostile, "windows": {"test": 40}, "settings": {"transform": hostile[0]},
    }  # fmt: skip
    page = page_of_run(record, {"table.csv": table, "predictions.csv": forecasts})
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    # No name ends a script: what stands between opening and closing tags goes together.
    assert len(re.findall(r"<script", page)) == len(re.findall(r"</script>", page))
    assert "$x$" in markup(page)


def test_many_series_and_rows_stay_small():
    generator = np.random.default_rng(0)
    models = [f"row {number}" for number in range(10)]
    ids = [f"series {number}" for number in range(366)]
    table = pd.DataFrame({"model": models, "kind": "baseline", "mae": 1.0, "mase": np.arange(10.0)})
    by_series = pd.DataFrame(
        [(model, one, generator.random()) for model in models for one in ids], columns=["model", "unique_id", "mase"]
    )
    days = pd.date_range("2001-01-01", periods=24, freq="MS").astype(str)
    forecasts = pd.DataFrame({"unique_id": np.repeat(ids, 24), "ds": np.tile(days, 366), "cutoff": "2000-12-01"})
    forecasts = forecasts.assign(
        y=generator.random(len(forecasts)), **{m: generator.random(len(forecasts)) for m in models}
    )
    record = {
        "series": {"name": "many", "targets": ["y"], "step": "monthly", "first": "a", "last": "b", "rows": 1, "series": 366},  # noqa: E501
        "verdict": [], "metric": "mase", "windows": {"test": 366},
    }  # fmt: skip
    page = page_of_run(record, {"table.csv": table, "series.csv": by_series, "predictions.csv": forecasts})
    assert len(page) < 3_000_000
    assert "MASE of 366 series" in page


def test_without_forecasts_there_is_still_a_page(folder):
    record = json.loads((folder / "run.json").read_text())
    page = page_of_run(record, {"table.csv": pd.read_csv(folder / "table.csv")})
    assert "Verdict" in page
    assert "one step late" not in markup(page)


def test_a_folder_without_a_result_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"holds none of run\.json"):
        of_folder(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ConfigError, match="does not go with its tables"):
        of_folder(tmp_path)


def test_a_forecast_has_a_page(tmp_path):
    assert main(["fit", "--epochs", "1", "--units", "4", "--out", str(tmp_path / "m.keras")]) == 0
    assert main(["forecast", "--model", str(tmp_path / "m.keras"), "--steps", "3", "--out", str(tmp_path / "f")]) == 0
    page = (tmp_path / "f" / "forecast.html").read_text()
    assert not LOADS.search(page)
    assert "GRU-hi-95" in markup(page)


def test_a_notebook_shows_table_and_verdict_with_names_as_text():
    frame = pd.DataFrame({"y": np.sin(np.arange(60))}, pd.date_range("2001-01-01", periods=60, freq="MS"))
    comparison = kseq.compare(frame, cells=())
    shown = comparison._repr_html_()
    assert "Persistence" in shown
    assert shown.count("<li>") == len(comparison.verdict)
    from kseq.report.table import as_html

    assert "<b>" not in as_html(pd.DataFrame({"model": ["<b>"]}), ["<b>"])


def test_pages_are_made_for_a_user_without_a_home():
    code = (
        "import os, pwd\n"
        "os.environ.pop('HOME', None)\n"
        "def getpwuid(uid): raise KeyError(uid)\n"
        "pwd.getpwuid = getpwuid\n"
        "import kseq.report.html.pages\n"
        "assert 'HOME' not in os.environ"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def luminance(color):
    """As WCAG has it."""
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_lines_are_seen_on_light_and_on_dark_ground_and_text_is_read():
    from importlib import resources

    from kseq.report.html.charts import styles_of

    style = (resources.files("kseq.report.html") / "page.css").read_text()
    light, dark = (dict(re.findall(r"--(\w+): (#\w{6})", line)) for line in re.findall(r":root \{.*\}", style)[:2])
    models = ["SimpleRNN", "LSTM", "GRU", "LSTM x2 mean", *(f"row {number}" for number in range(20))]
    found = styles_of(models)
    for colors in (light, dark):
        assert min(contrast(color, colors["ground"]) for color, _ in found.values()) >= 3
        assert min(contrast(colors[name], colors["ground"]) for name in ("text", "faint", "accent")) >= 4.5
    # No two rows look the same.
    assert len(set(found.values())) == len(models)


def test_parts_of_a_cell_have_its_colour_and_dashes_of_their_own():
    from kseq.report.html.charts import styles_of

    found = styles_of(["LSTM, input", "LSTM, forget", "GRU, update"])
    assert found["LSTM, input"][0] == found["LSTM, forget"][0] != found["GRU, update"][0]
    assert found["LSTM, input"][1] != found["LSTM, forget"][1]


def test_the_table_is_ranked_and_charts_begin_with_cells_and_the_best_baseline(folder):
    page = markup((folder / "report.html").read_text())
    record = json.loads((folder / "run.json").read_text())
    best = pd.read_csv(folder / "table.csv").sort_values("mae")["model"].iloc[0]
    assert page.index(f">{best}</th>") == min(
        page.index(f">{name}</th>") for name in pd.read_csv(folder / "table.csv")["model"]
    )
    steps = page[page.index("MAE by steps ahead") :]
    checked = re.findall(r'value="([^"]+)" checked', steps[: steps.index("</fieldset>")])
    assert set(checked) == {"LSTM", "GRU", record["best_baseline"]}


def test_skill_by_step_is_that_of_the_errors(folder):
    from kseq.report.html.run import _skill

    frame = pd.read_csv(folder / "horizon.csv")
    record = json.loads((folder / "run.json").read_text())
    (chart,) = _skill(frame, record, None)
    source = next(renderer.data_source for renderer in chart.figure.renderers if renderer.name == "GRU")
    wide = frame.pivot_table(index="step", columns="model", values="mae")
    np.testing.assert_allclose(source.data["y"], 100 * (1 - wide["GRU"] / wide[record["best_baseline"]]), rtol=1e-4)


def test_an_explanation_of_another_series_stays_out_of_a_runs_page(tmp_path):
    frame = pd.DataFrame({"y": np.sin(np.arange(90) / 3)}, pd.date_range("2001-01-01", periods=90, freq="MS"))
    options = {"seeds": 1, "epochs": 1, "units": 2, "cells": ["gru"], "transform": "none"}
    kseq.compare(kseq.from_frame(frame, name="one"), baselines=["persistence"], **options).write(tmp_path / "run")
    explained = kseq.explain(kseq.from_frame(frame, name="other"), problems=False, variants=False, **options)
    files = explained.write(tmp_path / "run")
    assert tmp_path / "run" / "explanation.html" in files
    assert "Why: " not in markup((tmp_path / "run" / "report.html").read_text())
    assert "The lesson's table" in markup((tmp_path / "run" / "explanation.html").read_text()).replace("&#39;", "'")


def test_interactive_charts_are_a_page_of_their_own(folder, tmp_path):
    frame = pd.DataFrame({"y": np.sin(np.arange(60))}, pd.date_range("2001-01-01", periods=60, freq="MS"))
    comparison = kseq.compare(frame, cells=(), baselines=["persistence"])
    shown = comparison.plot(tmp_path / "chart.html", interactive=True)
    page = (tmp_path / "chart.html").read_text()
    assert not LOADS.search(page)
    assert len(shown.figures) == 1
    assert shown._repr_html_().startswith("<iframe srcdoc=")
    with pytest.raises(ConfigError, match="received series 'none'"):
        comparison.plot(ids=["none"], interactive=True)


def test_days_with_and_without_a_time_of_day_are_dates():
    from kseq.report.html.forecasts import dates_of

    found = dates_of(pd.Series(["2001-01-01 00:00:00", "2001-02-01"]))
    assert found.tolist() == [pd.Timestamp("2001-01-01"), pd.Timestamp("2001-02-01")]
    assert dates_of(pd.Series(["T1", "T2"])).tolist() == [0, 1]


def test_numbers_of_a_column_have_as_many_decimals_as_one_another():
    from kseq.report.html.page import Table

    def shown(values):
        return [row[0].text for row in Table.of("", pd.DataFrame({"a": values})).rows]

    assert shown([2.17, 2.1834, 0.5]) == ["2.170", "2.183", "0.500"]
    assert shown([4688.2, 7829.9]) == ["4,688", "7,830"]
    assert shown([0.0131, 0.0212]) == ["0.0131", "0.0212"]
    # Whole numbers, and sizes that are far apart, stand for themselves.
    assert shown([3.0, 2000.0]) == ["3", "2,000"]
    assert shown([1.5, 0.00012]) == ["1.5", "0.00012"]


def test_an_axis_is_named_after_the_target_of_its_series():
    from kseq.report.html.forecasts import unit_of

    record = {"series": {"targets": ["load", "price"]}}
    assert [unit_of(record, name) for name in ("two/load", "two/price", "two")] == ["load", "price", "load"]


def test_a_spread_has_the_decimals_of_its_mean():
    table = pd.DataFrame({"model": ["a", "b"], "mae": [4688.2, 4719.4], "mae_std": [231.4, np.nan], "kind": "cell"})
    record = {
        "series": {"name": "n", "targets": ["y"], "step": "daily", "first": "a", "last": "b", "rows": 4},
        "verdict": ["see `a`"],
    }  # fmt: skip
    page = markup(page_of_run(record, {"table.csv": table}))
    assert ">4,688 ± 231</td>" in page
    assert "see <code>a</code>" in page


def test_growth_of_the_error_without_a_lag_is_over_that_of_the_whole_window():
    from kseq.report.html.explained import charts_of

    lags = pd.DataFrame(
        {
            "model": "GRU", "seed": [0, 0, 1, 1], "lag": [0, 1, 0, 1],
            "loss_gradient_before": [1.0, 0.25, 1.0, 0.01], "loss_gradient_after": np.nan, "attributed": 0.5,
            "error_with_older_shuffled": [2.0, 1.0, 3.0, 2.0], "error_with_lag_shuffled": [1.5, 1.0, 2.0, 2.25],
        }
    )  # fmt: skip
    charts = {chart.title: chart for chart in charts_of({"lags.csv": lags})}

    def drawn(start):
        (title,) = (title for title in charts if title.startswith(start))
        renderer = next(one for one in charts[title].figure.renderers if "y" in one.data_source.data)
        return list(renderer.data_source.data["x"]), list(renderer.data_source.data["y"])

    assert drawn("Growth of the error") == ([1, 2], [0.25, 0.125])
    assert drawn("Gradient of the loss before") == ([0, 1], [1.0, 0.05])
    assert "Gradient of the loss after training" not in charts
