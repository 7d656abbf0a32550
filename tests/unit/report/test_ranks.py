import numpy as np
import pandas as pd
import pytest
from scipy import stats

import kseq
from kseq.report.html.pages import of_folder
from kseq.report.ranks import cliques, critical_difference, draw_ranks

pytestmark = [pytest.mark.above_backends, pytest.mark.pictures]


def panel(series, rows=48):
    rng, dates = np.random.default_rng(3), pd.date_range("2001-01-01", periods=rows, freq="MS")
    return pd.concat([
        pd.DataFrame({"unique_id": f"shop {n}", "ds": dates,
                      "y": 40.0 + n + 9 * np.sin(np.arange(rows) * np.pi / 6) + rng.normal(0, 2, rows)})
        for n in range(series)
    ])  # fmt: skip


def run(series, **options):
    plan = {"cells": (), "baselines": "persistence,seasonal-naive,climatology", "season": 12, "transform": "none"}
    return kseq.compare(panel(series), **plan, lookback=6, horizon=6, n_windows=1, **options)


def test_critical_differences_are_those_of_the_paper():
    # Demsar (2006), table 5: 2.569 for four classifiers at 5 %, and 1.25 over his fourteen data sets.
    assert critical_difference(4, 14) == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), abs=1e-3)
    assert critical_difference(10, 30) == pytest.approx(3.164 * np.sqrt(10 * 11 / (6 * 30)), abs=1e-3)


def test_cliques_are_the_longest_runs():
    assert cliques(np.array([1.0, 1.5, 2.0, 4.0]), 1.1) == [(0, 2)]
    assert cliques(np.array([1.0, 2.0, 3.0]), 0.5) == []
    assert cliques(np.array([1.0, 2.0, 2.4, 3.3]), 1.5) == [(0, 2), (1, 3)]


def test_the_picture_names_every_row_and_joins_what_may_be_equal():
    ranks = {"LSTM": 1.4, "GRU": 1.8, "$x_1$": 3.1, "AR": 3.7}
    figure = draw_ranks(ranks, 30, "MASE", 0.0001)
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.texts]
    for name, rank in ranks.items():
        assert any(name in text and f"{rank:.2f}" in text for text in texts)
    assert f"critical difference {critical_difference(4, 30):.2f}" in texts
    title = axes.get_title(loc="left")
    assert title == "Average rank by MASE over 30 series, 1 is best; Friedman's test p < 0.001"
    wide = [line for line in axes.collections if line.get_linewidth()[0] == 3.5]
    assert len(wide) == 2


def test_a_panel_of_twenty_series_has_it_in_its_folder_and_on_its_page(tmp_path):
    made = run(20)
    folder = tmp_path / "run"
    assert (folder / "ranks.png") in made.write(folder)
    page = (folder / "report.html").read_text()
    assert "Ranks over series" in page
    assert "average ranks over 20 series" in page
    assert "data:image/png;base64," in page
    assert "data:image/png;base64," in of_folder(folder)["report.html"]
    scores = made.by_series.pivot_table(index="unique_id", columns="model", values="mase")
    ranks = stats.rankdata(scores, axis=1).mean(axis=0)
    table = made.table.set_index("model")["rank"]
    np.testing.assert_allclose(table[scores.columns], ranks)


def test_fewer_series_have_none(tmp_path):
    run(19).write(tmp_path / "run")
    assert not (tmp_path / "run/ranks.png").exists()
    assert "Ranks over series" not in (tmp_path / "run/report.html").read_text()
