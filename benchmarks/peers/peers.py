"""neuralforecast, statsforecast and kseq on the sets of ``benchmarks/published.py``, in turn, at one budget.

In an environment of its own, with kseq's folder (``pip install -r benchmarks/peers/requirements.txt .``):

    KERAS_BACKEND=torch python benchmarks/peers/peers.py DATA_FOLDER --steps 1000 --seeds 2 --out peers.csv

neuralforecast and kseq train LSTM and GRU of 32 units (neuralforecast's with the decoder that it has by default) for as
many gradient steps of 32 windows, of the same number of rows, on all rows before the test part; what else they do is
their own default: of neuralforecast absolute error and robust scaling of each window, of kseq the choice of a
transform, a linear map and squared error. Neither stops early, so that steps are the same: kseq's figures here are not
those of its defaults, which ``published.py`` gives. statsforecast gives seasonal naive, AutoETS, AutoTheta and, where
``--arima`` is given, AutoARIMA, which takes minutes.

The seconds are those of one model: of a network from rows to forecasts, a whole comparison of one cell for kseq,
divided by its seeds where they are trained at once. A first training of a few steps, which imports and compiles, is
not counted. What is not installed is skipped, and told.
"""

import argparse
import importlib.util
import logging
import math
import resource
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from published import SETS, Set, frame_of

#: Name of a model, its forecasts and the seconds that it took.
Made = tuple[str, pd.DataFrame, float]

#: Windows of a step, and steps of the training that is not counted.
WINDOWS, FEW = 32, 20


def main() -> None:
    """Run the peers that are installed; print and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="*", default=[name for name in SETS if not SETS[name].test])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--arima", action="store_true", help="AutoARIMA as well")
    parser.add_argument("--only", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lines: list[dict[str, Any]] = []
    for name in options.sets:
        one = SETS[name]
        frame = frame_of(one, options.folder)
        for package in options.only:
            if importlib.util.find_spec(package) is None:
                print(f"{package} is not installed, and is left out", file=sys.stderr)
                continue
            for model, made, wall in PEERS[package](one, frame, options):
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
                score = {**scores(frame, made, one), "wall_s": round(wall, 1), "peak_gib": round(memory, 2)}
                lines.append({"set": name, "package": package, "model": model, **score})
                print(lines[-1], file=sys.stderr, flush=True)
    table = pd.DataFrame(lines)
    table = table.groupby(["set", "package", "model"], sort=False).mean().round(4).reset_index()
    print(table.to_string(index=False))
    if options.out:
        table.to_csv(options.out, index=False)


def known(frame: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """The rows before the test part."""
    after = frame.groupby("unique_id").cumcount(ascending=False)
    return frame[after >= horizon]


def statistical(one: Set, frame: pd.DataFrame, options: argparse.Namespace) -> Iterator[Made]:
    """Forecasts by statsforecast, a model after the other."""
    from statsforecast import StatsForecast
    from statsforecast.models import AutoARIMA, AutoETS, AutoTheta, SeasonalNaive

    train, season = known(frame, one.horizon), max(1, one.season)
    kinds = [SeasonalNaive, AutoETS, AutoTheta, *[AutoARIMA] * options.arima]
    for kind in kinds:
        model = kind(season_length=season)
        StatsForecast(models=[model], freq=one.freq).forecast(df=first_series(train), h=one.horizon)
        started = time.perf_counter()
        made = StatsForecast(models=[model], freq=one.freq).forecast(df=train, h=one.horizon)
        wall = time.perf_counter() - started
        yield repr(model), made.rename(columns={repr(model): "forecast"}), wall


def neural(one: Set, frame: pd.DataFrame, options: argparse.Namespace) -> Iterator[Made]:
    """Forecasts by neuralforecast, one cell and seed after the other."""
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MAE
    from neuralforecast.models import GRU, LSTM

    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    train = known(frame, one.horizon)
    for cell in (LSTM, GRU):
        for seed in range(-1, options.seeds):
            started = time.perf_counter()
            model = cell(
                h=one.horizon, input_size=rows_read(one), encoder_hidden_size=32, encoder_n_layers=1,
                max_steps=options.steps if seed >= 0 else FEW, windows_batch_size=WINDOWS, loss=MAE(),
                scaler_type="robust", random_seed=max(0, seed), accelerator="cpu", logger=False,
                enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
            )  # fmt: skip
            maker = NeuralForecast(models=[model], freq=one.freq)
            maker.fit(train)
            made = maker.predict().reset_index()
            if seed >= 0:
                yield cell.__name__, made.rename(columns={cell.__name__: "forecast"}), time.perf_counter() - started


def ours(one: Set, frame: pd.DataFrame, options: argparse.Namespace) -> Iterator[Made]:
    """Forecasts by kseq for as many steps, all seeds of a cell at once."""
    from kseq import Settings, compare, panel_from_frame

    panel = panel_from_frame(frame, freq=one.freq)
    for cell in ("lstm", "gru"):
        for steps in (FEW, options.steps):
            started = time.perf_counter()
            # Without a validation part nothing stops early.
            settings = Settings(
                cells=(cell,), baselines=(), seeds=tuple(range(options.seeds)), horizon=one.horizon, n_windows=1,
                lookback=rows_read(one), season=one.season, validation=0.0, levels=(),
                training={"batch_size": WINDOWS, "epochs": 10**6, "max_steps": steps, "patience": 0},
            )  # fmt: skip
            forecasts = compare(panel, settings).predictions
            wall = (time.perf_counter() - started) / options.seeds
        for name in [column for column in forecasts if "(seed" in column] or [str(forecasts.columns[4])]:
            yield cell.upper(), forecasts.rename(columns={name: "forecast"}), wall


def rows_read(one: Set) -> int:
    """Rows that a network reads, as kseq's defaults have it."""
    return max(12, math.ceil(1.25 * one.horizon), one.season if one.season <= 31 else 0)


def first_series(frame: pd.DataFrame) -> pd.DataFrame:
    """One series, on which what is compiled is compiled."""
    return frame[frame["unique_id"] == frame["unique_id"].iloc[0]]


def scores(frame: pd.DataFrame, made: pd.DataFrame, one: Set) -> dict[str, float]:
    """SMAPE, MASE and MAE as ``published.py`` counts them."""
    found = []
    for key, series in frame.groupby("unique_id", sort=False):
        y, before = np.split(series["y"].to_numpy(float)[::-1], [one.horizon])
        y, before, season = y[::-1], before[::-1], max(1, one.season)
        forecast = made.loc[made["unique_id"] == key, "forecast"].to_numpy(float)
        error, size = np.abs(y - forecast), np.abs(y) + np.abs(forecast)
        scale = np.abs(before[season:] - before[:-season]).mean() if len(before) > season else np.nan
        smape = 200 * np.divide(error, size, out=np.zeros_like(error), where=size > 0).mean()
        found.append((smape, error.mean() / scale if scale else np.nan, error.mean()))
    return dict(zip(("smape", "mase", "mae"), np.nanmean(found, axis=0).round(4).tolist(), strict=True))


#: Packages in the order in which they run.
PEERS = {"statsforecast": statistical, "neuralforecast": neural, "kseq": ours}

if __name__ == "__main__":
    main()
