"""What an explanation says of series whose answer is known."""

import json

import numpy as np
import pandas as pd
import pytest

import kseq
from kseq.errors import ConfigError
from kseq.explanation import tasks, timing
from kseq.explanation.explanation import Explanation
from kseq.explanation.memory import MemoryUsed, lags_of, memory_used
from kseq.explanation.networks import networks_of
from kseq.explanation.tasks import Tasks, adding, copying

pytestmark = [pytest.mark.above_backends, pytest.mark.pictures]


def planted(lag=7, rows=900, seed=0):
    """A series whose value depends on the one some rows earlier, and on chance."""
    noise = np.random.default_rng(seed).normal(size=rows)
    y = noise.copy()
    for row in range(lag, rows):
        y[row] = 0.9 * y[row - lag] + 0.4 * noise[row]
    return kseq.from_frame(pd.DataFrame({"y": y}))


@pytest.fixture(scope="module", autouse=True)
def _few_steps_are_timed():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "STEPS", 2)
        yield


@pytest.fixture
def few_sequences(monkeypatch):
    """Problems of fewer sequences, which nobody solves in an epoch."""
    for name, count in (("EPOCHS", 1), ("TRAIN", 160), ("VALIDATION", 64), ("TEST", 64)):
        monkeypatch.setattr(tasks, name, count)


#: What trains a network in a moment, on values as they are.
QUICK = {"problems": False, "transform": "none"}


@pytest.fixture(scope="module")
def explained():
    return kseq.explain(planted(rows=2000), **QUICK, seeds=3, epochs=15, learning_rate=0.01)


def test_a_planted_lag_is_found_by_all_cells(explained):
    for cell in explained.cells:
        assert cell.memory.strongest()[0] == 7
        assert (cell.memory.by_lag.argmax(axis=1) == 6).all()
        assert cell.memory.needed() >= 7
        # Integrated gradients, lag 1 first.
        assert cell.memory.attributed.sum(axis=2).mean(axis=0).argmax() == 6


def used_by(growth, by_input=()):
    """What is used where errors, one a seed of 1.0, grow by this without each lag, ``(seed, lags)``."""
    growth = np.asarray(growth, float)
    error = np.ones(len(growth))
    inputs = 1 + np.asarray(by_input if len(by_input) else growth, float)
    return MemoryUsed(error, np.arange(growth.shape[1] + 1), {}, np.arange(1, growth.shape[1] + 1), 1 + growth, inputs,
                      np.ones((len(growth), growth.shape[1], 1)))  # fmt: skip


def test_lags_count_that_matter_to_all_seeds():
    # The second matters most in the mean, by one seed alone; the fourth helps where it is taken away.
    growth = np.array(
        [[0.50, 2.5, 0.20, -0.3], [0.52, -0.1, 0.21, -0.3], [0.51, 0.0, 0.19, -0.31], [0.49, 0, 0.2, -0.3]]
    )
    used = used_by(growth)
    assert growth.mean(axis=0).argmax() == 1
    assert used.strongest() == [1, 3]
    assert used.strongest(1) == [1]
    assert used.strongest_inputs() == [0, 2]
    # One seed says nothing of the spread; none that grows, none that is named.
    assert used_by(growth[:1]).strongest() == [2, 1, 3]
    assert used_by([[0.0, -0.1], [0.0, -0.1]]).strongest() == []
    assert used_by([[0.5, 0.0], [0.5, 0.0]]).strongest() == [1]


def test_two_seeds_that_agree_by_chance_do_not_hide_a_stronger_lag():
    rng = np.random.default_rng(3)
    growth = 0.01 * rng.standard_normal((2, 24))
    growth[:, 0] = 0.9, 1.1
    growth[:, 4] = 0.26
    assert used_by(growth).strongest() == [1, 5]


@pytest.mark.parametrize("seeds", [2, 5, 10])
def test_lags_that_do_nothing_are_rarely_named(seeds):
    rng = np.random.default_rng(0)
    named = [bool(used_by(0.01 * rng.standard_normal((seeds, 24))).strongest()) for _ in range(300)]
    assert np.mean(named) < 0.06


def test_without_any_row_a_network_does_no_better_than_the_mean(explained):
    for cell in explained.cells:
        for errors in cell.memory.without_older.values():
            assert (errors[:, 0] > 1.1 * cell.memory.error).all()
            np.testing.assert_allclose(errors[:, -1], cell.memory.error)


def test_a_cut_window_is_read_from_the_initial_state():
    (network,) = networks_of(kseq.build_model("gru", lookback=5, units=3, seed=0))
    x = np.random.default_rng(0).normal(size=(6, 5, 1))
    used = memory_used(
        lambda windows: network.run(windows).output[None], [network], x, lambda scaled: scaled.mean(axis=(1, 2)),
        np.zeros(1), np.ones((1, 5, 1)),
    )  # fmt: skip
    (cut,) = used.without_older["cut"]
    assert used.kept.tolist() == [0, 1, 2, 3, 4, 5]
    for rows in (1, 2, 5):
        assert cut[rows] == pytest.approx(network.run(x[:, 5 - rows :]).output.mean())
    assert cut[0] == pytest.approx(network.bias.mean())


def test_parameters_gates_and_states(explained):
    found = {cell.name: (cell.parameters, cell.gates, len(cell.states)) for cell in explained.cells}
    assert found == {"SimpleRNN": (1121, 0, 1), "LSTM": (4385, 3, 2), "GRU": (3393, 2, 1)}
    assert "c = f * c' + i * g" in "\n".join(explained.cells[1].equations)


def test_gates_are_shares_and_shut_or_open_at_most_once(explained):
    for cell in explained.cells:
        for name in cell.at_work.names:
            assert (np.abs(cell.at_work.means[name] - 0.5) < 0.5).all()
            assert (cell.at_work.shut[name] + cell.at_work.open[name] <= 1).all()


def test_states_of_two_pasts_come_together(explained):
    for cell in explained.cells:
        assert (cell.agreement[:, 0] == 1).all()
    assert (explained.cells[0].agreement[:, -1] < 0.5).all()


def test_the_lesson_is_filled_for_every_cell_and_property(explained):
    lesson = explained.lesson
    assert list(lesson.columns) == ["property", "model", "lesson", "measured", "holds"]
    assert len(lesson) == 15
    assert lesson[lesson["property"].isin(["gates", "parameters"])]["holds"].eq("yes").all()
    assert (lesson[lesson["property"] == "long-term memory"]["measured"].str.contains("uses")).all()


def test_every_measure_has_its_sentence_and_each_cell_its_advice(explained):
    text = " ".join(explained.sentences)
    for word in (
        "weights",
        "gradient of its loss",
        "rows that it reads",
        "gates",
        "pasts",
        "training step",
        "forget bias 0",
    ):
        assert word in text
    assert sum("the one to use here" in advice for advice in explained.advice) == 1
    assert {advice.split(":")[0] for advice in explained.advice[:3]} == {"SimpleRNN", "LSTM", "GRU"}


def test_all_is_written(explained, tmp_path):
    files = explained.write(tmp_path / "why")
    names = {file.name for file in files}
    assert {
        "explanation.txt",
        "lesson.csv",
        "figures.csv",
        "lags.csv",
        "gates.csv",
        "gradients.png",
        "memory.png",
    } <= names
    record = json.loads((tmp_path / "why" / "explanation.json").read_text())
    assert sorted(record["files"]) == sorted(names)
    lags = pd.read_csv(tmp_path / "why" / "lags.csv")
    assert lags.groupby(["model", "seed"]).size().eq(12).all()


def test_the_same_seeds_give_the_same_figures():
    once, again = (
        kseq.explain(
            planted(rows=100), **QUICK, variants=False, cells=("gru",), units=4, seeds=(0, 1), training={"epochs": 2}
        )
        for _ in range(2)
    )
    timed = ("ms", "s")
    one, other = (explained.table[~explained.table["unit"].isin(timed)] for explained in (once, again))
    pd.testing.assert_frame_equal(one, other)


def test_several_series_and_inputs():
    generator = np.random.default_rng(0)
    rows = [
        {
            "unique_id": name,
            "ds": pd.Timestamp("2001-01-01") + pd.Timedelta(days=row),
            "y": value,
            "wind": generator.normal(),
        }
        for name in "ab"
        for row, value in enumerate(generator.normal(size=80))
    ]
    panel = kseq.panel_from_frame(pd.DataFrame(rows), features=["wind"])
    explained = kseq.explain(
        panel, **QUICK, variants=False, cells=("rnn", "lstm"), units=4, seeds=(0, 1), training={"epochs": 2}, horizon=2
    )
    assert explained.subject.measure == "mase"
    assert explained.cells[0].memory.by_input.shape == (2, 2)
    said = " ".join(explained.sentences)
    assert "inputs without which" in said or "no single input counts" in said


def test_a_saved_model_is_explained(tmp_path):
    from kseq.forecasting.fit import fit_model
    from kseq.forecasting.model_file import save

    path = save(
        fit_model(
            planted(rows=200),
            kseq.Settings(
                cells=("lstm",), units=4, seeds=(0, 1), transform="none", baselines=("persistence",),
                training={"epochs": 2},
            ),
        ),
        tmp_path / "m.keras",
    )  # fmt: skip
    explained = kseq.explain(model=path)
    (cell,) = explained.cells
    assert cell.name == "LSTM"
    assert len(cell.loss_gradient[1].values) == 2
    assert "in its training" in explained.subject.source
    newer = kseq.explain(planted(rows=260), model=path)
    assert "not trained on" in newer.subject.source
    assert "gradient of its loss" in str(newer)


@pytest.mark.parametrize("options", [{"n_windows": 3}, {"strategy": "recursive"}, {"cells": ()}])
def test_what_cannot_be_explained_is_refused(options):
    with pytest.raises(ConfigError, match="received"):
        kseq.explain(planted(rows=100), problems=False, **options)


def test_nothing_to_explain_is_refused():
    with pytest.raises(ConfigError, match="neither a series nor a model"):
        kseq.explain(problems=False)


# The two problems


def test_the_adding_problem_marks_one_value_in_each_half():
    x, y = adding(10, 200, np.random.default_rng(0))
    assert (x[:, :5, 1].sum(axis=1) == 1).all()
    assert (x[:, 5:, 1].sum(axis=1) == 1).all()
    np.testing.assert_allclose(y[:, 0], (x[..., 0] * x[..., 1]).sum(axis=1))
    assert np.mean((adding(10, 20_000, np.random.default_rng(1))[1] - 1) ** 2) == pytest.approx(1 / 6, rel=0.03)


def test_the_copy_problem_asks_for_the_signs_at_its_start():
    x, y = copying(20, 50, np.random.default_rng(0))
    assert x.shape == (50, 25, 1)
    np.testing.assert_array_equal(x[:, :5, 0], y)
    assert (x[:, 5:] == 0).all()


def test_short_problems_are_solved(monkeypatch):
    monkeypatch.setattr(tasks, "EPOCHS", 12)
    outcome = tasks.run_tasks(("gru",), (0, 1), (4,))
    adding_rows = outcome.frame[outcome.frame["problem"] == "adding"]
    assert adding_rows["solved"].tolist() == [1.0]
    assert outcome.reach("GRU", "adding") == 4


@pytest.mark.usefixtures("few_sequences")
def test_a_cell_that_fails_is_not_tried_at_longer_problems():
    outcome = tasks.run_tasks(("rnn",), (0,), (10, 20, 200))
    (_, after) = outcome.gradients["SimpleRNN"]
    assert after.values.shape == (1, 20)
    assert "adding problem" in str(Explanation(None, (), outcome, pd.DataFrame(), (0,)))
    failed = outcome.frame[outcome.frame["problem"] == "adding"]
    assert failed["solved"].eq(0).all()
    # The length at which gradients are compared is tried whatever came before it.
    assert failed["tried"].tolist() == [True, True, False]


def test_the_reach_ends_before_the_first_length_that_half_of_the_seeds_do_not_solve():
    frame = pd.DataFrame({"problem": "adding", "length": [10, 30, 100], "model": "LSTM", "solved": [1.0, 0.4, 0.9]})
    assert Tasks(frame, {}, {}).reach("LSTM", "adding") == 10
    assert Tasks(frame.assign(solved=0.0), {}, {}).reach("LSTM", "adding") == 0
    assert Tasks(frame.assign(solved=0.5), {}, {}).reach("LSTM", "adding") == 100


def test_each_seed_reaches_the_length_before_the_first_that_it_does_not_solve():
    frame = pd.DataFrame({"problem": "adding", "length": [10, 30, 100], "model": "LSTM", "solved": 0.5})
    solved = np.array([[True, True, True], [True, False, True], [False, True, True]])
    assert Tasks(frame, {("adding", "LSTM"): solved}, {}).reached("LSTM", "adding").tolist() == [100, 10, 0]


def test_of_long_windows_some_lags_are_looked_at():
    lags = lags_of(1000)
    assert (lags[0], lags[-1]) == (1, 1000)
    assert len(lags) <= 64
    assert (np.diff(lags) > 0).all()


@pytest.mark.usefixtures("few_sequences")
def test_without_data_the_lesson_is_filled_from_the_problems():
    outcome = tasks.run_tasks(("rnn", "lstm", "gru"), (0, 1), (4, 8))
    explained = Explanation(None, (), outcome, pd.DataFrame(), (0, 1))
    lesson = explained.lesson.set_index(["property", "model"])
    assert len(lesson) == 15
    assert (lesson["measured"] != "–").all()
    assert lesson.loc[("gates", "LSTM"), "measured"] == "3"
    assert lesson.loc[("parameters", "SimpleRNN"), "measured"] == f"{24 * (2 + 24 + 1) + 24 + 1}"
    assert "ms a step" in lesson.loc[("training speed", "GRU"), "measured"]
    assert explained.table.set_index(["measure", "model"]).loc[("training step", "GRU"), "mean"] > 0
