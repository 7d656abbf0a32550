"""Which settings forecast built-in series and public sets best: what the defaults rest on.

No row of a test part is read.

Each series is cut off where its test part begins, before kseq reads it. The last rows of what is left are forecast by
networks that were trained, and stopped, before them: of a built-in series as many rows as a comparison by default
validates on, of a public set the last horizon, of its single series the last fifth. ``--blocks`` does the same with the
blocks of as many rows before. Of large sets every so many series are taken, see ``EVERY``.

Settings are tried one at a time around the defaults. A score is the error of a network, the mean over its seeds of each
seed's own, divided by that of repeating the last season (the last value, where there is none) on the same rows; over
cells, blocks and sets, all alike, it is a geometric mean. What lowers it over all sets is worth being a default.

    KERAS_BACKEND=torch python benchmarks/choose_defaults.py --folder DATA_FOLDER --out scores.csv
    KERAS_BACKEND=torch python benchmarks/choose_defaults.py --sets --csv sales.csv:7 flow.csv:12:MS --out mine.csv

Without ``--folder`` the built-in series alone are read, and files of your own with ``--csv``. Scores are added to those
that ``--out`` holds, and a setting that is there is not tried again.
"""

import argparse
import functools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from published import SETS, Set, frame_of

from kseq import ConfigError, DataError, Panel, Series, Settings, compare, load_series, panel_from_frame
from kseq.data import BUILT_INS
from kseq.preprocessing.splits import Split

#: Tried in place of the defaults: those of each line together.
TRIALS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "skip none": {"skip": "none"},
    "learning_rate 0.0005": {"learning_rate": 5e-4},
    "learning_rate 0.003": {"learning_rate": 3e-3},
    "learning_rate 0.003, cosine": {"learning_rate": 3e-3, "schedule": "cosine"},
    "cosine": {"schedule": "cosine"},
    "mae": {"loss": "mae"},
    "huber": {"loss": "huber"},
    "weight_decay 0.01": {"weight_decay": 1e-2},
    "clip_norm 1": {"clip_norm": 1.0},
    "batch_size 64": {"batch_size": 64},
    "units 16": {"units": 16},
    "units 64": {"units": 64},
    "calendar": {"calendar": True},
    "transform anomaly,season": {"transform": "anomaly,season"},
}

#: Of these, the ones that belong to the training's budget.
BUDGET = ("weight_decay", "clip_norm", "learning_rate", "batch_size", "patience", "loss", "schedule")

#: Of a large set every so many series are taken.
EVERY = {"tourism monthly": 6, "M4 hourly": 12}

#: Errors that are counted, where it is not the metric of the set alone.
METRICS = {"M4 hourly": ("smape", "mase"), "tourism monthly": ("mase",)}


class Known(NamedTuple):
    """Rows before a test part, and how the last of them are to be forecast.

    Args:
        series: no row of a test part is in it.
        settings: where its last rows begin, and what is known of it.
        metrics: columns of a comparison's table.
    """

    series: Series | Panel
    settings: dict[str, Any]
    metrics: tuple[str, ...]


def main() -> None:
    """Try, write each score as soon as it is known, and print all settings in the end, the best first."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, help="of the public sets, see docs/benchmarks.md")
    parser.add_argument("--sets", nargs="*", default=[*BUILT_INS, *SETS], choices=[*BUILT_INS, *SETS])
    parser.add_argument(
        "--csv", nargs="*", default=[], metavar="FILE[:HORIZON[:FREQ]]", help="files of unique_id, ds, y besides; the "
        "horizon is one row by default, the frequency that of dates to stand for numbered rows"
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--blocks", type=int, default=1, help="to forecast, of each series")
    parser.add_argument("--only", nargs="*", default=list(TRIALS), choices=list(TRIALS), help="settings to try")
    parser.add_argument("--out", type=Path, help="CSV file of all scores")
    options = parser.parse_args()
    lines: list[dict[str, Any]] = []
    if options.out and options.out.exists():
        lines = pd.read_csv(options.out).to_dict("records")
    for name in [*options.sets, *options.csv]:
        for trial in options.only:
            if any((line["trial"], line["set"]) == (trial, name) for line in lines):
                continue
            lines += scores(trial, name, options)
            if options.out:
                pd.DataFrame(lines).to_csv(options.out, index=False)
    print(summary(pd.DataFrame(lines)).to_string())


def scores(trial: str, name: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Score one setting on each block of a set; nothing where a set does not allow it, or is not there."""
    given = TRIALS[trial]
    own = {key: value for key, value in given.items() if key not in BUDGET}
    training = {key: value for key, value in given.items() if key in BUDGET}
    for block in range(options.blocks):
        known = known_of(name, block, options.folder)
        if known is None:
            return
        settings = Settings(
            baselines=(), seeds=tuple(range(options.seeds)), levels=(), training=training, **{**known.settings, **own}
        )
        started = time.perf_counter()
        try:
            result = compare(known.series, settings)
        except (ConfigError, DataError):
            # No season, no logarithm, no calendar: the same for all blocks.
            return
        table = result.table.set_index("model")[result.table["kind"].to_numpy() == "cell"]
        about = {"transform": result.record["series"]["transform"], "wall_s": round(time.perf_counter() - started)}
        for metric in known.metrics:
            line = {"trial": trial, "set": name, "block": block, "metric": metric}
            yield {**line, **(table[metric] / simple_error(name, block, options.folder, metric)), **about}


@functools.cache
def simple_error(name: str, block: int, folder: Path | None, metric: str) -> float:
    """The error of repeating the last season or value, whichever is smaller, on a block."""
    known = known_of(name, block, folder)
    assert known is not None
    simple = Settings(cells=(), baselines=("persistence", "seasonal-naive"), levels=(), **known.settings)
    return float(compare(known.series, simple).table[metric].min())


@functools.cache
def known_of(name: str, block: int, folder: Path | None) -> Known | None:
    """A set up to the end of one of the last blocks before its test part; None where its file is not there."""
    if name in BUILT_INS:
        return Known(*before_test_part(load_series(name), block), metrics=("mae",))
    one = SETS[name] if name in SETS else set_of(name)
    folder = folder if name in SETS else Path()
    if folder is None or not (folder / one.file).exists():
        return None
    frame = frame_of(one, folder)
    frame = frame[frame["unique_id"].isin(frame["unique_id"].unique()[:: EVERY.get(name, 1)])]
    season = {"season": one.season, "horizon": one.horizon}
    if len(frame["unique_id"].unique()) == 1:
        panel = panel_from_frame(frame, freq=one.freq or None)
        series, share = before_test_part(panel.one(panel.ids[0]), block, one.test or 0.2)
        return Known(series, {**season, **share}, (one.metric or "mae",))
    after = frame.groupby("unique_id").cumcount(ascending=False)
    cut = frame[after >= (1 + block) * one.horizon]
    settings = {**season, "n_windows": 1}
    return Known(panel_from_frame(cut, freq=one.freq or None), settings, METRICS.get(name, (one.metric or "mase",)))


def set_of(spec: str) -> Set:
    """What ``--csv`` says of a file; its season comes from the dates, and its metric from how many series it holds."""
    file, horizon, freq = (*spec.split(":"), "", "")[:3]
    return Set(file, int(horizon or 1), 0, freq, "", {})


def before_test_part(series: Series, block: int, share: float = 0.2) -> tuple[Series, dict[str, float]]:
    """A series up to the end of one of the last blocks before its test part, and the share of it that a block is."""
    split = Split.by_fraction(Panel.of(series), share)
    test = int(split.test[0])
    rows = test - int(split.validation[0])
    cut = replace(series, frame=series.frame.iloc[: test - block * rows])
    # Half a row less: the share is then cut down to this very number of rows.
    return cut, {"test": (rows - 0.5) / len(cut)}


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Geometric means of the scores, a line a setting, the best first: of each set, and of each cell over the sets."""
    cells = [name for name in ("SimpleRNN", "LSTM", "GRU") if name in frame]
    logs = frame[["trial", "set"]].join(np.log(frame[cells]).assign(all=lambda part: part.mean(axis=1)))
    by_set = logs.groupby(["trial", "set"], sort=False).mean().reset_index("set")
    columns = {name: by_set["all"][by_set["set"] == name] for name in frame["set"].unique()}
    means = by_set.groupby(level="trial", sort=False)[[*cells, "all"]].mean()
    return np.exp(means.assign(**columns)[[*columns, *cells, "all"]]).round(4).sort_values("all")


if __name__ == "__main__":
    main()
