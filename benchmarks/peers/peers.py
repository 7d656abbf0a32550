"""neuralforecast and statsforecast on the sets of ``benchmarks/published.py``, one after the other, at one budget.

In an environment of its own (``pip install -r benchmarks/peers/requirements.txt``):

    python benchmarks/peers/peers.py DATA_FOLDER --steps 1000 --seeds 2 --out peers.csv

neuralforecast trains LSTM and GRU of 32 units with absolute error and robust scaling of each window, for as many steps
of 32 windows as kseq's line of its budget tells; statsforecast gives seasonal naive and AutoETS. What is not installed
is skipped, and told. The sets and figures are read from ``published.py`` by its file, which imports kseq: give
``PYTHONPATH`` the folder of kseq, whose core needs no framework.
"""

import argparse
import importlib.util
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from published import SETS, Set, frame_of

#: Name of a model, its forecasts and the seconds that it took.
Made = tuple[str, pd.DataFrame, float]


def main() -> None:
    """Run the peers that are installed; print and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="*", default=[name for name in SETS if not SETS[name].test])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lines: list[dict[str, Any]] = []
    for name in options.sets:
        one = SETS[name]
        frame = frame_of(one, options.folder)
        for package, forecast in (("statsforecast", statistical), ("neuralforecast", neural)):
            if importlib.util.find_spec(package) is None:
                print(f"{package} is not installed, and is left out", file=sys.stderr)
                continue
            for model, made, wall in forecast(one, known(frame, one.horizon), options):
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
                score = scores(frame, made, one)
                lines.append(
                    {"set": name, "model": model, **score, "wall_s": round(wall), "peak_gib": round(memory, 2)}
                )
    table = pd.DataFrame(lines)
    print(table.to_string(index=False))
    if options.out:
        table.to_csv(options.out, index=False)


def known(frame: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """The rows before the test part."""
    after = frame.groupby("unique_id").cumcount(ascending=False)
    return frame[after >= horizon]


def statistical(
    one: Set, train: pd.DataFrame, options: argparse.Namespace
) -> Iterator[tuple[str, pd.DataFrame, float]]:
    """Forecasts by statsforecast."""
    from statsforecast import StatsForecast
    from statsforecast.models import AutoETS, SeasonalNaive

    for model in (SeasonalNaive(max(1, one.season)), AutoETS(max(1, one.season))):
        started = time.perf_counter()
        made = StatsForecast(models=[model], freq=one.freq).forecast(df=train, h=one.horizon)
        yield repr(model), made.rename(columns={repr(model): "forecast"}), time.perf_counter() - started


def neural(one: Set, train: pd.DataFrame, options: argparse.Namespace) -> Iterator[Made]:
    """Forecasts by neuralforecast, one cell and seed after the other."""
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MAE
    from neuralforecast.models import GRU, LSTM

    for cell in (LSTM, GRU):
        for seed in range(options.seeds):
            started = time.perf_counter()
            model = cell(
                h=one.horizon, input_size=max(12, -(-5 * one.horizon // 4)), encoder_hidden_size=32, encoder_n_layers=1,
                max_steps=options.steps, windows_batch_size=32, loss=MAE(), scaler_type="robust", random_seed=seed,
                enable_progress_bar=False, logger=False,
            )  # fmt: skip
            maker = NeuralForecast(models=[model], freq=one.freq)
            maker.fit(train)
            made = maker.predict().reset_index()
            yield cell.__name__, made.rename(columns={cell.__name__: "forecast"}), time.perf_counter() - started


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


if __name__ == "__main__":
    main()
