"""The adapter for sktime; CI has no sktime, whose pandas is older than the one that is pinned."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kseq.errors import ConfigError
from kseq.forecasting.forecaster import Forecaster

pytest.importorskip("sktime")

from kseq.forecasting.sktime import KseqForecaster

pytestmark = [
    pytest.mark.above_backends,
    pytest.mark.filterwarnings("ignore:The default of config:FutureWarning"),
]

QUICK = {"lookback": 4, "units": 3, "epochs": 1, "transform": "none"}


def monthly(index):
    return pd.Series(10 + np.random.default_rng(0).normal(size=48).cumsum(), index=index, name="sst")


@pytest.mark.parametrize("index", [pd.period_range("2000-01", periods=48, freq="M"), pd.RangeIndex(48)], ids=type)
def test_forecasts_are_those_of_the_forecaster_at_the_steps_that_are_asked_for(index):
    y = monthly(index)
    adapter = KseqForecaster(**QUICK).fit(y, fh=[1, 3])
    made, alone = adapter.predict(), Forecaster(**QUICK)
    frame = pd.DataFrame({"y": y.to_numpy()})
    if isinstance(index, pd.PeriodIndex):
        frame["ds"] = index.to_timestamp()
    expected = alone.fit(frame).predict(3, level=(80,))
    np.testing.assert_allclose(made, expected["GRU"].iloc[[0, 2]])
    assert made.index.tolist() == [index[-1] + 1, index[-1] + 3]
    bounds = adapter.predict_interval(coverage=0.8)
    np.testing.assert_allclose(bounds, expected[["GRU-lo-80", "GRU-hi-80"]].iloc[[0, 2]])


def test_columns_of_x_are_known_ahead():
    index = pd.period_range("2000-01", periods=52, freq="M")
    x = pd.DataFrame({"price": np.random.default_rng(1).normal(size=52)}, index=index)
    y = monthly(index[:48])
    adapter = KseqForecaster(**QUICK, horizon=2).fit(y, X=x[:48])
    made = adapter.predict(fh=[1, 2, 3], X=x[48:51])
    assert not np.allclose(made, adapter.predict(fh=[1, 2, 3], X=x[48:51] + 1))


def test_an_interval_of_which_too_few_errors_are_known_is_the_whole_line():
    y = monthly(pd.RangeIndex(48))
    adapter = KseqForecaster(**QUICK).fit(y, fh=[1, 2])
    # Seven errors of one step ahead and six of two: they bound 87.5 and 85.7 % at most.
    known, wide = (adapter.predict_interval(coverage=share).to_numpy() for share in (0.8, 0.9))
    assert np.isfinite(known).all()
    assert np.isinf(wide).all()
    assert (wide[:, 0] < wide[:, 1]).all()
    quantiles = adapter.predict_quantiles(alpha=[0.05, 0.5])
    np.testing.assert_array_equal(quantiles.iloc[:, 0], [-np.inf, -np.inf])
    np.testing.assert_allclose(quantiles.iloc[:, 1], adapter.predict())


def test_without_a_validation_part_there_are_no_intervals():
    adapter = KseqForecaster(**QUICK, validation=0.0).fit(monthly(pd.RangeIndex(48)), fh=[1])
    with pytest.raises(ConfigError, match="without a validation part"):
        adapter.predict_interval(coverage=0.8)


def test_the_snippet_of_the_page_runs_as_it_stands():
    page = (Path(__file__).parents[3] / "docs/elsewhere.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```py\n(from kseq\.forecasting\.sktime .*?)```", page, flags=re.DOTALL)
    # The page trains for as long as the default asks; what it shows are names and shapes.
    short = snippet.replace("horizon=12)", "horizon=12, epochs=1, units=3)")
    assert short != snippet
    index = pd.period_range("2000-01", periods=132, freq="M")
    prices = pd.DataFrame({"price": np.random.default_rng(1).normal(size=132)}, index=index)
    y = pd.Series(10 + np.random.default_rng(0).normal(size=120).cumsum(), index=index[:120], name="sst")
    names = {"y": y, "prices": prices[:120], "prices_ahead": prices[120:]}
    exec(short, names)
    assert names["forecaster"].predict(X=prices[120:]).index.tolist() == index[120:].tolist()


# What sktime itself warns of: packages that it would like, and what later versions of pandas will do.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_sktime_checks_it():
    from sktime.utils.estimator_checks import check_estimator

    results = check_estimator(KseqForecaster, raise_exceptions=False, verbose=False)
    assert {name: result for name, result in results.items() if result != "PASSED"} == {}
