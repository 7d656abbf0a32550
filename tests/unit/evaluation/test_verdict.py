import gc

import numpy as np
import pandas as pd
import pytest

from kseq.evaluation import cautions as warned
from kseq.evaluation import verdict as said
from kseq.evaluation.cautions import cautions
from kseq.evaluation.evidence import Evidence
from kseq.evaluation.significance import Row, differences
from kseq.evaluation.verdict import verdict

pytestmark = pytest.mark.above_backends

WINDOWS = 120

#: Sizes of the windows' errors, of mean 1: no forecast misses every window by the same.
MISSED = 1 + 0.5 * np.sin(2 * np.pi * np.arange(WINDOWS) / 12)
#: Added to what a row misses, of mean 0: it is then the better and the worse one in turns.
TURNS = 0.2 * (-1.0) ** np.arange(WINDOWS)
#: How much each of five seeds misses, beside the others; of mean 1.
SEEDS = np.array([0.98, 1.01, 1.0, 0.99, 1.02])
#: The same in another order.
SHUFFLED = SEEDS[[3, 0, 4, 1, 2]]


@pytest.fixture(scope="module", autouse=True)
def _quick_garbage_collection():
    """Statsmodels collects garbage with every adjustment; what is loaded by now need not be looked at each time."""
    gc.freeze()
    yield
    gc.unfreeze()


def row(name, errors, kind="cell", **known):
    """A row of ``(windows,)`` or ``(members, windows)`` errors."""
    return Row(name, np.atleast_2d(errors)[:, :, None, None], kind, **known)


def cell(name, mean, seeds=SEEDS, turns=0.0, **known):
    """A cell that misses ``mean``: more with one seed than with another, and more in one window than in another."""
    return row(name, mean * seeds[:, None] * (MISSED + turns * TURNS), **known)


def baseline(name, mean):
    return row(name, mean * (MISSED + 0.1 * TURNS), "baseline")


def ensemble(name, mean, **known):
    return row(name, mean * (MISSED - 0.1 * TURNS), "ensemble", **known)


def evidence(*rows, **known):
    """Evidence on a series of monthly values between 10 and 30, which no test window leaves."""
    y = known.pop("y", 20 + 5 * np.random.default_rng(0).uniform(-1, 1, (WINDOWS, 1, 1)))
    usual = {
        "last": np.zeros((len(y), y.shape[-1])),
        "low": np.full(y.shape[-1], 10.0),
        "high": np.full(y.shape[-1], 30.0),
        "index": pd.date_range("2000-01-01", periods=200, freq="MS"),
    }
    return Evidence(rows, y, **(usual | known))


def appears(sentence, given):
    """The text of a sentence, which the verdict or the traps then hold, once."""
    text = sentence(given)
    assert text is not None
    assert (verdict(given) + cautions(given)).count(text) == 1
    return text


# Which one?


def test_winner_among_cells():
    won = evidence(cell("LSTM", 1.0), cell("GRU", 0.8, SHUFFLED, 0.1), cell("SimpleRNN", 1.2, turns=0.2), unit="°C")
    assert appears(said.winner, won) == (
        "GRU wins among the cells: its mean absolute error, 0.800 °C, is 20.0% below that of LSTM (p < 0.001)."
    )
    assert said.winner(evidence(cell("LSTM", 1.0), cell("GRU", 1.001, SHUFFLED, 1.0))) is None
    # A lone cell has won nothing, whatever the baselines do.
    assert said.winner(evidence(cell("GRU", 0.8), baseline("naive", 2.0))) is None


def test_tie_of_cells():
    tied = evidence(cell("LSTM", 1.0), cell("GRU", 0.999, SHUFFLED, 1.0))
    assert appears(said.tie, tied) == "GRU and LSTM tie (p = 0.93): mean absolute errors of 0.999 to 1.00."
    of_three = evidence(cell("LSTM", 1.0), cell("GRU", 0.999, SHUFFLED, 1.0), cell("SimpleRNN", 1.001, turns=-1.0))
    assert appears(said.tie, of_three).startswith("GRU, LSTM and SimpleRNN tie (p = 1.00): mean")
    assert said.tie(evidence(cell("LSTM", 1.0), cell("GRU", 0.8, SHUFFLED, 0.1))) is None
    assert said.tie(evidence(cell("LSTM", 1.0))) is None


def test_tie_says_that_cells_need_more_than_the_usual_level():
    gaps = np.array([0.01, 0.02, 0.02, 0.02, 0.06])
    close = evidence(row("GRU", np.outer(np.ones(5), MISSED)), row("LSTM", np.outer(1 + gaps, MISSED)))
    assert 0.02 < close.pair(*close.cells).p_adjusted < 0.05
    assert "GRU and LSTM tie (p = 0.041; between cells a difference takes p <= 0.02): " in appears(said.tie, close)
    far = evidence(cell("LSTM", 1.0), cell("GRU", 0.999, SHUFFLED, 1.0))
    assert "between cells" not in said.tie(far)


def test_one_seed_each_cannot_be_told_apart():
    single = evidence(row("GRU", MISSED), row("LSTM", 3 * MISSED), unit="K")
    assert appears(said.tie, single) == (
        "GRU and LSTM cannot be told apart without several seeds of each: mean absolute errors of 1.00 K to 3.00 K."
    )
    assert "without several seeds" not in said.tie(evidence(cell("LSTM", 1.0), cell("GRU", 1.0, SHUFFLED, 1.0)))


def test_cells_behind_those_that_tie():
    alike = cell("LSTM", 1.0), cell("GRU", 0.999, SHUFFLED, 1.0)
    assert appears(said.behind, evidence(*alike, cell("SimpleRNN", 1.5))) == "SimpleRNN is behind GRU (p < 0.001)."
    two = evidence(*alike, cell("SimpleRNN", 1.5), cell("stacked GRU", 2.0))
    assert appears(said.behind, two) == "SimpleRNN and stacked GRU are behind GRU (p < 0.001)."
    assert said.behind(evidence(*alike)) is None
    assert said.behind(evidence(cell("LSTM", 1.0), cell("GRU", 0.8, SHUFFLED, 0.1))) is None


def test_gap_within_the_noise_of_seeds():
    noisy = evidence(cell("LSTM", 1.0), cell("GRU", 0.995, SHUFFLED), unit="°C")
    assert appears(said.seed_noise, noisy) == (
        "The gap between GRU and LSTM, 0.00500 °C, is within the noise of seeds: one cell alone varies by 0.0158 °C "
        "(standard deviation)."
    )
    # Larger than the noise of one cell.
    gaps = np.array([0.01, 0.02, 0.02, 0.02, 0.06])
    far = evidence(row("GRU", np.outer(np.ones(5), MISSED)), row("LSTM", np.outer(1 + gaps, MISSED)))
    assert said.tie(far) is not None
    assert said.seed_noise(far) is None
    # One seed has no noise to show.
    assert said.seed_noise(evidence(row("LSTM", MISSED), row("GRU", 0.995 * MISSED))) is None
    # Seeds vary alike in both cells, and the gap is the same with each: it is no noise of seeds.
    noise = np.random.default_rng(1).normal(0, 0.3, WINDOWS)
    alike = evidence(row("LSTM", np.outer(SEEDS, MISSED + noise - noise.mean())), cell("GRU", 0.995))
    assert said.tie(alike) is not None
    assert said.seed_noise(alike) is None
    assert said.time_noise(alike) is not None


def test_test_part_too_short_for_what_seeds_say():
    once = np.zeros(WINDOWS)
    once[7] = 30.0
    short = evidence(cell("GRU", 1.0), row("LSTM", np.outer(SEEDS, MISSED) + once))
    text = appears(said.time_noise, short)
    assert text == (
        "GRU is ahead of LSTM in the mean of its seeds (p < 0.001), but the 120 test windows are too few to say that "
        "it would be elsewhere (p = 0.32)."
    )
    # Time says the same as seeds; seeds do not tell them apart; one seed says nothing; there is one cell.
    for rows in (
        [cell("LSTM", 1.0), cell("GRU", 0.8, SHUFFLED)],
        [cell("LSTM", 1.0), cell("GRU", 0.999, SHUFFLED, 1.0)],
        [row("LSTM", MISSED), row("GRU", MISSED + once)],
        [cell("LSTM", 1.0)],
    ):
        assert said.time_noise(evidence(*rows)) is None
    # Seeds and time each tell two of three cells apart, though not so clearly that it stands among three pairs.
    gaps = np.array([[0.0] * 5, [0.02, 0.02, 0.02, 0.02, 0.05], [0.04, -0.05, 0.05, -0.05, 0.16]])
    three = evidence(*(row(f"cell {number}", np.outer(1 + gap, MISSED)) for number, gap in enumerate(gaps)))
    pair = three.pair(*three.leaders[:2])
    assert max(pair.p_seeds, pair.p_time) <= pair.level < pair.p_adjusted
    assert said.time_noise(three) is None


@pytest.mark.parametrize(
    ("several", "shown"),
    [([0.31], "p = 0.31"), ([0.9, 0.31], "p = 0.31 or more"), ([1.0, 0.997], "p = 1.00"), ([1.0], "p = 1.00")],
)
def test_of_several_p_values_the_smallest_is_shown(several, shown):
    assert said.smallest_p_value(several) == shown


def test_against_the_best_baseline():
    rnn, lstm, gru = cell("SimpleRNN", 1.3), cell("LSTM", 1.0, SHUFFLED, 1.0), cell("GRU", 0.8, turns=0.1)
    rest = baseline("climatology", 1.001), baseline("persistence", 3.0)
    mixed = appears(said.against_best_baseline, evidence(rnn, lstm, gru, *rest, unit="°C"))
    assert mixed == (
        "GRU beats climatology, the best baseline (1.00 °C; p < 0.001); LSTM is on a par with it (p = 0.89); "
        "SimpleRNN loses to it (p < 0.001)."
    )
    both = appears(said.against_best_baseline, evidence(lstm, rnn, baseline("AR(2)", 0.5)))
    assert both == "LSTM and SimpleRNN both lose to AR(2), the best baseline (0.500; p < 0.001)."
    every = appears(said.against_best_baseline, evidence(lstm, rnn, gru, baseline("naive", 5.0)))
    assert every == "GRU, LSTM and SimpleRNN all beat naive, the best baseline (5.00; p < 0.001)."
    two_of_three = appears(said.against_best_baseline, evidence(lstm, rnn, gru, baseline("AR(2)", 0.9)))
    assert two_of_three == (
        "GRU beats AR(2), the best baseline (0.900; p < 0.001); LSTM and SimpleRNN lose to it (p < 0.001)."
    )
    # Of several p-values the least convincing.
    barely = cell("GRU", 0.98, SHUFFLED)
    unlike = evidence(cell("LSTM", 0.5), barely, baseline("AR(2)", 1.0))
    largest = unlike.pair(barely, unlike.baseline).p_adjusted
    assert 0.01 < largest < 0.05
    assert said.against_best_baseline(unlike).endswith(f"both beat AR(2), the best baseline (1.00; p = {largest:.2g}).")
    par = appears(said.against_best_baseline, evidence(lstm, cell("GRU", 1.002, turns=-1.0), rest[0]))
    assert par == "LSTM and GRU both are on a par with climatology, the best baseline (1.00; p = 1.00)."
    assert said.against_best_baseline(evidence(lstm, gru)) is None


def test_lesser_baseline_that_cells_beat():
    lstm, gru = cell("LSTM", 1.0), cell("GRU", 1.05, SHUFFLED, 0.1)
    lost = evidence(lstm, gru, baseline("AR(2)", 0.5), baseline("climatology", 1.5), baseline("naive", 3.0))
    assert appears(said.beaten_baseline, lost) == "LSTM and GRU beat climatology (1.50; p < 0.001)."
    assert said.beaten_baseline(evidence(lstm, gru, baseline("AR(2)", 0.5), baseline("climatology", 0.6))) is None
    assert said.beaten_baseline(evidence(lstm, gru, baseline("climatology", 1.5), baseline("naive", 3.0))) is None
    assert said.beaten_baseline(evidence(lstm, gru)) is None


def test_cost_of_cells():
    small = cell("GRU", 1.0, parameters=3000, seconds=12.4)
    large = cell("LSTM", 1.1, parameters=12000, seconds=123.4)
    assert appears(said.cost, evidence(small, large)) == (
        "GRU has 3,000 parameters, LSTM 12,000; GRU trains in 12 s a seed, LSTM in 123 s."
    )
    assert appears(said.cost, evidence(small)) == "GRU has 3,000 parameters; GRU trains in 12 s a seed."
    alike = cell("LSTM", 1.1, parameters=3000, seconds=12.9)
    assert said.cost(evidence(small, alike)) is None
    assert said.cost(evidence(cell("GRU", 1.0), cell("LSTM", 1.1))) is None
    assert said.cost(evidence(cell("GRU", 1.0))) is None


def test_a_time_that_is_known_of_one_cell_compares_nothing():
    known, unknown = cell("GRU", 1.0, seconds=1.24), cell("LSTM", 1.1)
    assert said.cost(evidence(known, unknown)) is None
    assert said.cost(evidence(known)) == "GRU trains in 1.2 s a seed."


def test_use_a_network():
    best, smaller = cell("LSTM", 0.799, parameters=400), cell("GRU", 0.8, SHUFFLED, 1.0, parameters=300)
    naive = baseline("naive", 1.0)
    assert appears(said.use_a_network, evidence(best, naive)) == "Use LSTM: 20.1% below the best baseline."
    assert appears(said.use_a_network, evidence(best, smaller, naive)) == (
        "Use GRU: the smallest of those that tie, 20.0% below the best baseline."
    )
    # Of equal size, the best, which is not called the smallest.
    equal = cell("GRU", 0.8, SHUFFLED, 1.0, parameters=400)
    assert said.use_a_network(evidence(best, equal, naive)) == "Use LSTM: 20.1% below the best baseline."
    # A cell that is behind is not used, small as it is.
    behind = cell("SimpleRNN", 0.9, parameters=10)
    assert said.use_a_network(evidence(best, smaller, behind, naive)).startswith("Use GRU: ")
    assert said.use_a_network(evidence(best, baseline("AR(2)", 0.5))) is None
    assert said.use_a_network(evidence(best, smaller)) is None


def test_an_ensemble_is_used_where_no_cell_beats_the_baseline():
    naive, mean = baseline("naive", 1.0), ensemble("LSTM, mean of seeds", 0.8, parameters=400)
    assert appears(said.use_a_network, evidence(cell("LSTM", 1.0), mean, naive)) == (
        "Use LSTM, mean of seeds: 20.0% below the best baseline."
    )
    assert said.use_a_network(evidence(cell("LSTM", 0.9), mean, naive)).startswith("Use LSTM: ")
    assert said.use_a_network(evidence(cell("LSTM", 1.0), ensemble("mean", 1.0), naive)) is None


def test_a_cell_behind_is_used_where_the_leader_beats_no_baseline():
    # Two seeds of the best cell are too few to say that it beats the baseline; five of the one behind it are enough.
    # They have no seed in common, so that they are not paired.
    gru = row("GRU", 0.9 * np.outer([0.9, 1.1], MISSED), seeds=(8, 9))
    lstm = cell("LSTM", 1.52, 1 + 11 * (SEEDS - 1))
    given = evidence(gru, lstm, baseline("naive", 2.0), ensemble("mean", 1.0))
    assert given.leaders == [gru]
    assert given.against(given.baseline)["beat"] == [lstm]
    assert said.use_a_network(given) == "Use LSTM: 24.0% below the best baseline."
    assert said.use_the_baseline(given) is None


def test_use_the_baseline():
    level, naive = cell("LSTM", 1.0, SHUFFLED, 1.0), baseline("naive", 1.001)
    assert appears(said.use_the_baseline, evidence(level, naive)) == (
        "Use naive: no cell is better, and it needs no training."
    )
    for rows in ([cell("LSTM", 0.8), naive], [cell("LSTM", 1.5), naive], [level]):
        assert said.use_the_baseline(evidence(*rows)) is None


def test_use_no_network():
    worse, naive = [cell("LSTM", 1.5), cell("GRU", 1.6, SHUFFLED)], baseline("climatology + anomaly", 1.0)
    assert appears(said.use_no_network, evidence(*worse, naive, lookback=12)) == (
        "Use climatology + anomaly: do not use a recurrent net for this series at this lookback (12)."
    )
    assert said.use_no_network(evidence(*worse, naive)).endswith("do not use a recurrent net for this series.")
    for rows in ([cell("RNN", 1.0, SHUFFLED, 1.0), *worse, naive], [cell("RNN", 0.8), *worse, naive], worse):
        assert said.use_no_network(evidence(*rows)) is None
    # The mean of its seeds may do what no cell does.
    assert said.use_no_network(evidence(*worse, naive, ensemble("mean", 0.8))) is None


@pytest.mark.parametrize(
    ("means", "expected"),
    [((0.5, 2.0), said.use_a_network), ((1.0, 2.0), said.use_the_baseline), ((2.0, 3.0), said.use_no_network)],
)
def test_one_sentence_says_what_to_use(means, expected):
    given = evidence(*(cell(f"cell {mean}", mean, turns=1.0) for mean in means), baseline("naive", 1.0))
    advice = [sentence(given) for sentence in (said.use_a_network, said.use_the_baseline, said.use_no_network)]
    assert [text for text in advice if text] == [expected(given)]


def test_no_verdict_without_a_cell_that_can_be_scored():
    assert verdict(evidence(baseline("naive", 1.0))) == []
    assert verdict(evidence(row("GRU", np.full((3, WINDOWS), np.nan)), baseline("naive", 1.0))) == []


def test_verdict_in_the_order_of_its_sentences():
    given = evidence(
        cell("LSTM", 1.0, parameters=400), cell("GRU", 0.999, SHUFFLED, 1.0, parameters=300), baseline("AR", 0.5)
    )
    starts = [
        "GRU and LSTM tie",
        "The gap between",
        "To tell GRU",
        "Of the noise",
        "GRU and LSTM both lose to AR",
        "GRU has 300",
        "Use AR: do not",
    ]
    assert len(verdict(given)) == len(starts)
    for text, start in zip(verdict(given), starts, strict=True):
        assert text.startswith(start)


# What chance may claim.


def simulated(rng, levels, horizon=1, of_a_seed=0.02):
    """Cells that share what cannot be forecast; each seed adds an error of its own to each point, and a skill."""
    common = rng.normal(size=(WINDOWS, horizon, 1))
    return evidence(
        *(
            Row(
                name,
                level * common * (1 + of_a_seed * rng.normal(size=(5, 1, 1, 1)))
                + 0.1 * rng.normal(size=(5, WINDOWS, horizon, 1)),
            )
            for name, level in zip(("SimpleRNN", "LSTM", "GRU"), levels, strict=True)
        ),
        y=np.full((WINDOWS, horizon, 1), 20.0),
    )


@pytest.mark.parametrize("horizon", [1, 6])
def test_three_identical_cells_tie_in_95_of_100_comparisons(horizon):
    rng = np.random.default_rng(11)
    ties = 0
    for _ in range(100):
        given = simulated(rng, [1, 1, 1], horizon)
        names = [one.name for one in given.cells]
        tied = said.tie(given)
        ties += tied is not None and tied.startswith(f"{names[0]}, {names[1]} and {names[2]} tie (")
    assert ties >= 95


def test_a_planted_winner_is_named():
    rng = np.random.default_rng(12)
    texts = [verdict(simulated(rng, [1, 0.85, 1])) for _ in range(20)]
    assert sum(text[0].startswith("LSTM wins among the cells: ") for text in texts) >= 19


def test_windows_further_apart_overlap_less():
    rng = np.random.default_rng(13)
    walk = np.cumsum(rng.normal(size=(WINDOWS, 24, 1)), axis=0)
    rows = [Row("a", walk[None], "baseline"), Row("b", walk[None] + rng.normal(size=walk.shape), "baseline")]
    y = np.full((WINDOWS, 24, 1), 20.0)
    p = [evidence(*rows, y=y, step_size=step).pair(*rows).p_time for step in (1, 2, 3, 24, 48)]
    at_horizon = [differences(rows, horizon=horizon)[0].p_time for horizon in (24, 12, 8, 1, 1)]
    assert p == at_horizon
    assert len(set(p)) == 4


# Traps.


def test_no_baseline():
    alone = evidence(cell("GRU", 1.0))
    assert appears(warned.no_baseline, alone) == (
        "No baseline stands beside the cells: nothing says whether training was worth it."
    )
    assert warned.no_baseline(evidence(cell("GRU", 1.0), baseline("naive", 1.0))) is None
    assert warned.no_baseline(evidence()) is None


def test_forecasts_that_copy_the_last_value():
    rng = np.random.default_rng(0)
    series = 20 + rng.uniform(-5, 5, WINDOWS + 1)
    y, last = series[1:, None, None], series[:-1, None]
    copies = (last[:, 0] - y[:, 0, 0]) + 0.01 * rng.normal(size=(5, WINDOWS))
    copied = evidence(row("GRU", copies), cell("LSTM", 0.1), y=y, last=last)
    text = appears(warned.copies_last_value, copied)
    correlation = np.corrcoef(series[1:], series[:-1])[0, 1]
    assert f"Forecasts that follow the last value: GRU (1.000 with y(t-1), {correlation:.3f} with y(t))." in text
    assert "LSTM" not in text
    assert warned.copies_last_value(evidence(cell("LSTM", 0.1), y=y, last=last)) is None
    # A good forecast of a series that moves slowly is also near its last value, but nearer to the truth.
    slow = 20 + np.cumsum(rng.uniform(-1, 1, WINDOWS + 1))
    good = evidence(row("GRU", 0.1 * TURNS), y=slow[1:, None, None], last=slow[:-1, None])
    assert np.corrcoef(slow[1:], slow[:-1])[0, 1] > 0.9
    assert warned.copies_last_value(good) is None
    # A baseline may repeat the last value: that is what it is for.
    naive = row("persistence", copies[0], "baseline")
    assert warned.copies_last_value(evidence(cell("LSTM", 0.1), naive, y=y, last=last)) is None
    # A forecast that never varies follows nothing.
    flat = row("flat", 20 - y[:, 0, 0])
    assert warned.copies_last_value(evidence(flat, y=y, last=last)) is None


def test_a_forecast_far_from_everything_follows_nothing_and_is_told():
    rng = np.random.default_rng(0)
    series = 20 + rng.uniform(-5, 5, WINDOWS + 1)
    known = {"y": series[1:, None, None], "last": series[:-1, None], "low": np.array([15.0]), "high": np.array([25.0])}
    wild = row("GRU", 1e6 * rng.normal(size=(5, WINDOWS)))
    assert warned.copies_last_value(evidence(wild, **known)) is None
    text = appears(warned.blown_up, evidence(wild, cell("LSTM", 1.0), **known))
    assert "GRU (by " in text
    assert "LSTM" not in text
    assert warned.blown_up(evidence(cell("LSTM", 90.0), **known)) is None


def test_targets_whose_sizes_differ():
    y = np.stack([np.linspace(0, 1, WINDOWS), np.linspace(0, 1e5, WINDOWS)], axis=-1)[:, None]
    known = {"y": y, "last": y[:, 0], "low": np.zeros(2), "targets": ("temp", "sales")}
    both = Row("GRU", np.ones((5, WINDOWS, 1, 2)), "cell")
    text = appears(warned.unlike_targets, evidence(both, high=np.array([1.0, 1e5]), **known))
    assert "order and verdict are those of sales" in text
    assert warned.unlike_targets(evidence(both, high=np.array([1.0, 9.0]), **known)) is None


def test_only_the_first_step_can_copy_the_last_value():
    rng = np.random.default_rng(0)
    series = 20 + rng.uniform(-5, 5, WINDOWS + 3)
    y = np.stack([series[1 + step : 1 + step + WINDOWS] for step in range(3)], axis=1)[..., None]
    last = series[:WINDOWS, None]
    errors = np.zeros((1, WINDOWS, 3, 1))
    errors[0, :, 1:] = last[:, None] - y[:, 1:]
    assert warned.copies_last_value(evidence(Row("GRU", errors), y=y, last=last)) is None
    errors[0, :, :1] = last[:, None] - y[:, :1]
    assert warned.copies_last_value(evidence(Row("GRU", errors), y=y, last=last)) is not None


def test_stopped_by_the_limit_of_epochs():
    limited = cell("GRU", 1.0, epochs=(200, 80, 200, 90, 100), epoch_limit=200)
    free = cell("LSTM", 1.0, epochs=(199, 80, 70, 90, 100), epoch_limit=200)
    assert appears(warned.at_epoch_limit, evidence(limited, free)) == (
        "Stopped by the limit of epochs, not by the validation error: GRU with 2 of 5 seeds (limit 200); raise "
        "the limit."
    )
    assert warned.at_epoch_limit(evidence(free)) is None
    assert warned.at_epoch_limit(evidence(cell("GRU", 1.0, epochs=(200,) * 5))) is None


def test_test_values_outside_the_training_range():
    y = np.full((WINDOWS, 2, 2), 20.0)
    y[3, 1, 0], y[4, 0, 1], y[4, 1, 1] = 31.0, -6.0, -7.0
    low, high = np.array([10.0, -5.0]), np.array([30.0, 25.0])
    assert appears(warned.outside_training_range, evidence(y=y, low=low, high=high, unit="°C")) == (
        "2 of 120 test windows hold values outside the training range (10.0 °C to 30.0 °C, -5.00 °C to 25.0 °C): "
        "networks extrapolate badly."
    )
    # The ends of the range were seen in training.
    ends = np.clip(y, low, high)
    assert warned.outside_training_range(evidence(y=ends, low=low, high=high)) is None


def test_fewer_than_five_seeds():
    assert appears(warned.few_seeds, evidence(cell("GRU", 1.0, SEEDS[:1]), cell("LSTM", 1.0, SEEDS[:1]))) == (
        "GRU and LSTM: one seed says nothing of the noise between trainings; use 5 seeds."
    )
    assert appears(warned.few_seeds, evidence(cell("GRU", 1.0, SEEDS[:3]), cell("LSTM", 1.0))) == (
        "GRU: 3 seeds say little of the noise between trainings; use 5 seeds."
    )
    unequal = warned.few_seeds(evidence(cell("GRU", 1.0, SEEDS[:4]), cell("LSTM", 1.1, SEEDS[:1])))
    assert unequal.startswith("GRU and LSTM: 1 to 4 seeds say little")
    assert warned.few_seeds(evidence(cell("GRU", 1.0), ensemble("mean", 1.0), baseline("naive", 1.0))) is None


def test_diverged_members():
    errors = np.outer(SEEDS, MISSED)
    errors[1, 5] = np.nan
    assert appears(warned.diverged, evidence(row("GRU", errors), cell("LSTM", 1.0))) == (
        "Diverged, and left out of tests and verdict: GRU with 1 of 5 seeds."
    )
    assert warned.diverged(evidence(cell("LSTM", 1.0))) is None


MONTHS = pd.date_range("2000-01-01", periods=60, freq="MS")
DAYS = pd.date_range("2000-01-01", periods=100, freq="D")


def test_irregular_time_steps():
    holes = DAYS.delete([10, 11, 50])
    assert appears(warned.irregular_steps, evidence(cell("GRU", 1.0), index=holes)) == (
        "Time steps are irregular, 1 to 3 days (median 1): models count rows, not days."
    )
    assert warned.irregular_steps(evidence(index=MONTHS.delete(20))) is not None
    hours = pd.DatetimeIndex(["2000-01-01 00:00", "2000-01-01 01:00", "2000-01-01 02:00", "2000-01-03 00:00"])
    assert warned.irregular_steps(evidence(index=hours)) is not None
    # Once a month, but anywhere in it.
    wandering = MONTHS + pd.to_timedelta(np.tile([0, 20], 30), unit="D")
    assert warned.irregular_steps(evidence(index=wandering)) is not None


@pytest.mark.parametrize(
    "index",
    [
        DAYS,
        MONTHS,
        pd.date_range("2000-01-31", periods=60, freq="ME"),
        # Middles of months, of which pandas makes no frequency.
        MONTHS + pd.Timedelta(days=14),
        MONTHS + (MONTHS.days_in_month / 2).map(lambda days: pd.Timedelta(days=days)),
        pd.DatetimeIndex([f"{year}-07-02" for year in range(1990, 2020)]),
        pd.date_range("2000-01-01", periods=60, freq="5D"),
        pd.bdate_range("2000-01-03", periods=60),
        pd.date_range("2000-03-20", periods=400, freq="h", tz="Europe/Madrid"),
        pd.date_range("2000-03-20", periods=40, freq="D", tz="Europe/Madrid"),
        pd.DatetimeIndex(["2000-01-01", "2000-01-09"]),
        pd.RangeIndex(50),
        None,
    ],
)
def test_regular_time_steps(index):
    assert warned.irregular_steps(evidence(index=index)) is None


def test_percentages_depend_on_the_origin_of_a_unit():
    assert appears(warned.mape_origin, evidence(unit="°C")) == (
        "MAPE depends on where °C has its zero: in kelvin the same errors give another percentage."
    )
    assert warned.mape_origin(evidence(unit="degrees_Celsius")) is not None
    assert warned.mape_origin(evidence(unit="K")) is None
    assert warned.mape_origin(evidence()) is None
    # Where no percentage is shown, nothing is said of it but that.
    assert warned.mape_origin(evidence(unit="°C", y=np.zeros((WINDOWS, 1, 1)))) is None


def test_percentages_that_mean_nothing():
    zero = np.full((WINDOWS, 1, 1), 20.0)
    zero[4] = 0.0
    assert appears(warned.mape_missing, evidence(y=zero)) == "MAPE is n/a: 1 of 120 targets is at or near zero."
    assert warned.mape_missing(evidence()) is None


def test_remarks_on_rows():
    marked = cell("GRU", 1.0, flags=("its fallback ran.", "it was cut off."))
    assert cautions(evidence(marked, baseline("naive", 1.0))) == ["GRU: its fallback ran.", "GRU: it was cut off."]
    assert cautions(evidence(cell("GRU", 1.0), baseline("naive", 1.0))) == []


# Words.


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.3591, "0.359 °C"), (12.34, "12.3 °C"), (99.96, "100 °C"), (1234.5, "1234 °C"), (-150.2, "-150 °C")],
)
def test_amounts_have_three_digits_and_a_unit(value, shown):
    assert evidence(unit="°C").amount(value) == shown


def test_amounts_without_a_unit():
    assert evidence().amount(0.5) == "0.500"


def test_p_values_near_a_level_show_on_which_side_they_are():
    gaps = np.array([0.01, 0.02, 0.02, 0.02, 0.067])
    given = evidence(row("GRU", np.outer(np.ones(5), MISSED)), row("LSTM", np.outer(1 + gaps, MISSED)))
    assert 0.05 < given.pair(*given.cells).p_adjusted < 0.055
    assert said.tie(given).startswith("GRU and LSTM tie (p = 0.05")
    assert not said.tie(given).startswith("GRU and LSTM tie (p = 0.05)")
