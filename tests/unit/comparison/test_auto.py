import numpy as np
import pandas as pd
import pytest

from kseq import Settings, compare, from_frame, panel_from_frame
from kseq.comparison.backtest import cut_windows
from kseq.experiments.audit import audit
from kseq.forecasting.fit import fit_model
from kseq.preprocessing.auto_transform import Trial

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

#: Long enough for short trainings to be worth their time.
PAYS = {"epochs": 24, "batch_size": 16, "patience": 1}
QUICK = {"seeds": (0,), "units": 3, "lookback": 6, "baselines": ("persistence",), "levels": ()}


def frame_of(rows=160, seed=0):
    """Monthly values with a season about a level that wanders."""
    rng = np.random.default_rng(seed)
    y = 50 + rng.normal(size=rows).cumsum() + 4 * np.sin(np.arange(rows) * np.pi / 6)
    return pd.DataFrame({"y": y, "wind": rng.normal(size=rows)}, pd.date_range("2001-01-01", periods=rows, freq="MS"))


def series_of(rows=160, seed=0):
    return from_frame(frame_of(rows, seed), target="y", features=["wind"])


def panel_of(count=3):
    parts = [frame_of(120 - 6 * n, n).rename_axis("ds").reset_index().assign(unique_id=f"s{n}") for n in range(count)]
    return panel_from_frame(pd.concat(parts), target="y", features=["wind"])


@pytest.fixture(scope="module")
def chosen():
    return cut_windows(series_of(), Settings(**QUICK, horizon=3, training=PAYS, cells=("rnn", "gru")))


def test_what_was_tried_is_told_with_the_errors_that_were_seen(chosen):
    sentence = chosen.choice.sentence
    assert sentence in chosen.notes
    assert sentence.startswith(f"Transform {chosen.choice.name}, chosen of ")
    for part in ("MAE of least squares", "of short trainings", "seasonal naive", "persistence", "none"):
        assert part in sentence
    assert (chosen.transform.name if chosen.transform else "none") == chosen.choice.name


def test_the_same_settings_choose_the_same(chosen):
    again = cut_windows(series_of(), Settings(**QUICK, horizon=3, training=PAYS, cells=("rnn", "gru")))
    assert again.choice == chosen.choice


def test_a_run_of_a_few_steps_goes_by_least_squares():
    data = cut_windows(series_of(), Settings(**QUICK, training={"epochs": 2}))
    assert "short trainings" not in data.choice.sentence
    without = cut_windows(series_of(), Settings(**QUICK, cells=()))
    assert without.choice.name == data.choice.name


def test_the_choice_hangs_on_the_horizon():
    # One step ahead a slow anomaly hardly moves; ahead of that its season does.
    rng = np.random.default_rng(0)
    days = pd.date_range("2000-01-01", periods=365 * 6, freq="D")
    walk = np.zeros(len(days))
    for day in range(1, len(days)):
        walk[day] = 0.97 * walk[day - 1] + 0.2 * rng.normal()
    y = 10 * np.sin(2 * np.pi * days.day_of_year.to_numpy() / 365.25) + walk
    series = from_frame(pd.DataFrame({"y": y}, days))
    far = cut_windows(series, Settings(horizon=30, season=365, cells=()))
    assert "anomaly" in far.choice.name
    trial = Trial.of(far.series, far.split, far.members, 12, 30, 365)
    assert trial.errors[far.choice.name] < 0.8 * trial.errors["none"]


def test_past_values_that_are_not_to_be_read_are_not_measured_from():
    data = cut_windows(series_of(), Settings(**QUICK, past_target=False))
    assert data.choice.name == "none"
    assert "not to be read" in data.choice.sentence


def test_each_cell_may_have_its_own():
    settings = Settings(**QUICK, horizon=2, training=PAYS, cells=("rnn", "gru"), transform="per-cell")
    comparison = compare(series_of(), settings)
    choice = comparison.data.choice
    assert set(choice.by_cell) == {"rnn", "gru"}
    table = comparison.table.set_index("model")
    assert table.loc["SimpleRNN", "transform"] == choice.by_cell["rnn"]
    assert table.loc["GRU", "transform"] == choice.by_cell["gru"]
    assert "for SimpleRNN" in choice.sentence
    assert np.isfinite(comparison.predictions.drop(columns=["unique_id", "ds", "cutoff"])).all(axis=None)


def test_a_backtest_chooses_once():
    settings = Settings(
        **QUICK, horizon=2, n_windows=2, refit=True, training={"epochs": 1}, cells=("gru",), refit_on_validation=False
    )
    comparison = compare(panel_of(), settings)
    names = {training.transform.name if training.transform else "none" for training in comparison.trainings}
    assert names == {comparison.data.choice.name}
    assert comparison.data.choice.sentence in comparison.cautions


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (series_of, {"horizon": 2, "training": PAYS, "cells": ("gru",)}),
        (series_of, {"transform": "per-cell", "cells": ("rnn", "gru"), "training": {"epochs": 2}}),
        (panel_of, {"horizon": 2, "n_windows": 2, "refit": True, "cells": ("gru",), "training": {"epochs": 1}}),
        (panel_of, {"horizon": 2, "validation": 0.0, "cells": ()}),
    ],
)
def test_nothing_after_the_validation_part_is_looked_at(make, options):
    found = audit(make(), Settings(**QUICK | {"refit_on_validation": False} | options))
    assert found.clean, found.verdict
    assert "transform chosen" in set(found.table["name"])


@pytest.mark.parametrize("transform", ["auto", "per-cell"])
def test_a_model_that_is_fitted_keeps_what_was_chosen(transform):
    model = fit_model(series_of(), Settings(**QUICK | {"levels": (80,)}, cells=("gru",), transform=transform,
                                            training={"epochs": 2}))  # fmt: skip
    notes = [note for note in model.card.context.notes if note.startswith("Transform ")]
    assert len(notes) == 1
    name = model.card.transform.name if model.card.transform else "none"
    assert f"with {name} (" in notes[0]


def test_a_validation_part_shorter_than_the_horizon_has_a_window():
    settings = Settings(**QUICK, horizon=12, n_windows=1, validation=0.05, transform="none", cells=())
    data = cut_windows(panel_of(), settings)
    rows = data.split.stop - data.split.validation
    assert (rows < 12).all()
    assert data.validation.series.tolist() == [0, 1, 2]
    # Its targets end where the rows end that are learnt from.
    assert (data.validation.target_rows[:, -1] == data.split.stop - 1).all()
    assert (data.train.target_rows[:, -1] < data.split.validation[data.train.series]).all()
    assert any("is shorter than the horizon of 12" in note for note in data.notes)
    assert not len(cut_windows(panel_of(), Settings(**QUICK, n_windows=1, validation=0, transform="none")).validation)


def test_mase_by_a_season_that_is_longer_than_half_of_the_rows():
    panel = panel_of()
    comparison = compare(panel, Settings(**QUICK | {"baselines": None}, season=70, n_windows=1, cells=()))
    assert comparison.season == 70
    assert any("fewer than two seasons of 70" in caution for caution in comparison.cautions)
    row = comparison.rows[0]
    for number, mase in enumerate(comparison.scores(row, "mase", by="series")[0]):
        y = panel.one(f"s{number}").y[:-1, 0]
        scale = np.abs(y[70:] - y[:-70]).mean()
        assert mase == pytest.approx(comparison.scores(row, "mae", by="series")[0, number] / scale)
