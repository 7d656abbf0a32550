import json

import numpy as np
import pandas as pd
import pytest

import kseq
from kseq.evaluation.model_result import ModelResult
from kseq.report.comparison import Comparison
from kseq.report.run_folder import file_of_target
from kseq.report.table import render

pytestmark = pytest.mark.above_backends

NAMES = ("Öl/Gas <b>", "y_2")
PLAN = {"target": NAMES, "cells": (), "season": 12, "transform": "none", "lookback": 12}


def frame(rows=160):
    rng = np.random.default_rng(0)
    return pd.DataFrame({
        NAMES[0]: 50 + 9 * np.sin(np.arange(rows) * np.pi / 6) + rng.normal(0, 2, rows),
        NAMES[1]: 1e3 * rng.normal(size=rows).cumsum(),
    }, index=pd.date_range("2001-01-01", periods=rows, freq="MS"))  # fmt: skip


@pytest.fixture(
    scope="module", params=[{"horizon": 3}, {"horizon": 6, "n_windows": 4}, {"n_windows": 5, "refit": True}],
    ids=["test-share", "backtest", "refitted"],
)  # fmt: skip
def made(request):
    comparison = kseq.compare(frame(), **PLAN, baselines="persistence,seasonal-naive,ar", **request.param)
    rng = np.random.default_rng(1)
    y = comparison.data.test_y
    comparison.add(ModelResult("Net", y + rng.normal(size=(3, *y.shape)) * y.std(axis=(0, 1)), seeds=(1, 2, 4)))
    return comparison


def test_means_over_targets_are_the_whole(made):
    tables = [one.table.set_index("model") for one in made.by_target]
    whole = made.table.set_index("model")
    for column in ("mae", "mase", "mape", "smape", "bias", "coverage_95", "width_80", "wql"):
        own = np.mean([table[column] for table in tables], axis=0)
        np.testing.assert_allclose(own, whole[column], rtol=1e-9, err_msg=column)
    assert {one.measure for one in made.by_target} == {"mase"}
    assert all((table["group"] != "").all() for table in tables)


def test_each_is_what_a_run_of_that_target_alone_says():
    options = {"baselines": "persistence,seasonal-naive", "horizon": 3, "metric": "mase"}
    both = kseq.compare(frame(), **PLAN, **options)
    for name, one in zip(NAMES, both.by_target, strict=True):
        alone = kseq.compare(frame()[[name]], **PLAN | {"target": name}, **options).table
        table = one.table
        for column in ("mae", "rmse", "mase", "mape", "skill", "validation", "coverage_80", "confidence_p"):
            np.testing.assert_allclose(table[column], alone[column], rtol=1e-9, err_msg=column)
        assert table["group"].tolist() == alone["group"].tolist()


def test_one_target_has_no_further_tables(tmp_path):
    run = kseq.compare(frame()[[NAMES[0]]], **PLAN | {"target": NAMES[0]}, baselines="persistence")
    assert run.by_target == []
    assert not [file.name for file in run.write(tmp_path / "run") if file.name.startswith("target")]
    assert "Target " not in render(run)


def test_texts_have_a_table_of_each(made):
    for style, head in (("table", "Target Öl/Gas <b>"), ("markdown", r"**Target Öl/Gas \<b>**")):
        text = render(made, style)
        assert head in text
        assert text.count("Seasonal naive (12)") >= 3
        assert "The first table is the mean over 2 targets" in text
    assert render(made, "latex").count(r"\begin{tabular}") == 3
    assert "Target Öl/Gas &lt;b&gt;" in made._repr_html_()
    # The table that programs read is one.
    assert len(render(made, "csv").splitlines()) == 1 + len(made.rows)


def test_a_mean_of_scaled_errors_is_not_said_to_be_that_of_the_largest_target(made):
    assert not any("whose ranges differ" in text for text in made.cautions)
    by_mae = kseq.compare(frame(), **PLAN, baselines="persistence", metric="mae")
    by_mae.add(ModelResult("Net", by_mae.data.test_y[None] + 1, kind="model"))
    assert any("whose ranges differ" in text for text in by_mae.cautions)


def test_files_are_named_by_the_target_and_replaced_by_the_next_run(tmp_path, made):
    folder = tmp_path / "run"
    written = {file.name for file in made.write(folder)}
    names = {f"target-{stem}.{ending}" for stem in ("1-l-Gas-b", "2-y-2") for ending in ("csv", "png")}
    assert names <= written
    assert names <= set(json.loads((folder / "run.json").read_text())["files"])
    table = pd.read_csv(folder / "target-2-y-2.csv")
    np.testing.assert_allclose(table["mase"], made.by_target[1].table["mase"])
    page = (folder / "report.html").read_text()
    assert "Each target" in page
    assert "Target Öl/Gas &lt;b&gt;" in page
    assert "Target Öl/Gas <b>" not in page
    # What nobody lists stays; what the run before has written goes.
    (folder / "target-9-mine.csv").write_text("mine")
    kseq.compare(frame(), **PLAN | {"target": NAMES[1]}, baselines="persistence").write(folder)
    assert sorted(file.name for file in folder.glob("target-*")) == ["target-9-mine.csv"]


def test_a_file_of_the_user_is_not_overwritten(tmp_path, made):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "target-2-y-2.csv").write_text("mine")
    with pytest.raises(kseq.ConfigError, match=r"target-2-y-2\.csv"):
        made.write(folder)
    assert (folder / "target-2-y-2.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("target", "name"),
    [("sst", "target-1-sst"), ("../../etc", "target-1-etc"), ("", "target-1"), ("..", "target-1"), ("気温", "target-1"),
     ("CON", "target-1-CON"), ("a" * 300, "target-1-" + "a" * 40), ("a\n=b", "target-1-a-b"), (7, "target-1-7")],
)  # fmt: skip
def test_names_of_files_are_plain(target, name):
    assert file_of_target(1, target) == name


def test_a_comparison_that_a_script_fills(made):
    alone = Comparison(made.data)
    alone.add(ModelResult("Mine", made.data.test_y[None] + 1, kind="model"))
    assert [one.table["mae"].tolist() for one in alone.by_target] == [[pytest.approx(1.0)]] * 2
