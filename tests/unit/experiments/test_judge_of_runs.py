"""A run's own forecasts, judged, give its table and its verdict in every figure, whatever metric ranks."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import kseq
from kseq.evaluation.metrics import RANKING
from kseq.evaluation.model_result import ModelResult
from kseq.report.comparison import Comparison
from kseq.storage import to_json

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

#: What the forecasts do not tell: what a training took.
TOOK = ("epochs", "seconds_per_epoch_and_seed", "first_epoch_seconds", "kernel", "units", "trials")


def series(number=0, targets=("y",), rows=120):
    rng, time = np.random.default_rng(number), np.arange(rows)
    level = 50 * (1 + number)
    columns = {name: level * 10**place + 9 * np.sin(time * np.pi / 6) + rng.normal(0, 2, rows)
               for place, name in enumerate(targets)}  # fmt: skip
    dates = pd.date_range("2001-01-31", periods=rows, freq="ME")
    return pd.DataFrame({"unique_id": f"s{number}", "ds": dates} | columns)


SITUATIONS = {
    "steps of one series": (1, ("y",), {"horizon": 2}),
    "one series and target trained anew in each fold": (1, ("y",), {"n_windows": 8, "refit": True}),
    "two targets from several origins": (1, ("y", "z"), {"horizon": 6, "n_windows": 4}),
    "series from several origins": (21, ("y",), {"horizon": 3, "n_windows": 3}),
    "series from one origin": (4, ("y",), {"horizon": 6, "n_windows": 1}),
}


@pytest.fixture(scope="module", params=list(SITUATIONS))
def run(request):
    """A comparison with two cells of three seeds, of which one diverged."""
    count, targets, options = SITUATIONS[request.param]
    frame = pd.concat([series(number, targets, rows=120 - number % 3) for number in range(count)], ignore_index=True)
    made = kseq.compare(frame, target=targets, id="unique_id", time="ds", cells=(), season=12, transform="none",
                        lookback=12, baselines="persistence,seasonal-naive", **options)  # fmt: skip
    rng, y = np.random.default_rng(1), made.data.test_y
    seen = np.concatenate([one.series.y[one.validation.target_rows] for one in made.trainings])
    spread = y.std(axis=(0, 1)) / 6
    for name, size in (("LSTM", 1.0), ("GRU", 1.2)):
        test, validation = (part + size * spread * rng.normal(size=(3, *part.shape)) for part in (y, seen))
        if name == "GRU":
            test[1, 0] = np.nan
        made.add(ModelResult(name, test, seeds=(0, 1, 4), parameters=100, validation=validation))
    made.add_means()
    return made


def written(run, folder):
    """Write what a judgement reads of a run, without its pictures."""
    run.predictions.to_csv(folder / "predictions.csv", index=False)
    (folder / "run.json").write_text(to_json(run.record | {"files": ["predictions.csv"]}))


@pytest.mark.parametrize(
    ("run", "metric"),
    [
        # Each metric on some of the runs; on all of them they are `thorough`.
        pytest.param(name, metric, marks=[] if (at + number) % 3 == 0 else pytest.mark.thorough)
        for at, name in enumerate(SITUATIONS) for number, metric in enumerate(RANKING)
    ],
    indirect=["run"],
)  # fmt: skip
def test_equal_to_the_run_in_every_figure(run, metric, tmp_path):
    ranked = Comparison(run.data, replace(run.settings, metric=metric), run.backtest)
    for row in run.rows:
        ranked.add(row)
    written(ranked, tmp_path)
    judged = kseq.judge(tmp_path / "predictions.csv", run.data.series, metric=metric)
    mine, theirs = (made.table.drop(columns=TOOK, errors="ignore") for made in (judged, ranked))
    pd.testing.assert_frame_equal(mine, theirs, rtol=1e-9, check_dtype=False)
    assert judged.measure == ranked.measure == metric
    assert judged.verdict == ranked.verdict
    pairs = (pd.DataFrame(made.record["differences"]) for made in (judged, ranked))
    pd.testing.assert_frame_equal(*pairs, rtol=1e-9)


def test_the_metric_and_the_season_of_a_run_are_taken_from_its_record(tmp_path):
    frame = series().drop(columns="unique_id").set_index("ds")
    options = {"transform": "none", "lookback": 6, "baselines": "persistence,ar"}
    run = kseq.compare(frame, cells=(), season=6, metric="rmse", **options)
    written(run, tmp_path)
    judged = kseq.judge(tmp_path / "predictions.csv", frame)
    assert (judged.measure, judged.season) == ("rmse", 6)
    np.testing.assert_allclose(judged.table["mase"], run.table["mase"])
    other = kseq.judge(tmp_path / "predictions.csv", frame, metric="smape", season=12)
    assert (other.measure, other.season) == ("smape", 12)
