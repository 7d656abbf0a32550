"""Public sets by kseq's defaults, beside published figures: one command, one table.

    KERAS_BACKEND=torch python benchmarks/published.py DATA_FOLDER --seeds 10 --out published.csv

DATA_FOLDER holds the files that ``docs/benchmarks.md`` names, ``unique_id, ds, y`` with rows numbered in each series or
dated; those that are not there are skipped, and told. The test part of a set is the last ``horizon`` rows of each
series. A figure of a cell is the mean over its seeds of each seed's own figure, never an ensemble, never the best one.
sMAPE is the mean over series of 200 |y - f| / (|y| + |f|); MASE scales by the in-sample mean absolute difference at the
lag of the season.

Nothing here is chosen by looking at a test part: settings are kseq's defaults but for the season of rows that have no
dates, which comes from how a set is made.
"""

import argparse
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from kseq import Comparison, compare, panel_from_frame
from kseq.models import SKIPS
from kseq.settings import Settings


class Set(NamedTuple):
    """A public set.

    Args:
        file: in the folder.
        horizon: rows to forecast.
        season: rows in a season.
        freq: frequency of dates that stand for rows without any; empty for rows that stay numbered.
        metric: by which it is published, a column of a comparison's table; empty where nothing is published.
        published: figures by what gave them.
        of: another file, with a column ``h``, that says which series have this horizon.
        test: share of the test part, where it is not the last horizon.
    """

    file: str
    horizon: int
    season: int
    freq: str
    metric: str
    published: dict[str, float]
    of: str = ""
    test: float = 0.0


SETS = {
    "CIF 2016, h = 12": Set("cif2016.csv", 12, 12, "MS", "smape", {}, "cif2016_horizons.csv"),
    "CIF 2016, h = 6": Set("cif2016.csv", 6, 12, "MS", "smape", {}, "cif2016_horizons.csv"),
    "NN5 weekly": Set(
        "nn5_weekly.csv", 8, 1, "W", "mae", {"ETS": 15.70, "ARIMA": 15.38, "DeepAR": 14.69, "N-BEATS": 14.19}
    ),
    "tourism monthly": Set(
        "tourism_monthly.csv", 24, 12, "MS", "mase", {"seasonal naive": 1.631, "ETS": 1.526, "DeepAR": 1.409}
    ),
    "M4 hourly": Set(
        "m4_hourly.csv.gz", 48, 24, "h", "mase", {"seasonal naive": 1.193, "DeepAR": 2.145, "ES-RNN": 0.893}
    ),
    "daily SST": Set("sst_daily_med.csv", 1, 0, "D", "mae", {}, test=0.2),
}


def main() -> None:
    """Run the sets that are asked for; print and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--skip", default=Settings.skip, choices=SKIPS, help="as of kseq compare (%(default)s)")
    parser.add_argument("--transform", default=Settings.transform, help="as of kseq compare (%(default)s)")
    parser.add_argument("--out", type=Path, help="CSV file of the table; sets that it holds are not run again")
    parser.add_argument(
        "--keep", type=Path, help="folder of finished trainings, from which a run that was ended goes on"
    )
    options = parser.parse_args()
    lines: list[dict[str, Any]] = []
    if options.out and options.out.exists():
        lines = pd.read_csv(options.out).to_dict("records")
    for name in options.sets:
        if any(line["set"] == name for line in lines):
            continue
        if not (options.folder / SETS[name].file).exists():
            print(f"{name}: {SETS[name].file} is not in {options.folder}", file=sys.stderr)
            continue
        lines += run(name, SETS[name], options)
        if options.out:
            pd.DataFrame(lines).to_csv(options.out, index=False)
    print(pd.DataFrame(lines).to_string(index=False))


def run(name: str, one: Set, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Lines of a set: one a cell and baseline, then one a published figure."""
    started = time.perf_counter()
    windows = {"test": one.test} if one.test else {"n_windows": 1}
    chosen = {"skip": options.skip, "transform": options.transform, "seeds": tuple(range(options.seeds))}
    settings = Settings(horizon=one.horizon, season=one.season, **chosen, **windows)
    result = compare(panel_from_frame(frame_of(one, options.folder), freq=one.freq), settings, keep=options.keep)
    wall, memory = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{name}: {wall:.0f} s", *result.verdict, sep="\n  ", file=sys.stderr, flush=True)
    for line in figures(result):
        yield {"set": name, **line, "wall_s": round(wall), "peak_gib": round(memory, 2)}
    for what, figure in one.published.items():
        yield {"set": name, "model": f"{what} (published)", one.metric: figure}


def figures(result: Comparison) -> Iterator[dict[str, Any]]:
    """Figures of each cell and baseline of a comparison."""
    table = result.table
    for _, line in table[table["kind"] != "ensemble"].iterrows():
        shown = {metric: round(float(line[metric]), 4) for metric in ("smape", "mase", "mae")}
        yield {"model": line["model"], **shown, "transform": result.record["series"]["transform"]}


def frame_of(one: Set, folder: Path) -> pd.DataFrame:
    """Rows of a set, with dates where the rows are numbered."""
    frame = pd.read_csv(folder / one.file)
    if "unique_id" not in frame:
        frame.insert(0, "unique_id", Path(one.file).stem)
    if one.of:
        horizons = pd.read_csv(folder / one.of).set_index("unique_id")["h"]
        frame = frame[frame["unique_id"].map(horizons) == one.horizon]
    if one.freq and pd.api.types.is_numeric_dtype(frame["ds"]):
        dates = pd.date_range("1900-01-01", periods=int(frame.groupby("unique_id").size().max()), freq=one.freq)
        frame = frame.assign(ds=dates[frame.groupby("unique_id").cumcount()])
    return frame


if __name__ == "__main__":
    main()
