"""The names of settings: those of the command, of Settings and of the budget, in any mix, from Python."""

import inspect
import sqlite3

import numpy as np
import pandas as pd
import pytest

import kseq
from kseq import ConfigError, DataError, Settings
from kseq.cli.compare import compare as command
from kseq.data._source import FILE_OPTIONS
from kseq.models import cell_of
from kseq.vocabulary import SCREEN, settings_from

#: What an option is given here, where its default says nothing.
VALUES = {
    "cells": (), "baselines": "persistence", "data": "nino12", "time": "ds", "target": "y", "id": "unique_id",
    "no_past_target": False, "refit": True, "bidirectional": True, "calendar": True, "escape_formulas": True,
    "series": "a", "freq": "MS", "fill": "ffill", "unit": "K", "test_share": 0.3, "step_size": 2, "train_size": 60,
    "layers": 2, "backend": None, "device": "cpu", "header": 0, "cell": None, "rival": None, "executor": None,
    "missing": "-9999", "date_format": "%Y-%m-%d", "dayfirst": False, "wide": None, "sort": True, "sep": ",",
    "decimal": ".", "thousands": None, "encoding": "utf-8", "comment": "#",
    "member": None, "sheet": None, "select": None, "preset": None,
     "features": (), "future": (), "static": (),
}  # fmt: skip


@pytest.fixture
def frame():
    rows = np.arange(120)
    y = 10 + np.sin(rows / 3) + np.random.default_rng(5).normal(0, 0.1, 120)
    return pd.DataFrame({"unique_id": "a", "ds": pd.date_range("2001-01-01", periods=120, freq="MS"), "y": y})


OPTIONS = [
    option.name
    for option in command.params
    if option.expose_value or option.name == "escape_formulas"
    if option.name not in {*SCREEN, "help"}
]


@pytest.mark.above_backends
@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_of_the_command_is_a_name_in_python(frame, tmp_path, name):
    option = next(option for option in command.params if option.name == name)
    default = False if getattr(option, "is_flag", False) else option.default
    given = {
        "csv": tmp_path / "rows.csv", "parquet": tmp_path / "rows.parquet", "out": tmp_path / "run",
        "keep": tmp_path / "kept", "with_forecasts": None,
    }.get(name, VALUES.get(name, default))  # fmt: skip
    source = {"csv": None, "parquet": None, "data": None}.get(name, frame)
    if name in FILE_OPTIONS:
        source = tmp_path / "rows.csv"
        frame.to_csv(source, index=False)
    if name == "csv":
        frame.to_csv(given, index=False)
    if name == "parquet":
        frame.to_parquet(given, index=False)
    options = {"cells": (), "baselines": "persistence"}
    if name in ("sql", "query"):
        with sqlite3.connect(tmp_path / "rows.db") as connection:
            frame.to_sql("rows", connection, index=False)
        connection.close()
        source, options["sql"], options["query"] = None, f"sqlite:///{tmp_path / 'rows.db'}", "select * from rows"
        given = options[name]
    if name in ("step_size", "train_size", "refit", "gap"):
        options["n_windows"] = 2
    found = kseq.compare(source, **{**options, name: given})
    assert found.rows[0].name == "Persistence"
    if name == "series":
        return
    assert name in inspect.signature(kseq.compare).parameters


@pytest.mark.above_backends
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"epochs": 50}, {"training": {"epochs": 50}}),
        ({"seeds": 5}, {"seeds": (0, 1, 2, 3, 4)}),
        ({"seeds": np.int64(2), "first_seed": 7}, {"seeds": (7, 8)}),
        ({"seeds": [3, 5]}, {"seeds": (3, 5)}),
        ({"units": 64, "layers": 2}, {"units": 64, "num_layers": 2}),
        ({"units": [np.int64(8), 4]}, {"units": (8, 4)}),
        ({"test_share": 0.3, "validation_share": 0.1}, {"test": 0.3, "validation": 0.1}),
        ({"test": 0.3, "training": {"epochs": 3}, "learning_rate": 0.01},
         {"test": 0.3, "training": {"epochs": 3, "learning_rate": 0.01}}),
        ({"cells": "GRU"}, {"cells": ("gru",)}),
        ({"cells": ["SimpleRNN", "lstm"]}, {"cells": ("rnn", "lstm")}),
        ({"cells": "rnn, GRU"}, {"cells": ("rnn", "gru")}),
        ({"no_past_target": True}, {"past_target": False}),
        ({"level": 90}, {"levels": (90,)}),
        ({"level": "none"}, {"levels": ()}),
        ({"by_cell": {"LSTM": {"layers": 2}}}, {"by_cell": {"lstm": {"num_layers": 2}}}),
        ({"epochs": None, "seeds": None, "test_share": None}, {}),
    ],
)  # fmt: skip
def test_names_mean_the_same_everywhere(options, expected):
    assert settings_from(options) == Settings(**expected)


@pytest.mark.above_backends
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epoch": 3}, "did you mean epochs?"),
        ({"lr": 0.1}, "did you mean learning_rate?"),
        ({"hidden_size": 3}, "did you mean units?"),
        ({"test_size": 0.2}, "did you mean test_share?"),
        ({"Units": 3}, "did you mean units?"),
        ({"training": {"epoch": 3}}, "did you mean epochs?"),
        ({"quite_else": 1}, "none of that name is near; help(kseq.compare) lists them."),
        ({"format": "csv"}, "print(comparison.table)"),
        ({"test": 0.2, "test_share": 0.2}, "received test_share and test, expected one of them"),
        ({"training": {"epochs": 3}, "epochs": 3}, "received epochs and training with epochs"),
        ({"seeds": (1, 2), "first_seed": 4}, "expected first_seed with their number"),
        ({"seeds": "five"}, "received seeds 'five', expected how many"),
        ({"n_windows": 2, "test_share": 0.2}, "expected one of them"),
        ({"cells": "gruu"}, "received cell 'gruu'"),
        ({"epochs": 0}, "received epochs 0"),
        ({"seeds": 0}, "received seeds 0, expected a whole number from 1."),
        ({"baselines": "prophet"}, "received baseline 'prophet'"),
        ({"settings": Settings(), "epochs": 3}, "received settings and also epochs"),
        ({"settings": {"epochs": 3}}, "received settings of type dict"),
    ],
)
def test_wrong_names_are_told_in_words_of_python(frame, options, message):
    for call in (kseq.compare, kseq.audit, kseq.fit, kseq.tune):
        with pytest.raises(ConfigError) as error:
            call(frame, **options)
        assert "--" not in str(error.value)
        assert message in str(error.value) or call is not kseq.compare


@pytest.mark.above_backends
def test_without_a_series_or_with_two_sources(frame):
    with pytest.raises(ConfigError, match="received no series, expected a DataFrame"):
        kseq.compare(epochs=2)
    with pytest.raises(ConfigError, match="received a series and csv, expected one of them"):
        kseq.compare(frame, csv="x.csv")
    with pytest.raises(ConfigError, match="received both csv and parquet"):
        kseq.compare(csv="x.csv", parquet="y.parquet")
    with pytest.raises(DataError, match="no file here and no built-in series"):
        kseq.compare("nino13")


@pytest.mark.above_backends
@pytest.mark.parametrize("name", ["GRU", "gru", " Gru", "SimpleRNN", "simple_rnn", "simple-rnn", "rnn", "LSTM"])
def test_cells_are_known_by_any_spelling(name):
    assert cell_of(name) in ("gru", "rnn", "lstm")


@pytest.mark.above_backends
def test_a_model_a_tuning_and_an_audit_take_the_same_names(frame, tmp_path):
    model = kseq.fit(
        frame, cell="LSTM", epochs=2, units=3, layers=2, no_refit_on_validation=True, out=tmp_path / "m.keras"
    )
    assert (tmp_path / "m.keras").exists()
    assert model.card.settings["num_layers"] == 2
    assert not model.card.refitted
    tuned = kseq.tune(
        frame, trials=2, trial_seeds=1, units=(2, 3), layers=1, lookback=3, learning_rate=0.01, dropout=0,
        weight_decay=0, transform="none", epochs=1, seeds=1, cells="gru", baselines="persistence",
    )  # fmt: skip
    assert sorted(tuned.tuning["units"]) == [2, 3]
    assert kseq.audit(frame, cells="gru", epochs=1, seeds=1, units=2, baselines="persistence", lookback=3).clean


def test_a_forecaster_takes_the_names_of_the_command():
    made = kseq.Forecaster(
        "GRU", layers=2, seeds=3, first_seed=4, validation_share=0.2, no_refit_on_validation=True, level=(80,)
    )
    assert (made.num_layers, made.n_seeds, made.seed, made.validation, made.refit_on_validation) == (
        2,
        3,
        4,
        0.2,
        False,
    )
    assert kseq.Forecaster(**made.get_params()).get_params() == made.get_params()
    assert made.set_params(layers=1).num_layers == 1
    for wrong in ({"epoch": 3}, {"hidden_size": 3}, {"test_share": 0.2}):
        with pytest.raises(ConfigError, match="expected an option of"):
            kseq.Forecaster(**wrong)


def test_names_of_the_package():
    for found in (kseq.layers.GRU, kseq.interop.from_torch, kseq.backends.choose):
        assert callable(found)
    with pytest.raises(AttributeError, match="did you mean"):
        kseq.compares  # noqa: B018
