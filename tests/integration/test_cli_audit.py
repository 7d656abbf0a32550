import json
import os

import numpy as np
import pytest

from kseq.cli import load, main

pytestmark = pytest.mark.above_backends

QUICK = ["audit", "--cells", "rnn", "--units", "2", "--lookback", "3", "--seeds", "1", "--epochs", "1",
         "--transform", "none"]  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with ten years of months in a file."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    rows = [
        f"{1990 + i // 12}-{i % 12 + 1:02}-01,{20 + 3 * np.sin(i * np.pi / 6) + generator.normal():.3f},{i % 7}"
        for i in range(120)
    ]
    (tmp_path / "mine.csv").write_text("\n".join(["date,sst,wind", *rows]) + "\n")
    return tmp_path


MINE = ["--csv", "mine.csv", "--target", "sst", "--features", "wind"]


def test_a_file_of_ones_own_is_clean(here, capsys):
    options = ["--baselines", "persistence,climatology", "--horizon", "2", "--transform", "auto"]
    assert main([*QUICK, *MINE, *options]) == 0
    captured = capsys.readouterr()
    head, _, *lines = captured.out.splitlines()
    assert head.split("  ")[0] == "check"
    assert "fold" not in head
    # 96 rows before the test part, 14 of them for validation.
    assert lines[0].split() == ["scaler", "1996-10-01", "38", "6", "0", "–", "yes"]
    names = {line.split("  ")[0] for line in lines[:-2]}
    assert {"SimpleRNN: weights", "Persistence: forecasts", "Climatology + last anomaly: forecasts"} <= names
    assert lines[-1].startswith(f"Clean: {len(lines) - 2} checks of ")
    assert [path.name for path in here.iterdir()] == ["mine.csv"]


def test_a_leak_is_status_1(here, capsys):
    assert main([*QUICK, *MINE, "--scaler", "minmax-leaks-test", "--baselines", "persistence"]) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[2].split()[-1] == "NO"
    assert "\nLeak: values after the cutoff move scaler, training windows, " in out


def test_json(here, capsys):
    assert main([*QUICK, *MINE, "--n-windows", "2", "--refit", "--baselines", "persistence", "--format", "json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["series"], record["clean"], record["leaks"]) == ("mine", True, [])
    assert {check["fold"] for check in record["checks"]} == {1, 2}
    assert record["checks"][0] == {
        "name": "scaler", "cutoff": "1998-04-01", "rows": 20, "values": 6, "differing": 0, "largest": 0.0, "fold": 1,
        "identical": True,
    }  # fmt: skip


def test_folds_have_a_column(here, capsys):
    assert main([*QUICK, *MINE, "--n-windows", "2", "--refit", "--baselines", "persistence"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["check", "fold", "cutoff"]
    assert lines[2].split()[:3] == ["scaler", "1", "1998-04-01"]


def test_a_number_on_one_side_alone_is_null(here, capsys, monkeypatch):
    from kseq.comparison import backtest

    honest = backtest.baseline_row

    def row(name, data, *rest, **options):
        skipped = backtest.Skipped(name, "of what is to come")
        return skipped if data.series.y.max() > 40 else honest(name, data, *rest, **options)

    monkeypatch.setattr(backtest, "baseline_row", row)
    arguments = [*QUICK, *MINE, "--baselines", "persistence"]
    assert main([*arguments, "--format", "json"]) == 1
    (check, *_) = (check for check in json.loads(capsys.readouterr().out)["checks"] if not check["identical"])
    assert (check["name"], check["largest"]) == ("Persistence: forecasts", None)
    assert main(arguments) == 1
    (line, *_) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("Persistence"))
    assert line.split()[-2:] == ["inf", "NO"]


def test_a_config_file(here, capsys):
    (here / "mine.toml").write_text(
        'lookback = 3\n[audit]\nscaler = "minmax-leaks-test"\nunits = 2\nepochs = 1\nseeds = 1\n'
    )
    typed = ["audit", "--config", "mine.toml", "--cells", "rnn", "--baselines", "persistence", "--transform", "none"]
    assert main(typed) == 1


@pytest.mark.parametrize("metric", ["wql", "crps", "pinball"])
def test_networks_that_forecast_quantiles_are_clean_whatever_ranks_them(here, capsys, metric):
    weights = []
    for levels in ("80", "80,95"):
        options = ["--loss", "quantile", "--metric", metric, "--level", levels, "--baselines", "persistence"]
        assert main([*QUICK, *MINE, *options, "--format", "json"]) == 0
        checks = json.loads(capsys.readouterr().out)["checks"]
        weights.append(next(check["values"] for check in checks if check["name"] == "SimpleRNN: weights"))
    # Two more quantiles in both trainings: of each two weights and the bias of the head, and those of the linear map of
    # three rows of two columns.
    assert weights[1] - weights[0] == 2 * 2 * (2 + 1 + 3 * 2)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--epochs", "0"], "received 0, expected a whole number from 1"),
        (["--scaler", "robust"], "received --scaler 'robust'"),
        (["--csv", "none.csv"], "none.csv, which does not exist"),
        (["--lookback", "5000"], "received a series of 732 rows"),
        (["--learning-rate", "0"], "'--learning-rate': received 0, expected a number from"),
        (["--match", "layers"], "'layers' is not one of 'units', 'params'"),
        (["--level", "180"], "received level 180"),
        (["--format", "csv"], "'csv' is not one of 'table', 'json'"),
        (["--cells", "elman"], "received cell 'elman'"),
    ],
)
def test_bad_input_is_one_line(here, capsys, arguments, expected):
    assert main(["audit", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert expected in captured.err


def test_whatever_decides_a_comparison_can_be_audited():
    compared, audited = ({option.name for option in load(name).params} for name in ("compare", "audit"))
    # How a comparison is shown, and forecasts that are given, decide none that are made.
    shown = {"predictions", "escape_formulas", "log"}
    assert compared - audited == {*shown, "rival", "with_forecasts"}
    assert audited <= compared
    defaults = {option.name: option.default for option in load("audit").params}
    assert (defaults["epochs"], defaults["seeds"], defaults["patience"]) == (5, 2, 2)


def test_the_backend_is_that_of_the_process(here, capsys):
    other = next(name for name in ("torch", "tensorflow", "jax") if name != os.environ["KERAS_BACKEND"])
    assert main(["audit", "--backend", other]) == 2
    assert capsys.readouterr().err.count("\n") == 1
