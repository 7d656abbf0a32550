import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kseq import Comparison, ConfigError, DataError, Settings, compare, from_frame, load_series, make_windows, read_csv
from kseq.comparison.defaults import resolved
from kseq.evaluation.model_result import ModelResult
from kseq.experiments.agreement import Agreement, agreement_text
from kseq.experiments.reproduce import Recorded
from kseq.storage import plain

pytestmark = pytest.mark.above_backends

#: Baselines alone: nothing is trained.
SETTINGS = Settings(cells=(), baselines=("persistence", "climatology"), lookback=6)


def recorded(comparison, path="run.json"):
    """A record as a file gives it."""
    return Recorded(Path(path), json.loads(json.dumps(plain(comparison.record))))


def changed(run, **parts):
    """A record with other parts."""
    return Recorded(run.path, {**deepcopy(run.record), **parts})


@pytest.fixture(scope="module")
def comparison():
    return compare(load_series("nino12"), SETTINGS)


@pytest.fixture
def run(comparison):
    return recorded(comparison)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A run on a user's file."""
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{2000 + i // 12},{i % 12 + 1},{20 + np.sin(i):.4f}\n" for i in range(120))
    Path("mine.csv").write_text("a remark\nyear,month,temp\n" + rows)
    series = read_csv("mine.csv", ["year", "month"], "temp", ["year"], header=1, unit="K")
    return recorded(compare(series, SETTINGS))


@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        Settings(cells=(), units=(8, 4), levels=(), seeds=(3, 5), training={"epochs": 5, "learning_rate": 0.01}),
        Settings(
            cells=(), baselines=("ar",), n_windows=5, step_size=2, gap=1, train_size=200, num_layers=2, match="params"
        ),
    ],
)
def test_settings_come_back_as_they_were(settings):
    # With what was chosen of lookback, batches and steps.
    again = recorded(compare(load_series("nino12"), settings)).settings
    assert again == resolved(settings, load_series("nino12"))
    assert again.training.items() >= settings.training.items()


@pytest.mark.parametrize(("asked", "used", "members"), [(0, (5, 5), 5), (0, (5, 2), 0), (3, (5, 5), 3), (0, (), 0)])
def test_seeds_train_together_as_many_as_the_run_chose(run, asked, used, members):
    settings = {**run.record["settings"], "members": asked}
    models = [{"name": "cell", "kind": "cell", "members_at_once": count} for count in used]
    # Baselines and means count one, and had no choice.
    models.append({"name": "baseline", "kind": "baseline", "members_at_once": 1})
    assert changed(run, settings=settings, models=models).settings.members == members


def test_series_comes_back_as_it_was(run, mine):
    assert run.series().fingerprint == load_series("nino12").fingerprint
    series = mine.series()
    assert (series.unit, series.features, len(series)) == ("K", ("year",), 120)
    assert series.fingerprint == mine.record["series"]["sha256"]


def test_a_file_that_has_moved(mine):
    Path("mine.csv").rename("moved.csv")
    with pytest.raises(DataError, match=r"run.json was made from mine.csv, which does not exist here; .* with file"):
        mine.series()
    assert mine.series(Path("moved.csv")).fingerprint == mine.record["series"]["sha256"]


def test_data_that_have_changed(mine):
    text = Path("mine.csv").read_text()
    Path("mine.csv").write_text(text.replace("\n2009,12,", "\n2009,12,1"))
    with pytest.raises(
        DataError, match=r"the data have changed since run.json was made: received 120 rows from 2000-01-"
    ):
        mine.series()
    Path("mine.csv").write_text(text.rstrip().rpartition("\n")[0])
    with pytest.raises(DataError, match=r"received 119 rows .* to 2009-11-01 \(.*, expected 120 rows .* to 2009-12-01"):
        mine.series()


def test_data_that_are_not_in_the_record(run):
    frame = pd.DataFrame({"y": np.sin(np.arange(60.0))})
    scripted = recorded(compare(from_frame(frame, name="waves"), Settings(cells=(), baselines=("persistence",))))
    with pytest.raises(
        DataError, match=r"the series 'waves' \(60 rows\) was made by a script, and its data are not in"
    ):
        scripted.series()
    rows = Comparison(make_windows(load_series("nino12")))
    rows.add_baselines(["persistence"])
    with pytest.raises(ConfigError, match="rows that a script added one by one; run that script again"):
        recorded(rows).settings  # noqa: B018
    with pytest.raises(ConfigError, match=r"received file mine.csv for a run on 'nino12', a built-in series"):
        run.series(Path("mine.csv"))


def test_records_of_other_versions(run):
    told = r"run.json was made by another version, kseq 9.9 \({}, unknown to kseq"
    other = changed(run, kseq="9.9", settings={**run.record["settings"], "attention": True, "heads": 2})
    with pytest.raises(ConfigError, match=told.format("settings attention, heads")):
        other.settings  # noqa: B018
    other = changed(run, kseq="9.9", settings={**run.record["settings"], "training": {"momentum": 0.9}})
    with pytest.raises(ConfigError, match=told.format("settings of the training momentum")):
        other.repeat(load_series())
    for origin, expected in (
        ({"reader": "read_netcdf", "arguments": {}}, "reader read_netcdf"),
        ({"reader": "load_series", "arguments": {"name": "nino12", "region": 4}}, "reading options region"),
    ):
        other = changed(run, kseq="9.9", series={**run.record["series"], "origin": origin})
        with pytest.raises(ConfigError, match=told.format(expected)):
            other.series()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("none", None, r"received none, where there is no none; expected the folder of a run, or its run.json."),
        ("empty", {}, r"received empty, where there is no run.json"),
        ("run.json", b"{", r"received run.json, which is not JSON \(Expecting property name"),
        ("run.json", b"\xff", r"received run.json, which is not JSON \('utf-8' codec"),
        ("run.json", b"[]", r"received run.json, which is no record of a run"),
        ("run.json", b'{"kseq": "1"}', r"received run.json, which is no record of a run"),
        ("odd", {"run.json": {}}, r"received odd/run.json, which cannot be read \(Is a directory\)"),
    ],
)
def test_what_is_no_record(tmp_path, monkeypatch, name, content, expected):
    monkeypatch.chdir(tmp_path)
    if isinstance(content, dict):
        for inner in ("", *content):
            (tmp_path / name / inner).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=expected):
        Recorded.read(name)


def test_device_of_a_run(run):
    assert [changed(run, device=name).device for name in ("cpu", "NVIDIA H100")] == ["cpu", "gpu"]


def test_a_run_made_again_agrees_bit_for_bit(run):
    agreement = Agreement(run, run.repeat(run.series()))
    assert agreement.identical
    assert agreement.changes == []
    assert agreement.largest is None
    assert (agreement.table["figures"] == agreement.table["identical"]).all()
    total = agreement.table["figures"].sum()
    assert agreement_text(agreement).endswith(f"Identical: all {total} figures of 2 rows, bit for bit.")


def test_the_last_bit_is_seen(run, comparison):
    models = deepcopy(run.record["models"])
    models[1]["mae"][0] = float(np.nextafter(models[1]["mae"][0], 1))
    models[0]["rmse"][0] *= 1.001
    models[0]["group"] = "z"
    agreement = Agreement(changed(run, models=models), comparison)
    assert not agreement.identical
    assert [(d.row, d.figure) for d in agreement.differences] == [
        ("Persistence", "rmse[0]"), ("Persistence", "group"), ("Climatology + last anomaly", "mae[0]"),
    ]  # fmt: skip
    assert agreement.largest.figure == "rmse[0]"
    assert agreement.largest.size == pytest.approx(1 - 1 / 1.001)
    assert (agreement.table["figures"] - agreement.table["identical"]).tolist() == [2, 1]
    last = agreement_text(agreement).splitlines()[-1]
    assert last.startswith(
        f"Not identical: 3 of {agreement.table['figures'].sum()} figures differ, the most rmse[0] of "
    )
    assert f"{models[0]['rmse'][0]} in the record" in last


def test_every_figure_is_compared_and_no_time(run, comparison):
    models = deepcopy(run.record["models"])
    for model in models:
        for name in ("seconds", "first_epoch_seconds", "seconds_per_epoch"):
            model[name] = 123.0
    assert Agreement(changed(run, models=models, seconds=123.0), comparison).identical
    for name in ("mae", "rmse", "mape", "smape", "mase", "rmsse", "r2", "bias", "skill", "parameters", "intervals"):
        models = deepcopy(run.record["models"])
        models[1][name] = {"80": {"coverage": 1.0, "width": 1.0}} if name == "intervals" else 5
        assert not Agreement(changed(run, models=models), comparison).identical, name


def test_rows_on_one_side_alone(run, comparison):
    fewer = Agreement(changed(run, models=run.record["models"][:1]), comparison)
    assert not fewer.identical
    assert "Not identical: Climatology + last anomaly on one side alone." in agreement_text(fewer)
    more = Comparison(comparison.data, SETTINGS)
    more.add_baselines()
    more.add(ModelResult("extra", comparison.rows[0].predictions))
    assert Agreement(run, more).unmatched == ["extra"]


def test_members_that_are_missing_differ(comparison):
    data = comparison.data
    two, one = (Comparison(data, SETTINGS) for _ in range(2))
    forecasts = np.repeat(comparison.rows[0].predictions, 2, axis=0)
    two.add(ModelResult("GRU", forecasts, seeds=(0, 1)))
    one.add(ModelResult("GRU", forecasts[:1], seeds=(0,)))
    differences = {d.figure: d.repeated for d in Agreement(recorded(two), one).differences}
    assert differences["mae[1]"] is None
    assert "mae[0]" not in differences


def test_what_is_another_is_told(run, comparison):
    versions = {**run.record["versions"], "numpy": "1.0"}
    threads = {"OMP_NUM_THREADS": "64"}
    before = changed(run, backend="theano", versions=versions, machine={**run.record["machine"], "threads": threads})
    before.record["models"][1]["kernel"] = before.record["models"][0]["kernel"] = "by hand"
    changes = Agreement(before, comparison).changes
    assert any(text.startswith("backend theano there, ") for text in changes)
    assert f"numpy 1.0 there, {run.record['versions']['numpy']} here" in changes
    assert any(text.startswith("OMP_NUM_THREADS 64 there, ") for text in changes)
    assert "kernel by hand there,  here (Persistence, Climatology + last anomaly)" in changes
    text = agreement_text(Agreement(before, comparison))
    assert all(f"  - {change}\n" in text for change in changes)


def test_records_without_a_machine_are_compared_too(run, comparison):
    older = {key: value for key, value in run.record.items() if key != "machine"}
    agreement = Agreement(Recorded(run.path, older), comparison)
    assert agreement.identical
    assert agreement.changes == []
