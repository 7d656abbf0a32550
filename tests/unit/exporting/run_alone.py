"""Run exported models as someone who has ONNX Runtime, NumPy and the JSON beside each file, and none of kseq.

    python run_alone.py FOLDER

FOLDER holds for each model NAME.onnx, NAME.onnx.json, NAME.csv with the rows that are known and NAME-ahead.csv with
those that follow. Prints the forecasts by model and series as JSON.
"""

import csv
import datetime
import json
import math
import sys
from pathlib import Path

BLOCKED = {"keras", "torch", "tensorflow", "jax", "kseq", "onnx", "pandas"}


class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError(f"{name} is not installed here")


sys.meta_path.insert(0, Block())

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402


def calendar_of(date, columns):
    shares = {"month of year": (date.month - 1) / 12, "day of week": date.weekday() / 7}
    sides = {"sin": math.sin, "cos": math.cos}
    found = []
    for column in columns:
        cycle, side = column.rstrip(")").split(" (")
        found.append(sides[side](2 * math.pi * shares[cycle]))
    return found


def inputs_of(told, known, ahead, number):
    """Arrays of one series by what the JSON says of them."""
    every = known + ahead
    first, found = len(known), {}
    for one in told["inputs"]:
        name, shape = one["name"], one["shape"][1:]
        if name == "series":
            found[name] = np.array([number])
            continue
        end = {"past": first, "ahead": first + shape[0], "calendar": first + max(0, shape[0] - told["lookback"])}
        end = end.get(name, first + -(-told["steps"] // told["horizon"]) * told["horizon"])
        rows = every[end - shape[0] : end]
        dates = [datetime.date.fromisoformat(row["ds"]) for row in rows]
        if name == "phase":
            assert told["phase"] == {"season": 12, "rule": "month - 1"}
            values = [date.month - 1 for date in dates]
        elif name == "time":
            values = [(date - datetime.date(1970, 1, 1)).days / 365.25 for date in dates]
        elif name == "calendar":
            values = [calendar_of(date, one["columns"]) for date in dates]
        else:
            values = [[float(row[column]) for column in one["columns"]] for row in rows]
        found[name] = np.array([values], dtype=one["dtype"])
    return found


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def main(folder):
    made = {}
    for path in sorted(folder.glob("*.onnx")):
        told = json.loads(Path(f"{path}.json").read_text())
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        known, ahead = (rows_of(path.with_name(path.stem + end)) for end in (".csv", "-ahead.csv"))
        for number, series in enumerate(told["series"]):
            own = ([row for row in part if row["unique_id"] == series["id"]] for part in (known, ahead))
            inputs = inputs_of(told, *own, number)
            outputs = dict(zip(told["outputs"], session.run(told["outputs"], inputs), strict=True))
            made[f"{path.stem}/{series['id']}"] = {name: value[0].tolist() for name, value in outputs.items()}
        refused = {}
        for name, value in inputs.items():
            if value.ndim > 1:
                wrong = inputs | {name: value[:, 1:]}
                try:
                    session.run(None, wrong)
                except Exception as error:
                    refused[name] = str(error)
        made[f"{path.stem} refuses"] = refused
    print(json.dumps(made))


main(Path(sys.argv[1]))
