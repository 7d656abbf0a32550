import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics

from kseq import Comparison, ConfigError, load_series, make_windows
from kseq.baselines import baseline_row
from kseq.evaluation import metrics
from kseq.preprocessing.seasonality import season_of

pytestmark = pytest.mark.above_backends


def test_metrics_equal_scikit_learn():
    generator = np.random.default_rng(0)
    y, y_hat = generator.normal(20, 3, 200), generator.normal(20, 3, 200)
    assert metrics.mae(y, y_hat) == pytest.approx(sklearn_metrics.mean_absolute_error(y, y_hat))
    assert metrics.rmse(y, y_hat) == pytest.approx(sklearn_metrics.root_mean_squared_error(y, y_hat))
    assert metrics.mape(y, y_hat) == pytest.approx(100 * sklearn_metrics.mean_absolute_percentage_error(y, y_hat))


def test_mape_gives_no_number_near_zero():
    y = np.array([0.0, 1.0, 2.0])
    assert np.isnan(metrics.mape(y, y))
    assert metrics.mape_reason(y) == "1 of 3 targets is at or near zero"
    assert metrics.mape_reason(y + 1) is None


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("persistence", "Persistence", (0.984, 1.164, 4.22)),
        ("seasonal-naive", "Seasonal naive (12)", (1.055, 1.438, 4.69)),
    ],
)
def test_reference_values_on_nino12(name, label, expected):
    comparison = Comparison(make_windows(load_series("nino12")))
    comparison.add_baselines([name])
    line = comparison.table.iloc[0]
    assert line["model"] == label
    assert (round(line["mae"], 3), round(line["rmse"], 3), round(line["mape"], 2)) == expected


def test_baselines_of_several_steps_repeat_the_season():
    data = make_windows(load_series("nino12"), horizon=15)
    y = data.series.y
    naive, seasonal = (baseline_row(name, data).predictions[0] for name in ("persistence", "seasonal-naive"))
    first = data.test.target_rows[0, 0]
    assert (naive[0] == y[first - 1]).all()
    assert (seasonal[0, :12] == y[first - 12 : first]).all()
    assert (seasonal[0, 12:] == y[first - 12 : first - 9]).all()


def test_unknown_baseline_and_season_out_of_range():
    data = make_windows(load_series("sunspots"))
    with pytest.raises(ConfigError, match="received baseline 'prophet'"):
        baseline_row("prophet", data)
    assert "fewer than two seasons of 500" in baseline_row("seasonal-naive", data, season=500).reason
    assert baseline_row("seasonal-naive", data).reason == "its dates show no season"
    assert baseline_row("seasonal-naive", data, season=11).name == "Seasonal naive (11)"


@pytest.mark.parametrize(
    ("frequency", "season"), [("MS", 12), ("QS", 4), ("W", 52), ("D", 7), ("h", 24), ("30min", 48), ("YS", 1)]
)
def test_season_from_dates(frequency, season):
    assert season_of(pd.date_range("2000-01-01", periods=400, freq=frequency)) == season


def test_season_of_six_dates_a_month_and_of_row_numbers():
    days = (3, 8, 13, 18, 23, 28)
    index = pd.DatetimeIndex([f"{y}-{m:02}-{d:02}" for y in range(1980, 1990) for m in range(1, 13) for d in days])
    assert season_of(index) == 72
    assert season_of(pd.RangeIndex(100)) == 1
