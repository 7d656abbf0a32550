"""Files that other packages wrote, by the scripts of ``examples/judge/``, judged as they are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kseq

pytestmark = pytest.mark.above_backends

FILES = Path(__file__).parents[3] / "examples/judge/forecasts"


@pytest.fixture(scope="module")
def series():
    return kseq.load_series("nino12")


def judged(name, series):
    made = kseq.judge(FILES / name, series, season=12)
    return made, made.table.set_index("model")


def true_values(series, dates):
    return pd.Series(series.y[:, 0], series.index)[pd.to_datetime(dates)].to_numpy()


def test_statsforecast_cross_validation(series):
    made, table = judged("statsforecast_cross_validation.csv", series)
    frame = pd.read_csv(FILES / "statsforecast_cross_validation.csv")
    assert (made.data.horizon, len(made.data.test)) == (6, 6)
    assert table["kind"].to_dict() == {"AutoETS": "model", "SeasonalNaive": "baseline"}
    assert table.loc["AutoETS", "mae"] == pytest.approx((frame["AutoETS"] - frame["y"]).abs().mean())
    width = (frame["AutoETS-hi-95"] - frame["AutoETS-lo-95"]).mean()
    assert table.loc["AutoETS", "width_95"] == pytest.approx(width)
    assert table[["wql", "coverage_80", "mase"]].notna().all(axis=None)


def test_statsforecast_forecast_without_cutoff_and_truth(series):
    made, table = judged("statsforecast_forecast.parquet", series)
    frame = pd.read_parquet(FILES / "statsforecast_forecast.parquet")
    errors = frame["SeasonalNaive"].to_numpy() - true_values(series, frame["ds"])
    assert table.loc["SeasonalNaive", "mae"] == pytest.approx(np.abs(errors).mean())
    assert any("Forecasts have no cutoffs" in text for text in made.cautions)


def test_neuralforecast_quantiles_and_seeds(series):
    made, table = judged("neuralforecast.csv", series)
    frame = pd.read_csv(FILES / "neuralforecast.csv")
    assert table["kind"].to_dict() == {"NHITS": "model", "MLP": "model"}
    assert table.loc["NHITS", "mae"] == pytest.approx((frame["NHITS-median"] - frame["y"]).abs().mean(), rel=1e-5)
    assert table.loc["NHITS", "coverage_80"] > 0
    own = [(frame[f"MLP (seed {seed})"] - frame["y"]).abs().mean() for seed in (1, 2)]
    assert (table.loc["MLP", "seeds"], table.loc["MLP", "mae"]) == (2, pytest.approx(np.mean(own), rel=1e-5))
    assert (made.data.horizon, len(made.data.test)) == (6, 6)


def test_darts_one_step_ahead(series):
    made, table = judged("darts_one_step.csv", series)
    frame = pd.read_csv(FILES / "darts_one_step.csv")
    assert list(table.index) == ["sst"]
    assert table.loc["sst", "mae"] == pytest.approx((frame["sst"] - true_values(series, frame["ds"])).abs().mean())
    assert len(made.data.test) == 36


def test_darts_quantiles_are_a_forecast_and_its_bounds(series):
    _, table = judged("darts_quantiles.csv", series)
    frame = pd.read_csv(FILES / "darts_quantiles.csv")
    y = true_values(series, frame["ds"])
    assert list(table.index) == ["sst"]
    assert table.loc["sst", "mae"] == pytest.approx((frame["sst_q0.500"] - y).abs().mean())
    assert table.loc["sst", "width_80"] == pytest.approx((frame["sst_q0.900"] - frame["sst_q0.100"]).mean())


def test_skforecast_folds(series):
    made, table = judged("skforecast.csv", series)
    frame = pd.read_csv(FILES / "skforecast.csv", index_col=0)
    assert (made.data.horizon, len(made.data.test)) == (6, 6)
    assert table.loc["pred", "mae"] == pytest.approx((frame["pred"] - true_values(series, frame.index)).abs().mean())
    assert any("Bounds without a level" in text for text in made.cautions)


def test_skforecast_of_several_series(series):
    y = pd.Series(series.y[:, 0], series.index)
    known = pd.concat([pd.DataFrame({"unique_id": name, "ds": y.index, "y": own.to_numpy()})
                       for name, own in (("nino12", y), ("warmer", 1.1 * y + 2))])  # fmt: skip
    made = kseq.judge(FILES / "skforecast_series.csv", known, season=12)
    frame = pd.read_csv(FILES / "skforecast_series.csv", index_col=0)
    both = frame.set_axis(pd.to_datetime(frame.index)).groupby("level")["pred"]
    errors = [(own - y[own.index] * (1.1 if name == "warmer" else 1) - 2 * (name == "warmer")).abs().mean()
              for name, own in both]  # fmt: skip
    assert made.table["mae"].tolist() == pytest.approx([np.mean(errors)])
    assert made.measure == "mase"


@pytest.mark.parametrize(
    ("name", "horizon"),
    [
        ("statsforecast_cross_validation.csv", 6), ("statsforecast_forecast.parquet", 12), ("neuralforecast.csv", 6),
        ("darts_one_step.csv", 1), ("darts_quantiles.csv", 12), ("skforecast.csv", 6),
    ],
)  # fmt: skip
def test_each_stands_beside_a_runs_own_rows(name, horizon, series):
    windows = 1 if horizon == 12 else 36 // horizon
    made = kseq.compare(series, cells=(), baselines="seasonal-naive", season=12, transform="none", lookback=12,
                        horizon=horizon, n_windows=windows, with_forecasts=FILES / name)  # fmt: skip
    table = made.table.set_index("model")
    alone = judged(name, series)[1]
    for model in alone.index:
        assert table.loc[model, "mae"] == pytest.approx(alone.loc[model, "mae"], rel=1e-5)
    if "SeasonalNaive" in table.index:
        # The same method in another package.
        assert table.loc["SeasonalNaive", "mae"] == pytest.approx(table.loc["Seasonal naive (12)", "mae"], rel=1e-5)
