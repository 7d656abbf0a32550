"""When a line of the lesson's table holds: by figures with their spread, of known outcome."""

import numpy as np
import pandas as pd
import pytest

from kseq.explanation.gradients import LagCurve
from kseq.explanation.lesson import _in_order, lesson_table
from kseq.explanation.result import Measured
from kseq.explanation.tasks import Tasks
from kseq.explanation.words import as_text, sentences_of

pytestmark = pytest.mark.above_backends

LENGTHS = [10, 30, 100]


def outcome(reached, left=None):
    """What cells did on the problems, of the longest length that each seed solves and of what is left of gradients."""
    frame = pd.DataFrame(
        [
            (problem, length, model, np.mean(np.array(own) >= length), 500.0, True)
            for problem in ("adding", "copy")
            for model, own in reached.items()
            for length in LENGTHS
        ],
        columns=["problem", "length", "model", "solved", "steps", "tried"],
    )
    solved = {
        (problem, model): np.array(own)[:, None] >= np.array(LENGTHS)
        for problem in ("adding", "copy")
        for model, own in reached.items()
    }
    curves = {
        model: LagCurve(np.array([np.geomspace(1, end, 100) for end in (left or {}).get(model, [0.5] * len(own))]))
        for model, own in reached.items()
    }
    return Measured(None, (), Tasks(frame, solved, {m: (c, c) for m, c in curves.items()}), pd.DataFrame(), ())


def holds(explanation, name):
    table = lesson_table(explanation)
    own = table[table["property"] == name]
    return dict(zip(own["model"], own["holds"], strict=True))


def test_gates_reach_further_where_seeds_show_it():
    far, near = [100] * 8, [10] * 8
    found = holds(
        outcome({"SimpleRNN": near, "LSTM": far, "GRU": [10, 30, 10, 10, 10, 10, 10, 10]}), "long-term memory"
    )
    assert found == {"SimpleRNN": "yes", "LSTM": "yes", "GRU": "no difference seen"}
    assert holds(outcome({"SimpleRNN": far, "LSTM": near, "GRU": far}), "long-term memory") == {
        "SimpleRNN": "NO", "LSTM": "NO", "GRU": "no difference seen",
    }  # fmt: skip


def test_two_seeds_show_no_difference_and_decide_nothing():
    found = outcome({"SimpleRNN": [10, 10], "LSTM": [100, 100]})
    assert holds(found, "long-term memory") == {"SimpleRNN": "undecided", "LSTM": "no difference seen"}
    assert "do not tell" in " ".join(sentences_of(found))


def test_gradients_vanish_where_they_do_in_most_seeds_and_all_cells_are_compared_at_the_same_lags():
    eight = [10] * 8
    left = {"SimpleRNN": [1e-4] * 8, "LSTM": [1e-4] * 8, "GRU": [1e-4] * 4 + [0.5] * 4}
    found = outcome({"SimpleRNN": eight, "LSTM": eight, "GRU": eight}, left)
    assert holds(found, "vanishing gradient") == {"SimpleRNN": "yes", "LSTM": "NO", "GRU": "undecided"}
    text = as_text(found)
    assert "adding problem of 100 steps" in text
    assert text.count("left at lag 99") == 3 + 2  # each cell's line, and the sentences on two of them


def test_a_table_tells_what_its_figures_are():
    text = as_text(outcome({"SimpleRNN": [10, 30, 10], "LSTM": [100, 100, 30]}))
    assert "adds over 10 (10 to 30) steps" in text
    assert "in brackets the range over seeds" in text
    assert max(map(len, text.splitlines())) <= 120


def spread(*means):
    """Ten measurements around each of some means, alike in their spread, by cell in the lesson's order of speed."""
    noise = np.random.default_rng(0).normal(0, 0.01, (3, 10))
    return dict(zip(("SimpleRNN", "GRU", "LSTM"), np.array(means)[:, None] + noise, strict=True))


@pytest.mark.parametrize("in_turn", [False, True])
@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ((1.0, 1.1, 1.2), ["yes", "yes", "yes"]),
        ((1.0, 1.2, 1.1), ["yes", "NO", "NO"]),
        ((1.0, 1.1, 1.1), ["yes", "no difference seen", "no difference seen"]),
        ((1.0, 1.0, 1.0), ["no difference seen"] * 3),
        ((1.2, 1.1, 1.0), ["NO", "NO", "NO"]),
    ],
)
def test_an_order_of_cells_is_told_by_its_spread(means, expected, in_turn):
    assert list(_in_order(spread(*means), in_turn=in_turn).values()) == expected


def test_a_drift_that_meets_all_cells_hides_no_difference_between_those_measured_in_turn():
    drift = np.linspace(0, 5, 10)
    values = {name: own + drift for name, own in spread(1.0, 1.1, 1.2).items()}
    assert set(_in_order(values, in_turn=True).values()) == {"yes"}
    assert set(_in_order(values).values()) == {"no difference seen"}


def test_one_cell_has_no_order():
    assert _in_order({"GRU": np.ones(3)}) == {"GRU": "–"}
