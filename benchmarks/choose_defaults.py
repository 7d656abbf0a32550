"""Which settings forecast the built-in series best: what the defaults rest on. No row of a test part is read.

Each built-in series is cut off where its test part begins. Its last rows are then those on which a comparison by
default shares validates; here they are forecast by networks that were trained, and stopped, before them. The same is
done with the two blocks of as many rows before, so that a setting is scored on three blocks of each series.

Settings are tried one at a time around the defaults. A score is the mean absolute error of a network, over its seeds,
divided by that of the best baseline on the same rows; over blocks, cells and series it is a geometric mean. Below 1
networks beat every baseline. What lowers it on every series is worth being a default.

    KERAS_BACKEND=torch python benchmarks/choose_defaults.py --out scores.csv
"""

import argparse
import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kseq import ConfigError, DataError, Series, Settings, compare, load_series
from kseq.parts import Split
from kseq.data import BUILT_INS

#: Tried in place of the default, one at a time.
TRIALS: dict[str, tuple[Any, ...]] = {
    "transform": (
        "none", "log", "anomaly", "difference", "change", "anomaly,difference", "difference,anomaly", "anomaly,change",
        "trend", "trend,anomaly",
    ),
    "calendar": (True,),
    "lookback": (6, 24, 36),
    "units": (8, 16, 64),
    "weight_decay": (1e-4, 1e-2),
    "clip_norm": (1.0,),
    "learning_rate": (3e-4, 3e-3),
    "batch_size": (16, 64),
    "patience": (10, 50),
}  # fmt: skip

#: Of these, the ones that belong to the training's budget.
BUDGET = ("weight_decay", "clip_norm", "learning_rate", "batch_size", "patience")


def main() -> None:
    """Try, print each setting as soon as it is tried, and all of them in the end, the best first."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--blocks", type=int, default=3, help="to forecast, of each series")
    parser.add_argument("--only", nargs="*", default=list(TRIALS), choices=list(TRIALS), help="settings to try")
    parser.add_argument("--out", type=Path, help="CSV file of all scores")
    options = parser.parse_args()
    lines: list[dict[str, Any]] = []
    for setting, value in [("defaults", ""), *((name, value) for name in options.only for value in TRIALS[name])]:
        for line in scores(setting, value, range(options.seeds), options.blocks):
            lines.append({"setting": setting, "value": str(value), **line})
        print(summary(pd.DataFrame(lines)).tail(1).to_string(), flush=True)
    frame = pd.DataFrame(lines)
    print("\n" + summary(frame).sort_values("all").to_string())
    if options.out:
        frame.to_csv(options.out, index=False)


def scores(setting: str, value: Any, seeds: range, blocks: int) -> Iterator[dict[str, Any]]:
    """Score one setting on each block of each series that allows it."""
    training = {setting: value} if setting in BUDGET else {}
    others = {setting: value} if setting not in (*BUDGET, "defaults") else {}
    settings = Settings(baselines=(), seeds=tuple(seeds), levels=(), training=training, **others)
    for name in BUILT_INS:
        for block in range(blocks):
            series, share = before_test_part(name, block)
            try:
                result = compare(series, replace(settings, test=share))
            except (ConfigError, DataError):
                # No season, no logarithm, no calendar: the same for all blocks.
                break
            errors = result.table.set_index("model")["mae"]
            cells = errors[result.table["kind"].to_numpy() == "cell"] / best_baseline(name, block)
            yield {"series": name, "block": block, "transform": result.record["series"]["transform"], **cells}


@functools.cache
def best_baseline(name: str, block: int) -> float:
    """The smallest mean absolute error of a baseline on a block."""
    series, share = before_test_part(name, block)
    return float(compare(series, Settings(cells=(), test=share)).table["mae"].min())


def before_test_part(name: str, block: int) -> tuple[Series, float]:
    """A series up to the end of one of the last blocks before its test part, and the share of it that a block is."""
    series = load_series(name)
    split = Split.by_fraction(len(series))
    rows = split.test - split.validation
    cut = replace(series, frame=series.frame.iloc[: split.test - block * rows])
    # Half a row less: the share is then cut down to this very number of rows.
    return cut, (rows - 0.5) / len(cut)


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Geometric means of the scores, a line a setting: of each series, and of each cell over the series."""
    cells = [name for name in ("SimpleRNN", "LSTM", "GRU") if name in frame]
    keys = ["setting", "value"]
    logs = frame[[*keys, "series"]].join(np.log(frame[cells]).assign(all=lambda part: part.mean(axis=1)))
    by_series = logs.groupby([*keys, "series"], sort=False).mean().reset_index("series")
    columns = {name: by_series["all"][by_series["series"] == name] for name in frame["series"].unique()}
    means = by_series.groupby(level=keys, sort=False)[[*cells, "all"]].mean()
    return np.exp(means.assign(**columns)[[*columns, *cells, "all"]]).round(3)


if __name__ == "__main__":
    main()
