"""Calls that do not fit, as a newcomer writes them: each says which name was meant, and none raises a TypeError."""

import inspect
import pickle

import numpy as np
import pandas as pd
import pytest

import kseq
from kseq import ConfigError, DataError
from kseq.cli.command import option_of
from kseq.cli.compare import compare as command
from kseq.errors import FileOption, Given, Parameter
from kseq.naming import nearest
from kseq.vocabulary import defaults

pytestmark = pytest.mark.above_backends

#: A comparison that trains nothing.
QUICK = {"cells": (), "baselines": "persistence"}


@pytest.fixture
def frame():
    rows = np.arange(120)
    y = 10 + np.sin(rows / 3) + np.random.default_rng(5).normal(0, 0.1, 120)
    return pd.DataFrame({"ds": pd.date_range("2001-01-01", periods=120, freq="MS"), "y": y})


#: What other packages call an option of a comparison, and what is meant.
ELSEWHERE = {
    "look_back": "lookback", "window": "lookback", "n_steps_in": "lookback", "input_size": "lookback",
    "seq_len": "lookback", "batch": "batch_size", "batchsize": "batch_size", "lr": "learning_rate",
    "learn_rate": "learning_rate", "n_epochs": "epochs", "max_epochs": "epochs", "epoch": "epochs", "h": "horizon",
    "fh": "horizon", "n_steps_out": "horizon", "prediction_length": "horizon", "season_length": "season",
    "val_size": "validation_share", "test_size": "test_share", "hidden_size": "units", "num_layer": "num_layers",
    "n_layers": "layers", "dropuot": "dropout", "random_state": "seeds", "seed": "seeds", "model": "cells",
    "metrics": "metric", "scale": "scaler", "date_col": "time", "id_col": "id", "value": "target", "folder": "out",
    "cv": "n_windows", "exog": "features", "n_jobs": "executor", "unique_id": "id", "Units": "units",
}  # fmt: skip


@pytest.mark.parametrize("name", ELSEWHERE)
def test_words_of_other_packages(frame, name):
    with pytest.raises(ConfigError) as error:
        kseq.compare(frame, **QUICK, **{name: 3})
    assert str(error.value) == (f"received {name}, expected an option of kseq.compare: did you mean {ELSEWHERE[name]}?")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("optimizer", "it cannot be set, networks are trained with Adam; learning_rate"),
        ("activation", "it cannot be set, cells have Keras's defaults"),
        ("callbacks", "train with kseq.build_gru, model.fit and kseq.Evaluation"),
        ("shuffle", "shuffled by the seed"),
        ("n_trials", "kseq.tune has it"),
        ("df", "the first argument, without a name"),
        ("foo", "none of that name is near; help(kseq.compare) lists them."),
        ("xy", "none of that name is near"),
    ],
)
def test_a_name_that_is_none_on_purpose_and_one_that_is_near_to_none(frame, name, said):
    with pytest.raises(ConfigError) as error:
        kseq.compare(frame, **QUICK, **{name: 3})
    assert said in str(error.value)
    assert "did you mean" not in str(error.value)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize("wrong", ["optimizer", "trial", "batch", "activation", "value", "shuffle", "callbacks", "cv"])
def test_words_that_sound_alike_are_not_near(wrong):
    # Each of these was once taken for another word of the list.
    assert nearest(wrong, ("time", "rival", "match", "validation", "schedule", "baselines", "csv")) is None


@pytest.mark.parametrize("name", list(defaults()))
def test_a_letter_that_is_missing_or_doubled_is_a_typing_error(name):
    known = list(defaults())
    for wrong in (name[:-2] + name[-1], name[:2] + name[1] + name[2:]):
        if len(name) > 6 and wrong not in known:
            assert nearest(wrong, known) is not None


#: Calls that do not fit, of every door, and what they say; ``d`` is the frame, ``w`` its windows.
CALLS = [
    (lambda d, w: kseq.make_windows(d, look_back=12), "did you mean lookback?"),
    (lambda d, w: kseq.make_windows(d, window=12), "did you mean lookback?"),
    (lambda d, w: kseq.make_windows(d, n_steps_out=3), "did you mean horizon?"),
    (lambda d, w: kseq.compare(d, device="cuda:0"), "expected cpu or gpu; did you mean gpu?"),
    (lambda d, w: kseq.make_windows(d, target_col="y"), "did you mean target?"),
    (lambda d, w: kseq.make_windows(w.series, target="y"), "which is read already"),
    (lambda d, w: kseq.Forecaster(target="y"), "Forecaster(...).fit(df, target=...)"),
    (lambda d, w: kseq.Forecaster().fit(d, y="y"), "name the column with target='y'"),
    (lambda d, w: kseq.Forecaster().fit(d, taget="y"), "did you mean target?"),
    (lambda d, w: kseq.make_windows(d, 12, 1, 0.2), "expected at most 3 of kseq.make_windows: series, lookback"),
    (lambda d, w: kseq.make_windows(d, test=0.1, test_share=0.1), "expected one of them: they are the same"),
    (
        lambda d, w: kseq.make_windows(d, test_share=20),
        "test_share 20, expected a number between 0 and 1 (20 % is 0.2)",
    ),
    (lambda d, w: kseq.make_windows(d, dtype="foo"), "received dtype 'foo'"),
    (lambda d, w: kseq.make_windows(d, transform=3), "received transform 3"),
    (lambda d, w: kseq.make_windows(d, n_windows="3"), "received n_windows '3', expected a whole number"),
    (lambda d, w: kseq.make_windows(d, step_size=3), "received step_size without n_windows"),
    (lambda d, w: kseq.make_windows(d, split=3), "received split of type int"),
    (lambda d, w: kseq.judge({"a": d.y}, truth="x"), "received truth 'x'"),
    (lambda d, w: kseq.judge({"a": d.y}, truth=d.y, horizon="x"), "received horizon 'x'"),
    (lambda d, w: kseq.Comparison(w).write(3), "received type int, expected a path"),
    (lambda d, w: kseq.make_windows(), "received no series, expected kseq.make_windows(series, ...)"),
    (lambda d, w: kseq.tune(d, trial=3), "did you mean trials?"),
    (lambda d, w: kseq.tune(d, n_trials=3), "did you mean trials?"),
    (lambda d, w: kseq.tune(d, search_space={}), "did you mean space?"),
    (lambda d, w: kseq.tune(d, optimizer="adam"), "it cannot be set"),
    (lambda d, w: kseq.tune(d, space={"unit": (8,)}), "did you mean units?"),
    (lambda d, w: kseq.tune(d, space=3), "received a space of type int"),
    (lambda d, w: kseq.tune(d, unit=(8, 16)), "received unit (8, 16), expected a text"),
    (lambda d, w: kseq.audit(d, look_back=1), "an option of kseq.audit: did you mean lookback?"),
    (lambda d, w: kseq.explain(d, problem=1), "did you mean problems?"),
    (lambda d, w: kseq.explain(d, foo=1), "help(kseq.explain) lists them"),
    (lambda d, w: kseq.fit(d, foo=1), "help(kseq.fit) lists them"),
    (lambda d, w: kseq.fit(d, cell="gru", cells="lstm"), "received cell and cells"),
    (lambda d, w: kseq.judge(d, seasonality=1), "did you mean season?"),
    (lambda d, w: kseq.judge({"a": d.y}, y_true=d.y), "did you mean truth?"),
    (lambda d, w: kseq.judge(d.y, truth=d.y), "expected arrays by names of models"),
    (lambda d, w: kseq.judge({"mine": d.y}, truth=d.y, baselines=["mien"]), "did you mean mine?"),
    (lambda d, w: kseq.Forecaster(look_back=1), "did you mean lookback?"),
    (lambda d, w: kseq.Forecaster(optimizer=1), "it cannot be set"),
    (lambda d, w: kseq.Forecaster(foo=1), "help(kseq.Forecaster) lists them"),
    (lambda d, w: kseq.Forecaster(*range(40)), "received 40 values without names"),
    (lambda d, w: kseq.Forecaster().predict(horizon=3), "did you mean h?"),
    (lambda d, w: kseq.Forecaster().cross_validation(d, folds=3), "did you mean n_windows?"),
    (lambda d, w: kseq.Forecaster().fit(), "received no df"),
    (lambda d, w: kseq.Forecaster.load(12), "expected a path"),
    (lambda d, w: kseq.Comparison(d), "expected windows: kseq.Comparison(kseq.make_windows(series))"),
    (lambda d, w: kseq.Comparison(), "received no data"),
    (lambda d, w: kseq.Comparison(w, lookback=3), "kseq.make_windows has it"),
    (lambda d, w: kseq.Comparison(w, "gru"), "received settings of type str"),
    (lambda d, w: kseq.Comparison(w).add("GRU"), "expected a row"),
    (lambda d, w: kseq.Comparison(w).scores("GRU", "mae"), "received row 'GRU', and there is none yet"),
    (lambda d, w: kseq.Comparison(w).best, "no rows yet"),
    (lambda d, w: kseq.Comparison(w).plot("x.pngg"), "expected a name that ends in one of"),
    (lambda d, w: kseq.Comparison(w).write(), "received no path"),
    (lambda d, w: kseq.forecast(d, 12), "expected one from kseq.fit or kseq.load_model"),
    (lambda d, w: kseq.forecast(d, h=12), "did you mean steps?"),
    (lambda d, w: kseq.load_model(12), "expected a path"),
    (lambda d, w: kseq.load_series(nam="co2"), "did you mean name?"),
    (lambda d, w: kseq.read_csv("nofile.csv", delimiter=";"), "did you mean sep?"),
    (lambda d, w: kseq.read_parquet(12), "expected a path"),
    (lambda d, w: kseq.read_panel("nofile.csv", foo=1), "help(kseq.read_panel) lists them"),
    (lambda d, w: kseq.from_frame(d, date="ds"), "did you mean time?"),
    (lambda d, w: kseq.from_frame(d, unit=12), "received unit 12, expected a text"),
    (lambda d, w: kseq.panel_from_frame(d, unique_id="ds"), "did you mean id?"),
    (lambda d, w: kseq.export(12), "expected a path"),
    (lambda d, w: kseq.Space(unit=(8,)), "did you mean units?"),
    (lambda d, w: kseq.Settings(epochs=5), "it is one of training"),
    (lambda d, w: kseq.Settings(test_share=0.2), "did you mean test?"),
    (lambda d, w: kseq.Settings(training={"epoch": 5}), "did you mean epochs?"),
]


@pytest.mark.parametrize(("call", "said"), CALLS, ids=[said for _, said in CALLS])
def test_a_call_that_does_not_fit(frame, call, said):
    with pytest.raises(kseq.KseqError) as error:
        call(frame, kseq.make_windows(frame))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unit": 2}, "received unit 2, expected a text, the unit of the target such as '°C'; the size of the networks "
         "is units=2."),
        ({"cell": "gru"}, "received cell 'gru', which kseq has; expected it among the cells"),
        ({"cell": "foo"}, "rnn, lstm and gru are among the cells"),
        ({"cells": "gruu"}, "did you mean gru?"),
        ({"cells": "theta"}, "theta is one of the baselines"),
        ({"cells": 12}, "received cells 12"),
        ({"baselines": "thteta"}, "did you mean theta?"),
        ({"baselines": "naive"}, "did you mean persistence?"),
        ({"baselines": "GRU"}, "gru is one of the cells"),
        ({"rivals": "theta"}, "theta, are among the baselines"),
        ({"rivals": [object()]}, "expected regressors by their names"),
        ({"test_share": 20}, "received test_share 20, expected a number between 0 and 1 (20 % is 0.2)."),
        ({"test": 20}, "received test 20, expected a number between 0 and 1"),
        ({"test_share": 1e-9}, "expected a number from 1e-06 to 0.999999"),
        ({"validation_share": 1}, "received validation_share 1, expected 0 or a number between 0 and 1."),
        ({"level": 0.95}, "received level 0.95, expected percentages"),
        ({"layers": 0}, "expected a whole number from 1"),
        ({"metric": "mea"}, "did you mean mae?"),
        ({"scaler": "StandardScaler"}, "did you mean standard?"),
        ({"backend": "pytorch"}, "did you mean torch?"),
        ({"horizons": 3}, "received horizons 3, expected a mapping"),
        ({"by_cell": {"gru": 3}}, "received by_cell 3 for 'gru'"),
        ({"training": 3}, "received training 3, expected a mapping"),
        ({"own": 3}, "received own 3, expected a mapping"),
        ({"transform": ["anomaly"]}, "received transform ('anomaly',), expected a text"),
        ({"out": 3}, "received type int, expected a path"),
        ({"keep": 3}, "received type int, expected a path"),
        ({"freq": 12}, "received freq 12, expected a frequency"),
        ({"time": 12}, "received column '12', expected one of: ds, y"),
        ({"target": 12}, "received column '12', expected one of: ds, y"),
    ],
)  # fmt: skip
def test_values_that_cannot_be(frame, options, said):
    with pytest.raises(kseq.KseqError) as error:
        kseq.compare(frame, **{**QUICK, **options})
    assert said in str(error.value)


def test_a_unit_is_told_of_a_built_in_series_too():
    with pytest.raises(ConfigError, match="the size of the networks is units=2"):
        kseq.compare("nino12", unit=2)


def test_rows_by_the_names_that_a_table_prints(frame):
    made = kseq.compare("nino12", cells=())
    printed = [row.name for row in made.rows]
    again = kseq.compare("nino12", cells=(), baselines=printed)
    assert [row.name for row in again.rows] == printed
    in_one_text = kseq.compare("nino12", cells=(), baselines=", ".join(printed))
    assert [row.name for row in in_one_text.rows] == printed
    own = kseq.Comparison(kseq.make_windows(frame))
    own.add_baselines(["Theta", "AR(12)"])
    assert own.scores("theta", "mae") == own.scores(own.row("Theta"), "mae")
    assert own.intervals("Theta").keys() == own.intervals(own.row("Theta")).keys()
    with pytest.raises(ConfigError, match="did you mean Theta"):
        own.scores("Thteta", "mae")
    with pytest.raises(ConfigError, match="received by 'steps'"):
        own.scores("Theta", "mae", by="steps")


def test_windows_by_the_names_of_the_command(frame):
    one = kseq.make_windows(frame, test_share=0.1, validation_share=0.3, transform="anomaly")
    assert one.transform.label == "anomaly (season 12)"
    other = kseq.make_windows(frame, test=0.1, validation=0.3)
    assert [len(part) for part in (one.train, one.validation, one.test)] == [
        len(part) for part in (other.train, other.validation, other.test)
    ]


def test_messages_are_in_the_words_of_their_door(frame, tmp_path):
    def told(error):
        return error.value.told(lambda name: option_of(command, name))

    with pytest.raises(DataError) as missing:
        kseq.compare(tmp_path / "nofile.csv")
    assert str(missing.value) == f"received {tmp_path}/nofile.csv, which does not exist; expected a CSV file."
    assert told(missing).startswith(f"received --csv {tmp_path}/nofile.csv, which")
    frame.loc[5, "y"] = np.nan
    with pytest.raises(DataError) as gap:
        kseq.compare(frame, **QUICK)
    assert "give fill='ffill' (or seasonal" in str(gap.value)
    assert "give --fill ffill (or seasonal" in told(gap)
    with pytest.raises(DataError) as order:
        kseq.compare(frame.iloc[::-1], **QUICK)
    assert "give sort=True" in str(order.value)
    assert "give --sort and --fill ffill" in told(order)
    with pytest.raises(ConfigError) as share:
        kseq.compare(frame, test_share=20)
    assert told(share).startswith("received --test-share 20")


def test_numbers_and_texts_where_several_are_usual(frame):
    named = kseq.compare(frame, **QUICK, name="sales", features=())
    assert named.data.series.name == "sales"
    with pytest.raises(ConfigError, match="expected at most 3, the settings that the space holds"):
        kseq.tune(frame, units="2,3,4", layers=1, lookback=3, learning_rate=0.01, dropout=0, weight_decay=0)


def test_a_forecaster_takes_one_level_and_frames_of_newer_rows(frame):
    fitted = kseq.Forecaster("gru", lookback=6, units=2, epochs=1, level=90).fit(frame[:100])
    assert list(fitted.predict(2))[-2:] == ["GRU-lo-90", "GRU-hi-90"]
    assert list(fitted.predict(2, level=80))[-2:] == ["GRU-lo-80", "GRU-hi-80"]
    later = kseq.forecast(fitted.fitted, 2, rows=frame)
    assert later.dates[0] == pd.Timestamp("2011-01-01")
    with pytest.raises(ConfigError, match="received level 500"):
        fitted.predict(2, level=500)
    with pytest.raises(DataError, match="received X_df of type int"):
        fitted.predict(2, X_df=3)


def test_pieces_of_a_message_travel_to_other_processes():
    for part in (Given("fill", "ffill"), FileOption("read_csv"), Parameter("units")):
        error = ConfigError("give ", part, ".")
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_signatures_name_every_option():
    for function in (kseq.compare, kseq.tune, kseq.audit, kseq.fit, kseq.explain):
        names = inspect.signature(function).parameters
        assert {"epochs", "seeds", "units", "test_share", "target", "out", "backend"} <= set(names)
        assert not any(one.kind is one.VAR_KEYWORD for one in names.values())
    for function in (kseq.read_csv, kseq.read_panel, kseq.read_parquet):
        assert {"sep", "freq", "id", "target"} <= set(inspect.signature(function).parameters)
    assert "test_share" in inspect.signature(kseq.make_windows).parameters
    assert list(inspect.signature(kseq.Settings).parameters)[:2] == ["cells", "baselines"]
    assert list(inspect.signature(kseq.Evaluation).parameters)[:2] == ["comparison", "name"]
    assert list(inspect.signature(kseq.Forecaster).parameters)[:3] == ["cell", "lookback", "horizon"]
