"""Baselines of what kseq reads equal those that plain pandas computes of what was written, whatever the file's kind."""

import gzip

import numpy as np
import pandas as pd
import pytest

import kseq
from kseq.data import read_file

pytestmark = pytest.mark.above_backends

ROWS = 96


def raw(freq="MS", rows=ROWS, seed=0):
    """What is written: one value a date, with a season of 12."""
    rng = np.random.default_rng(seed)
    y = 20 + 5 * np.sin(np.arange(rows) * np.pi / 6) + rng.normal(size=rows).cumsum()
    return pd.Series(y.round(2), pd.date_range("1990-01-01", periods=rows, freq=freq))


def expected(values, predictions, season):
    """Mean absolute and root mean squared errors of both baselines on the rows that the predictions are of."""
    assert predictions["ds"].is_unique
    at = values.index.get_indexer(pd.DatetimeIndex(predictions["ds"]).tz_localize(None))
    assert (at >= 0).all()
    assert at.tolist() == list(range(len(values) - len(at), len(values)))
    y = values.to_numpy()
    errors = {"Persistence": y[at] - y[at - 1], f"Seasonal naive ({season})": y[at] - y[at - season]}
    return {name: (np.abs(error).mean(), np.sqrt((error**2).mean())) for name, error in errors.items()}


def check(data, values, season=12):
    made = kseq.compare(data, cells=(), baselines=["persistence", "seasonal-naive"], season=season, lookback=4)
    table = made.table.set_index("model")
    for name, (mae, rmse) in expected(values, made.predictions, season).items():
        assert table.loc[name, "mae"] == pytest.approx(mae, rel=1e-9)
        assert table.loc[name, "rmse"] == pytest.approx(rmse, rel=1e-9)


def frame(values, form="%Y-%m-%d"):
    return pd.DataFrame({"when": values.index.strftime(form), "y": values.to_numpy()})


def german(path, values):
    text = values.map(lambda v: f"{v + 1000:,.2f}".translate(str.maketrans(",.", ".,")))
    pd.DataFrame({"Datum": values.index.strftime("%d.%m.%Y"), "Höhe": text}).to_csv(path, sep=";", index=False)
    return values + 1000


def units_row(path, values):
    path.write_text("time,temp\nUTC,degC\n" + frame(values, "%Y-%m-%dT%H:%M:%SZ").to_csv(index=False, header=False))


def quarters(path, values):
    when = [f"{date.year}-Q{date.quarter}" for date in values.index]
    pd.DataFrame({"when": when, "y": values.to_numpy()}).to_csv(path, index=False)


def hour_24(path, values):
    days = (values.index - pd.Timedelta(hours=1)).strftime("%d.%m.%Y")
    clock = [f"{(date.hour - 1) % 24 + 1:02d}:00" for date in values.index]
    pd.DataFrame({"when": [f"{d} {c}" for d, c in zip(days, clock, strict=True)], "y": values.to_numpy()}).to_csv(
        path, index=False
    )


def wide(path, values):
    months = [f"{date:%b}" for date in values.index[:12]]
    table = pd.DataFrame(values.to_numpy().reshape(-1, 12), values.index.year[::12].rename("year"), months)
    table.to_csv(path)


def fill_values(path, values):
    """Rows before the first value hold a fill value."""
    early = pd.Series(-9999.0, pd.date_range("1989-01-01", periods=12, freq="MS"))
    frame(pd.concat([early, values])).to_csv(path, index=False)


def csv(path, values):
    frame(values).to_csv(path, index=False)


def in_form(form):
    return lambda path, values: frame(values, form).to_csv(path, index=False)


def zipped(path, values):
    with gzip.open(path, "wt") as file:
        frame(values).to_csv(file, index=False)


KINDS = {
    "plain": (csv, "MS", {}), "german": (german, "D", {"decimal": ",", "thousands": "."}),
    "YYYY-Mmm": (in_form("%Y-M%m"), "MS", {"time": "when", "target": "y"}),
    "YYYYMMDD": (in_form("%Y%m%d"), "D", {"time": "when", "target": "y"}),
    "Jan-90": (in_form("%b-%y"), "MS", {"time": "when", "target": "y"}), "quarters": (quarters, "QS", {}),
    "units row": (units_row, "h", {}), "24:00": (hour_24, "h", {}), "gzip": (zipped, "B", {}),
    "fill values": (fill_values, "MS", {"missing": [-9999]}), "year by month": (wide, "MS", {}),
    "footnote": (lambda path, values: path.write_text(frame(values).to_csv(index=False) + "\nSource: an office\n"), "W",
                 {"skip_footer": 2}),
    "UTF-16": (lambda path, values: frame(values).to_csv(path, sep="\t", index=False, encoding="utf-16"), "MS", {}),
    "no header": (lambda path, values: frame(values).to_csv(path, index=False, header=False), "MS",
                  {"no_header": True}),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_one_series(tmp_path, kind):
    write, freq, options = KINDS[kind]
    values, path = raw(freq), tmp_path / f"a.csv{'.gz' * (kind == 'gzip')}"
    changed = write(path, values)
    check(read_file(path, **options), values if not isinstance(changed, pd.Series) else changed)


def test_a_panel_of_large_values(tmp_path):
    """A meter at 1.2e9 keeps its last digits; ids keep their zeros."""
    parts = {id: 1.2e9 + raw(seed=seed).round() for seed, id in enumerate(["001", "01", "NA"])}
    long = pd.concat([frame(values).assign(id=id) for id, values in parts.items()])
    long.to_csv(tmp_path / "p.csv", index=False)
    panel = read_file(tmp_path / "p.csv", id="id")
    made = kseq.compare(panel, cells=(), baselines=["persistence", "seasonal-naive"], season=12, lookback=4)
    assert set(made.by_series["unique_id"]) == set(parts)
    for id, own in made.predictions.groupby("unique_id"):
        rows = made.by_series[made.by_series["unique_id"] == id].set_index("model")
        for name, (mae, rmse) in expected(parts[id], own, 12).items():
            assert rows.loc[name, ["mae", "rmse"]].tolist() == pytest.approx([mae, rmse], rel=1e-9)
