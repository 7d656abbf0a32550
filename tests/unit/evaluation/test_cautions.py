"""Cautions on what people ask again and again, each made to appear and to vanish."""

from dataclasses import replace

import numpy as np
import pytest

import kseq
from kseq.comparison.null_losses import null_losses
from kseq.evaluation import cautions as warned
from kseq.evaluation.cautions import cautions
from kseq.evaluation.evidence import Evidence
from kseq.evaluation.rows import Row

pytestmark = pytest.mark.above_backends


def evidence(rows, y, **known):
    usual = {"last": np.zeros((len(y), y.shape[-1])), "low": y.min(axis=(0, 1)), "high": y.max(axis=(0, 1))}
    return Evidence(rows, y, **(usual | known))


def forecasting(name, forecast, y, kind="cell", **known):
    return Row(name, np.atleast_2d(forecast).reshape(-1, *y.shape) - y, kind, **known)


def truth(windows=60, steps=6, seed=0):
    return 20 + 5 * np.random.default_rng(seed).normal(size=(windows, steps, 1))


def test_one_origin_tells_nothing_of_another():
    y = truth(windows=1, steps=12)
    rows = [forecasting("GRU", y + 1, y), forecasting("naive", y + 2, y, "baseline")]
    assert "All steps are forecast from one origin" in cautions(evidence(rows, y))[0]
    assert warned.one_origin(evidence(rows[:1], y)) is None
    assert warned.one_origin(evidence(rows, y, series=1)) is None
    more = truth(windows=2, steps=12)
    rows = [forecasting("GRU", more + 1, more), forecasting("naive", more + 2, more, "baseline")]
    assert warned.one_origin(evidence(rows, more)) is None


@pytest.mark.parametrize(("windows", "told"), [(7, True), (8, False)])
def test_a_difference_over_few_windows_takes_them_to_be_independent(windows, told):
    y = truth(windows, steps=1)
    noise = 0.1 * np.random.default_rng(1).normal(size=y.shape)
    good, bad = forecasting("GRU", y + 1 + noise, y, "model"), forecasting("naive", y + 5, y, "baseline")
    given = evidence([good, bad], y, step_words="months")
    assert given.pair(good, bad).significant
    text = warned.few_windows(given)
    assert (text is not None) == told
    if text is not None:
        assert "has 7 months, and takes them to be independent" in text
        assert text in cautions(given)
    # Nothing rests on it where no row differs.
    alike = forecasting("LSTM", y + 1 - noise, y, "model")
    assert warned.few_windows(evidence([good, alike], y)) is None


# Flat forecasts.


def test_flat_forecasts_are_told_with_their_variance():
    y = truth()
    flat = forecasting("GRU", np.full(y.shape, y.mean()) + 0.1 * (y - y.mean()), y)
    alive = forecasting("LSTM", y + 1, y)
    given = evidence([flat, alive], y)
    text = warned.flat(given)
    assert text in cautions(given)
    assert "GRU (0.01)" in text
    assert "LSTM" not in text
    assert warned.flat(evidence([alive], y)) is None
    # A baseline may repeat the mean: that is what it is for.
    assert warned.flat(evidence([alive, replace(flat, kind="baseline")], y)) is None


def test_forecasts_that_converge_to_a_mean_name_the_step():
    y = truth()
    fades = np.array([1, 0.8, 0.5, 0.1, 0.1, 0.1])[:, None]
    fading = forecasting("GRU", 20 + fades * (y - 20), y)
    text = warned.flat(evidence([fading], y))
    assert "GRU (0.01 from step 4 on after 1 at step 1)" in text
    # Flat in the middle alone converges to nothing.
    dented = forecasting("GRU", 20 + np.array([1, 1, 0.1, 0.1, 1, 1])[:, None] * (y - 20), y)
    assert warned.flat(evidence([dented], y)) is None


def test_series_of_other_levels_hide_no_flat_forecast():
    y = np.concatenate([truth(30), 1000 + truth(30, seed=1)])
    owners = np.repeat([0, 1], 30)
    means = np.repeat([20.0, 1020.0], 30)[:, None, None] + np.zeros(y.shape)
    known = {"owners": owners, "series": 2}
    assert "GRU (0)" in warned.flat(evidence([forecasting("GRU", means, y)], y, **known))
    assert warned.flat(evidence([forecasting("GRU", y + 1, y)], y, **known)) is None


def test_one_origin_is_looked_at_over_its_steps():
    y = truth(1, 24)
    known = {"owners": np.zeros(1, int)}
    text = warned.flat(evidence([forecasting("GRU", np.full(y.shape, 20.0), y)], y, **known))
    assert "over the steps of a window" in text
    assert warned.flat(evidence([forecasting("GRU", y + 1, y)], y, **known)) is None
    # Six steps say little.
    short = truth(1, 6)
    assert warned.flat(evidence([forecasting("GRU", np.full(short.shape, 20.0), short)], short, **known)) is None


# One step late.


def test_late_forecasts_of_several_series_and_steps():
    walk = np.stack([level + np.random.default_rng(n).normal(size=45) for n, level in enumerate((0, 500))])
    y = np.concatenate([np.stack([line[1 + step : 41 + step] for step in range(4)], axis=1) for line in walk])[
        ..., None
    ]
    last = np.concatenate([line[:40] for line in walk])[:, None]
    known = {"owners": np.repeat([0, 1], 40), "series": 2, "last": last}
    late = np.broadcast_to(last[:, None], y.shape)
    given = evidence([forecasting("GRU", late, y), forecasting("LSTM", y + 0.1, y)], y, **known)
    text = warned.copies_last_value(given)
    assert text in cautions(given)
    assert "GRU (1.000 with y(t-1), " in text
    assert text.endswith("is the truth one step late.")
    assert "LSTM" not in text
    assert warned.copies_last_value(evidence([forecasting("LSTM", y + 0.1, y)], y, **known)) is None
    # The levels of series are no correlation.
    noise = y.mean() + np.repeat([-250, 250], 40)[:, None, None] + np.random.default_rng(9).normal(size=y.shape)
    assert warned.copies_last_value(evidence([forecasting("GRU", noise, y)], y, **known)) is None


def autoregression(*weights, n=400, seed=3, season=0.0):
    """A series whose value is a weighted sum of those before it, and noise."""
    noise = np.random.default_rng(seed).normal(size=n + 50)
    line = np.zeros(n + 50)
    for t in range(len(weights), n + 50):
        line[t] = sum(weight * line[t - 1 - lag] for lag, weight in enumerate(weights)) + noise[t]
    return line[50:] + season * np.sin(np.arange(n) * np.pi / 6)


@pytest.mark.parametrize("weight", [0.6, 0.9, 1.0])
def test_the_best_forecast_of_a_series_that_remembers_its_last_value_alone_is_as_it_should_be(weight):
    line = autoregression(weight)
    y, last = line[1:, None, None], line[:-1, None]
    best = evidence([forecasting("GRU", weight * last, y)], y, last=last)
    assert warned.copies_last_value(best) is None
    # Half a random walk is as late, and misses more than there is need to.
    twice = evidence([forecasting("GRU", 2 * last, y)], y, last=last)
    assert "GRU (1.000 with y(t-1), " in warned.copies_last_value(twice)


@pytest.mark.parametrize("more", [{"weights": (0.5, -0.5)}, {"weights": (0.7,), "season": 6.0}])
def test_repeating_the_last_value_is_late_where_older_values_say_more(more):
    line = autoregression(*more.pop("weights"), **more)
    y, last = line[1:, None, None], line[:-1, None]
    text = warned.copies_last_value(evidence([forecasting("GRU", last, y)], y, last=last))
    assert "GRU (1.000 with y(t-1), " in text
    assert "those of a line through its own last values" in text


def test_a_season_earlier_counts_among_the_last_values():
    line = np.tile(autoregression(0.8, n=60), 10) + 0.1 * np.random.default_rng(5).normal(size=600)
    y, last = line[1:, None, None], line[:-1, None]
    # As good as the last values allow, and far from what the value a season earlier allows.
    row = forecasting("GRU", np.corrcoef(line[1:], line[:-1])[0, 1] * last, y)
    assert warned.copies_last_value(evidence([row], y, last=last)) is None
    assert "GRU (1.000 with y(t-1)" in warned.copies_last_value(evidence([row], y, last=last, season=60))


@pytest.mark.parametrize("lag", [2, 3])
def test_forecasts_may_be_later_than_one_step(lag):
    line = np.random.default_rng(0).normal(size=64)
    y, last = line[4:, None, None], line[3:-1, None]
    late = line[4 - lag : -lag, None, None]
    text = warned.copies_last_value(evidence([forecasting("GRU", late, y)], y, last=last))
    assert f"GRU (1.000 with y(t-{lag}), " in text
    assert text.endswith("is the truth some steps late.")
    # Windows further apart do not hold the values between.
    assert warned.copies_last_value(evidence([forecasting("GRU", late, y)], y, last=last, step_size=5)) is None


# Losses.

CURVES = {"loss": np.array([[1.0, 0.8, 0.6]]), "val_loss": np.array([[0.9, 0.5, 0.7]])}


def learned(**curves):
    y = truth()
    return forecasting("GRU", y + 1, y, curves=CURVES | curves)


def test_a_validation_loss_below_the_training_loss_is_explained_by_the_parts():
    given = evidence([learned()], truth(), null_losses=(2.0, 1.0))
    text = warned.validation_below_training(given)
    assert text in cautions(given)
    # The second epoch's weights are kept.
    assert "GRU (0.500 and 0.800)" in text
    assert "the validation part is the easier one: forecasting no change has 1.00 and 2.00" in text
    harder = evidence([learned()], truth(), null_losses=(2.0, 2.5), null_words="the mean")
    assert "with dropout if there is any; the part is no easier: repeating the mean has 2.50 and 2.00" in (
        warned.validation_below_training(harder)
    )
    usual = learned(val_loss=np.array([[1.2, 0.9, 1.1]]))
    assert warned.validation_below_training(evidence([usual], truth(), null_losses=(2.0, 1.0))) is None
    assert warned.validation_below_training(evidence([learned(val_loss=np.full((1, 3), np.nan))], truth())) is None


def test_a_network_that_learned_nothing_beyond_its_transform():
    idle = {"loss": np.array([[0.91, 0.905, 0.90]]), "val_loss": np.array([[1.2, 1.19, 1.18]])}
    given = evidence([learned(**idle)], truth(), null_losses=(1.0, 1.25))
    text = warned.learned_nothing(given)
    assert text in cautions(given)
    assert "GRU (training loss 0.900), where forecasting no change has 1.00." in text
    # It learned something; or dropout alone has raised its training loss; or nobody knows its curves.
    assert warned.learned_nothing(evidence([learned()], truth(), null_losses=(1.0, 1.25))) is None
    assert warned.learned_nothing(evidence([learned(**idle)], truth(), null_losses=(1.0, 2.0))) is None
    assert warned.learned_nothing(evidence([learned(loss=np.empty((0, 0)))], truth(), null_losses=(1.0, 1.0))) is None
    assert warned.learned_nothing(evidence([learned(**idle)], truth())) is None


def test_without_a_validation_part_the_last_epoch_counts():
    row = learned(loss=np.array([[1.0, 0.4, np.nan], [1.0, 0.8, 0.6]]), val_loss=np.full((2, 3), np.nan))
    assert row.kept_losses[0] == pytest.approx(0.5)
    assert np.isnan(row.kept_losses[1])
    # A member that diverged at once has no loss.
    assert learned(loss=np.full((1, 3), np.nan)).kept_losses == pytest.approx((np.nan, np.nan), nan_ok=True)


@pytest.mark.parametrize(("transform", "words"), [("none", "no change"), ("change", "no change"),
                                                   ("mean", "no change"), ("season", "no change")])  # fmt: skip
@pytest.mark.parametrize("horizon", [1, 3])
def test_null_losses_are_those_of_repeating_the_last_value(transform, words, horizon):
    walk = np.cumsum(np.random.default_rng(0).normal(size=400))
    comparison = kseq.compare(walk, cells=(), baselines=("persistence",), horizon=horizon, transform=transform,
                              lookback=12, season=12)  # fmt: skip
    (data,) = comparison.trainings
    trained, validated, said = null_losses(comparison.trainings)
    missed = [walk[part.target_rows] - walk[part.all_starts() - 1][:, None] for part in (data.train, data.validation)]
    scale = np.ravel(data.target_scaler.scale)[0]
    assert (trained, validated) == pytest.approx([np.mean((part / scale) ** 2) for part in missed], rel=1e-3)
    assert said == words


def test_null_losses_are_those_of_the_mean_where_it_is_better():
    noise = np.random.default_rng(0).normal(size=300)
    comparison = kseq.compare(noise, cells=(), baselines=("persistence",), transform="none", lookback=12)
    trained, _, said = null_losses(comparison.trainings)
    assert (trained, said) == (pytest.approx(1, abs=0.15), "the mean")
