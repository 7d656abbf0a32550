import re

import numpy as np
import pandas as pd
import pytest

import kseq
from kseq.forecasting import model_page

pytestmark = pytest.mark.above_backends

QUICK = {"epochs": 1, "units": 3, "lookback": 4, "learning_rate": 0.01}


def rows(count=60):
    y = 10 + np.random.default_rng(0).normal(size=count).cumsum()
    return pd.DataFrame({"ds": pd.date_range("2000-01-01", periods=count, freq="MS"), "y": y})


def test_a_page_says_data_errors_intervals_and_limits(tmp_path):
    model = kseq.fit(rows(), **QUICK, transform="none", out=tmp_path / "model.keras")
    page = (tmp_path / "MODEL.md").read_text(encoding="utf-8")
    card = model.card
    assert page.startswith("# GRU for series\n")
    assert "60 rows (monthly), 2000-01-01 to 2004-12-01" in page
    assert card.sha256 in page
    assert f"| GRU | {card.scores['GRU']:.4g} |" in page
    assert f"| Persistence | {card.scores['Persistence']:.4g} |" in page
    half = card.half_widths.at(80, 1)[0, 0] * card.unit[0, 0]
    assert f"- 80 %: ± {half:.4g}\n" in page
    assert "It needs the last 4 rows before the first step" in page
    assert f"| weights | {model.network.count_params():,} |" in page
    assert "kseq forecast --model model.keras" in page
    # A table has no empty line in it, and no line of it lacks a column.
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
        assert len(table.splitlines()) > 2


def test_names_are_text_whatever_they_hold(tmp_path):
    evil = "<script>|x|\n# `head` [link](http://a.b) *"
    frame = rows().rename(columns={"y": evil})
    model = kseq.fit(frame, target=evil, time="ds", **QUICK, transform="none")
    page = model_page.render(model.card, 1, "model.keras")
    assert "<script>" not in page.replace("\\<script\\>", "")
    assert "\n# `head`" not in page
    assert "[link](" not in page
    assert model_page.escaped(evil).count("\n") == 0


def test_a_page_of_several_series_names_covariates_and_units_of_each(tmp_path):
    frame = pd.concat([rows().assign(unique_id=id, price=1.0 * np.arange(60), rain=np.arange(60) % 5) for id in "ab"])
    model = kseq.fit(frame, future=("price",), features=("rain",), **QUICK, transform="log,trend", seeds=2)
    page = model_page.render(model.card, 1, "model.keras")
    assert "- 2 series: a, b." in page
    assert "in 2 networks, whose mean forecast is taken" in page
    assert "one step ahead, in the scale of each series:" in page
    assert "It needs price at each step that it forecasts." in page
    assert "Beyond step 1 it needs rain ahead, too." in page
    assert "It reads logarithms" in page
    assert "It continues the straight line" in page


def test_a_model_without_a_validation_part_says_so():
    model = kseq.fit(rows(), **QUICK, validation=0.0, transform="none")
    page = model_page.render(model.card, 1, "model.keras")
    assert "None is known: the model was trained without a validation part." in page
    assert "None: the model was trained without a validation part, whose errors would bound it." in page


def test_a_page_of_a_users_own_is_left_alone(tmp_path):
    (tmp_path / "MODEL.md").write_text("mine")
    model = kseq.fit(rows(), **QUICK, transform="none", out=tmp_path / "model.keras")
    assert (tmp_path / "MODEL.md").read_text() == "mine"
    assert model_page.write(model.card, 1, tmp_path / "model.keras") is None
    other = model_page.write(model.card, 1, tmp_path / "sst.keras")
    assert other == tmp_path / "sst-MODEL.md"
    assert model_page.write(model.card, 2, tmp_path / "sst.keras") == other
    assert "| weights | 2 |" in other.read_text()
