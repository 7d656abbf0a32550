import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from utilsforecast.data import generate_series
from utilsforecast.evaluation import evaluate
from utilsforecast.losses import mae, rmse

import kseq
from kseq import ConfigError, DataError, Forecaster
from kseq.forecasting.forecast import forecast

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

QUICK = {"units": 3, "lookback": 4, "epochs": 2, "learning_rate": 0.01, "transform": "none"}


def monthly(rows=48, name="plant", **columns):
    y = 10 + np.random.default_rng(0).normal(size=rows).cumsum()
    dates = pd.date_range("2000-01-01", periods=rows, freq="MS")
    return pd.DataFrame({"unique_id": name, "ds": dates, "y": y, **columns})


@pytest.fixture(scope="module")
def fitted():
    return Forecaster(**QUICK, level=(50, 80)).fit(monthly())


@pytest.mark.parametrize(
    "check",
    [
        "check_parameters_default_constructible",
        "check_no_attributes_set_in_init",
        "check_get_params_invariance",
        "check_set_params",
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_estimator_cloneable",
        "check_estimator_repr",
    ],
)
def test_scikit_learns_checks_of_parameters(check):
    getattr(estimator_checks, check)("Forecaster", Forecaster())


def test_clone_and_parameters():
    forecaster = Forecaster("lstm", units=(4, 2), level=(90,), seed=7)
    copy = clone(forecaster)
    assert copy is not forecaster
    assert copy.get_params() == forecaster.get_params()
    assert repr(copy) == "Forecaster(cell='lstm', units=(4, 2), seed=7, level=(90,))"
    assert copy.set_params(cell="rnn", n_seeds=2) is copy
    assert (copy.cell, copy.n_seeds, copy.units) == ("rnn", 2, (4, 2))
    with pytest.raises(ConfigError, match="received cells, expected an option of"):
        copy.set_params(cells="gru")


def test_a_clone_is_not_fitted(fitted):
    with pytest.raises(ConfigError, match="this Forecaster is not fitted yet; call fit"):
        clone(fitted).predict()
    with pytest.raises(ConfigError, match="not fitted yet"):
        Forecaster().save("model.keras")


def test_forecasts_as_nixtlas_packages_give_them(fitted):
    frame = fitted.predict(3)
    assert frame.columns.tolist() == ["unique_id", "ds", "GRU", "GRU-lo-50", "GRU-hi-50", "GRU-lo-80", "GRU-hi-80"]
    assert frame["unique_id"].tolist() == ["plant"] * 3
    assert frame["ds"].tolist() == pd.date_range("2004-01-01", periods=3, freq="MS").tolist()
    assert frame.attrs["notes"] == ["The model forecasts 1 step at once: from step 2 on it reads its own forecasts."]
    assert len(fitted.predict()) == 1
    assert fitted.predict(2, level=()).columns.tolist() == ["unique_id", "ds", "GRU"]


def test_fitting_again_starts_anew():
    forecaster = Forecaster(**QUICK)
    first = forecaster.fit(monthly()).predict(3)
    forecaster.fit(monthly(30))
    assert forecaster.fit(monthly()).predict(3).equals(first)


def test_a_series_and_a_frame_by_id(fitted):
    by_id = monthly().set_index("unique_id")
    assert Forecaster(**QUICK, level=(50, 80)).fit(by_id).predict(2).equals(fitted.predict(2))
    series = kseq.from_frame(monthly(), name="plant")
    assert Forecaster(**QUICK, level=(50, 80)).fit(series).predict(2).equals(fitted.predict(2))
    bare = Forecaster(**QUICK).fit(monthly()[["y"]]).predict(2)
    assert bare["ds"].tolist() == [48, 49]
    assert bare["unique_id"].tolist() == ["series"] * 2


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (monthly().drop(columns="y"), "no target named"),
        (monthly(6).assign(y=1.0), "constant"),
        (object(), "received type object, expected a DataFrame"),
        (monthly(5), "received a series of 5 rows, expected at least 6"),
    ],
)
def test_frames_that_are_refused(frame, message):
    with pytest.raises(DataError, match=message):
        Forecaster(**QUICK).fit(frame)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"cell": "transformer"}, "received cell 'transformer', expected one of rnn, lstm, gru"),
        ({"epochs": 0}, "received epochs 0"),
        ({"lookback": 0}, "received lookback 0"),
        ({"n_seeds": 0}, "received n_seeds 0"),
        ({"level": (120,)}, "expected percentages between 0 and 100"),
    ],
)
def test_wrong_parameters_are_told_by_fit(parameters, message):
    with pytest.raises(ConfigError, match=message):
        Forecaster(**{**QUICK, **parameters}).fit(monthly())


def test_cross_validation_is_what_utilsforecast_evaluates():
    frame = Forecaster(**QUICK, level=(50,)).cross_validation(monthly(), h=3, n_windows=4, step_size=2)
    assert frame.columns.tolist() == ["unique_id", "ds", "cutoff", "y", "GRU", "GRU-lo-50", "GRU-hi-50"]
    cutoffs = pd.to_datetime(["2003-03-01", "2003-05-01", "2003-07-01", "2003-09-01"])
    assert frame["cutoff"].tolist() == cutoffs.repeat(3).tolist()
    truth = monthly().set_index("ds")["y"]
    assert frame["y"].tolist() == truth[frame["ds"]].tolist()
    assert frame["ds"].iloc[-1] == truth.index[-1]
    scores = evaluate(frame.drop(columns="cutoff"), [mae, rmse], models=["GRU"])
    assert scores.set_index("metric")["GRU"]["mae"] == pytest.approx((frame["y"] - frame["GRU"]).abs().mean())


@pytest.mark.parametrize("refit", [False, True])
def test_folds_are_what_a_forecaster_says_that_knows_no_more(refit):
    forecaster = Forecaster(**QUICK, horizon=2)
    frame = forecaster.cross_validation(monthly(), n_windows=3, refit=refit)
    assert not hasattr(forecaster, "model_")
    first = clone(forecaster).fit(monthly(42)).predict()
    last = clone(forecaster).fit(monthly(46)).predict()
    assert frame["GRU"][:2].tolist() == first["GRU"].tolist()
    assert (frame["GRU"][4:].tolist() == last["GRU"].tolist()) is refit


def test_no_value_after_a_cutoff_moves_its_forecast():
    frame = monthly()
    frame.loc[[20, 41], "y"] = np.nan
    other = frame.copy()
    other.loc[42:, "y"] = 100.0 + np.arange(6)
    series = [kseq.from_frame(given, fill="linear") for given in (frame, other)]
    made = [Forecaster(**QUICK).cross_validation(given, h=2, n_windows=3, refit=True) for given in series]
    assert made[0]["GRU"][:2].tolist() == made[1]["GRU"][:2].tolist()
    assert made[0]["GRU"][4:].tolist() != made[1]["GRU"][4:].tolist()


def test_covariates():
    frame = monthly(50, rain=np.random.default_rng(1).normal(size=50), price=np.random.default_rng(2).normal(size=50))
    forecaster = Forecaster(**QUICK, features=["rain"], future=["price"]).fit(frame[:48])
    with pytest.raises(DataError, match="'price' is missing at 1 of 1 steps to come"):
        forecaster.predict()
    ahead = frame[48:].drop(columns="y")
    assert len(forecaster.predict(2, X_df=ahead)) == 2
    folds = Forecaster(**QUICK, features=["rain"], future=["price"]).cross_validation(frame, h=2)
    assert folds["GRU"].tolist() == forecaster.predict(2, X_df=ahead)["GRU"].tolist()
    one = Forecaster(**QUICK, features=["rain"], future=["price"]).cross_validation(frame[:49])
    assert one["GRU"].tolist() == folds["GRU"][:1].tolist()


@pytest.mark.parametrize(
    ("numbers", "message"),
    [({"h": 0}, "received h 0"), ({"n_windows": 1.5}, "received n_windows 1.5"), ({"step_size": -1}, "step_size -1")],
)
def test_numbers_of_a_cross_validation(numbers, message):
    with pytest.raises(ConfigError, match=message):
        Forecaster(**QUICK).cross_validation(monthly(), **numbers)


def test_too_many_windows():
    with pytest.raises(DataError, match="received a series of 48 rows, expected more than 50, which n_windows 50"):
        Forecaster(**QUICK).cross_validation(monthly(), n_windows=50)


def several(rows=48, **columns):
    """Two series, of which the second is ten times as large and begins a year later."""
    other = monthly(rows - 12, name="other").assign(ds=monthly(rows)["ds"].tolist()[12:])
    return pd.concat([other.assign(y=10 * other["y"]), monthly(rows)], ignore_index=True).assign(**columns)


def test_several_series():
    forecaster = Forecaster(**QUICK, level=(50,)).fit(several())
    made = forecaster.predict(2)
    assert made.columns.tolist() == ["unique_id", "ds", "GRU", "GRU-lo-50", "GRU-hi-50"]
    assert made["unique_id"].tolist() == ["other"] * 2 + ["plant"] * 2
    assert made["ds"].tolist() == [*pd.date_range("2004-01-01", periods=2, freq="MS")] * 2
    assert forecaster.model_.card.context.ids.tolist() == ["other", "plant"]
    panel = kseq.panel_from_frame(several())
    assert Forecaster(**QUICK, level=(50,)).fit(panel).predict(2).equals(made)
    assert Forecaster(**QUICK, level=(50,)).fit(several().set_index("unique_id")).predict(2).equals(made)


def test_several_series_saved_and_loaded(tmp_path):
    frame = several().assign(kind=several()["unique_id"])
    forecaster = Forecaster(**QUICK, static=("kind",)).fit(frame)
    again = Forecaster.load(forecaster.save(tmp_path / "model.keras"))
    assert again.get_params() == forecaster.get_params()
    assert again.model_.card.input_columns == ("y", "kind=other", "kind=plant")
    pd.testing.assert_frame_equal(again.predict(4), forecaster.predict(4), rtol=1e-6)


def test_folds_of_several_series_are_what_utilsforecast_evaluates():
    frame = Forecaster(**QUICK, level=(50,)).cross_validation(several(), h=3, n_windows=4, step_size=2)
    assert frame.columns.tolist() == ["unique_id", "ds", "cutoff", "y", "GRU", "GRU-lo-50", "GRU-hi-50"]
    truth = several().set_index(["unique_id", "ds"])["y"]
    known = truth.loc[list(zip(frame["unique_id"], frame["ds"], strict=True))]
    assert frame["y"].to_numpy() == pytest.approx(known.to_numpy(), rel=1e-6)
    cutoffs = pd.to_datetime(["2003-03-01", "2003-05-01", "2003-07-01", "2003-09-01"])
    for _, part in frame.groupby("unique_id"):
        assert part["cutoff"].tolist() == cutoffs.repeat(3).tolist()
    scores = evaluate(frame.drop(columns="cutoff"), [mae], models=["GRU"])
    assert scores.set_index("unique_id")["GRU"].to_dict() == pytest.approx(
        (frame["y"] - frame["GRU"]).abs().groupby(frame["unique_id"]).mean().to_dict()
    )


@pytest.mark.parametrize("refit", [False, True])
def test_folds_of_several_series_know_no_more_than_what_came_before(refit):
    forecaster = Forecaster(**QUICK, horizon=2)
    frame = forecaster.cross_validation(several(), n_windows=3, refit=refit)
    first = clone(forecaster).fit(several()[lambda part: part["ds"] < "2003-07-01"]).predict()
    last = clone(forecaster).fit(several()[lambda part: part["ds"] < "2003-11-01"]).predict()
    assert frame["GRU"][:4].tolist() == first["GRU"].tolist()
    assert (frame["GRU"][8:].tolist() == last["GRU"].tolist()) is refit


def test_covariates_of_several_series():
    rng = np.random.default_rng(1)
    frame = several(50, rain=rng.normal(size=88), price=rng.normal(size=88))
    later = frame["ds"] >= "2004-01-01"
    forecaster = Forecaster(**QUICK, features=["rain"], future=["price"]).fit(frame[~later])
    with pytest.raises(DataError, match="'price' is missing at 2 of 2 steps to come"):
        forecaster.predict()
    ahead = frame[later].drop(columns="y")
    folds = Forecaster(**QUICK, features=["rain"], future=["price"]).cross_validation(frame, h=2)
    assert folds["GRU"].to_numpy() == pytest.approx(forecaster.predict(2, X_df=ahead)["GRU"].to_numpy(), rel=1e-6)


def test_too_many_windows_of_several_series():
    with pytest.raises(
        DataError, match="received series of 48 rows at most, expected more than 50, which n_windows 50"
    ):
        Forecaster(**QUICK).cross_validation(several(), n_windows=50)


def test_saved_and_loaded(fitted, tmp_path):
    path = fitted.save(tmp_path / "model.keras")
    again = Forecaster.load(path)
    assert again.predict(4).equals(fitted.predict(4))
    assert again.get_params() == fitted.get_params()
    assert clone(again).fit(monthly()).predict(4).equals(fitted.predict(4))


def test_neither_keras_nor_scikit_learn_is_loaded_before_it_is_fitted():
    code = (
        "import sys, kseq; kseq.Forecaster(units=8).set_params(cell='lstm'); "
        "sys.exit(bool({'keras', 'torch', 'tensorflow', 'jax', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_scikit_learn_searches_over_it():
    search = GridSearchCV(Forecaster(**QUICK), {"cell": ["rnn", "gru"]}, cv=TimeSeriesSplit(2, test_size=6))
    search.fit(monthly())
    assert search.best_params_["cell"] in ("rnn", "gru")
    # What it scores is the mean absolute error of forecasts of the rows after each fold.
    known, newer = monthly()[:42], monthly()[42:]
    fitted = Forecaster(**QUICK, cell="gru").fit(known)
    assert search.cv_results_["split1_test_score"][1] == pytest.approx(fitted.score(newer), rel=1e-5)
    made = [forecast(fitted.model_, 1, rows=kseq.from_frame(monthly()[: 42 + row])).values.item() for row in range(6)]
    assert fitted.score(newer) == pytest.approx(-np.abs(made - newer["y"]).mean(), rel=1e-5)


def test_it_is_the_last_step_of_a_pipeline():
    scaled = Pipeline(
        [("double", FunctionTransformer(lambda df: df.assign(y=2 * df["y"]))), ("net", Forecaster(**QUICK))]
    )
    scaled.fit(monthly()[:42])
    twice = monthly().assign(y=lambda df: 2 * df["y"])
    alone = Forecaster(**QUICK).fit(twice[:42])
    assert scaled.score(monthly()[42:]) == pytest.approx(alone.score(twice[42:]), rel=1e-6)
    frame = monthly()
    apart = Forecaster(**QUICK).fit(frame.drop(columns="y")[:42], frame["y"][:42])
    assert apart.predict(2).equals(Forecaster(**QUICK).fit(frame[:42]).predict(2))


def test_frames_go_to_utilsforecast_and_back():
    frame = generate_series(2, freq="D", min_length=40, max_length=45)
    forecaster = Forecaster(**QUICK, horizon=3).fit(frame)
    made = forecaster.cross_validation(frame, n_windows=2)
    scores = evaluate(made, metrics=[mae, rmse], models=["GRU"])
    expected = (made["GRU"] - made["y"]).abs().groupby(made["unique_id"]).mean()
    own = scores[scores["metric"] == "mae"].groupby("unique_id", observed=True)["GRU"].mean()
    np.testing.assert_allclose(own, expected.loc[own.index.astype(str)], rtol=1e-9)
    # What was forecast is read again, as history or by the judge.
    again = pd.concat(
        [frame.astype({"unique_id": str}), forecaster.predict(3).rename(columns={"GRU": "y"})[["unique_id", "ds", "y"]]]
    )
    assert kseq.panel_from_frame(again).lengths.tolist() == [
        length + 3 for length in kseq.panel_from_frame(frame).lengths
    ]
