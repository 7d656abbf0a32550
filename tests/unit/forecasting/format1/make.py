"""Make model files of format 1, and write down what kseq 0.1.0 forecasts and scores with them.

    KERAS_BACKEND=torch python make.py        # with kseq 0.1.0 installed

Each case is a call of fit_model on rows made here; the test makes the same rows again.
"""

import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent


def rows(series=1, length=60, freq="D", seed=0):
    """Series of a weekly cycle, a trend and noise, with covariates of each kind; the last 6 rows hold no target."""
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(series):
        n = length + 9 * number
        y = 20 + 10 * number + np.arange(n) * 0.1 + 3 * np.sin(np.arange(n) * 2 * np.pi / 7) + rng.normal(size=n)
        y[-6:] = np.nan
        wind = np.where(np.isnan(y), np.nan, rng.normal(size=n))
        index = pd.date_range("2001-01-01", periods=n, freq=freq) if freq else np.arange(n)
        parts.append(pd.DataFrame({
            "unique_id": f"{17 + 5 * number}", "ds": index, "y": y, "other": 2 * y + 1, "wind": wind,
            "price": np.arange(n) % 5 / 2, "size": number * 1.5, "kind": "ab"[number % 2],
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


FIT = {"lookback": 4, "units": 2, "training": {"epochs": 2, "patience": 1}, "cells": ("gru",)}

#: By name: how rows are made, how they are read, settings, and steps to forecast.
CASES = {
    "one_plain": ({}, {"target": "y"}, {"transform": "none"}, 3),
    "one_full": (
        {}, {"target": "y", "features": ["wind"], "future": ["price"], "static": ["size", "kind"]},
        {"transform": "anomaly,change", "calendar": True, "horizon": 3, "seeds": (0, 1)}, 3,
    ),
    "one_rows": (
        {"freq": None}, {"target": ["y", "other"]},
        {"transform": "log,anomaly,trend", "season": 7, "cells": ("rnn",)}, 4,
    ),
    "one_hours": (
        {"freq": "h", "length": 80}, {"target": "y"},
        {"transform": "difference", "horizon": 2, "scaler": "minmax", "cells": ("lstm",)}, 5,
    ),
    "many_plain": ({"series": 3}, {"target": "y"}, {"transform": "none"}, 3),
    "many_full": (
        {"series": 3}, {"target": "y", "features": ["wind"], "future": ["price"], "static": ["size", "kind"]},
        {"transform": "log,anomaly,trend,change", "calendar": True, "horizon": 3}, 3,
    ),
    "many_rows": (
        {"series": 2, "freq": None}, {"target": ["y", "other"]}, {"transform": "anomaly,change", "season": 7}, 4,
    ),
}  # fmt: skip


def read(name, kind, reading, newer=False):
    """Rows of a case as kseq reads them: those of the training; or newer ones, which begin before its end."""
    import kseq

    frame = rows(**kind)
    if "future" not in reading:
        frame = frame[frame["y"].notna()]
    if not kind.get("freq", "D"):
        frame = frame.drop(columns="ds")
    if newer:
        # The same rows with some more behind them.
        longer = rows(**{**kind, "length": kind.get("length", 60) + 12}, seed=1)
        longer = longer.drop(columns=[column for column in longer if column not in frame])
        old = frame[frame["y"].notna()].groupby("unique_id", sort=False)
        parts = [(old.get_group(id), own) for id, own in longer.groupby("unique_id", sort=False)]
        frame = pd.concat([part for known, own in parts for part in (known, own[len(known) :])], ignore_index=True)
        if "future" not in reading:
            frame = frame[frame["y"].notna()]
    if name.startswith("one"):
        return kseq.from_frame(frame.drop(columns="unique_id"), name="mine", **reading)
    if name == "many_plain":
        frame["unique_id"] = frame["unique_id"].astype(int)
    return kseq.panel_from_frame(frame, name="mine", **reading)


def plain(frame):
    """A frame as JSON holds it, every number as it is."""
    return {column: values.astype(str).tolist() if column in ("unique_id", "ds") else values.tolist()
            for column, values in frame.items()}  # fmt: skip


def results(model, name, kind, reading, steps, forecast, evaluate):
    """What a model forecasts and scores, by kseq's functions of these names."""
    newer = read(name, kind, reading, newer=True)
    score = evaluate(model, newer)
    return {
        "forecast": plain(forecast(model, steps).frame),
        "newer": plain(forecast(model, steps, rows=newer).frame),
        "score": {row.name: float(np.mean(np.abs(row.predictions.mean(axis=0) - score.comparison.data.test_y)))
                  for row in score.comparison.rows},
        "coverage": {f"{level:g}": float(share) for level, share in score.coverage.items()},
        "seen": score.seen,
    }  # fmt: skip


def packed(path):
    """Pack the members of a file more tightly."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def main():
    """Write the files."""
    from kseq.fitting import fit_model
    from kseq.scoring import evaluate

    from kseq import modelfile
    from kseq.forecasting import forecast
    from kseq.settings import Settings

    expected = {}
    for name, (kind, reading, settings, steps) in CASES.items():
        model = fit_model(read(name, kind, reading), Settings(**{"seeds": (0,), **FIT, **settings}))
        packed(modelfile.save(model, HERE / f"{name}.keras"))
        expected[name] = results(model, name, kind, reading, steps, forecast, evaluate)
    (HERE / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main()
