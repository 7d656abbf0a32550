import numpy as np
import pytest
from scipy import signal

from kseq.evaluation.confidence_set import SIZE, confidence_set, eliminate
from kseq.evaluation.evidence import Evidence
from kseq.evaluation.rows import Row

arch = pytest.importorskip("arch.bootstrap")
pytestmark = pytest.mark.above_backends


def losses_of(rng, means, times=200, rho=0.4):
    common = signal.lfilter([1], [1, -rho], rng.standard_normal(times))
    return [np.abs(common + 0.3 * rng.standard_normal(times)) + mean for mean in means]


@pytest.mark.parametrize("seed", range(6))
def test_equal_to_arch_for_the_same_draws(seed):
    rng = np.random.default_rng(seed)
    losses = np.stack(losses_of(rng, [0, 0.02, 0.05, 0.2, 0.6]), axis=1)
    theirs = arch.MCS(losses, SIZE, reps=500, block_size=14, method="max", bootstrap="circular", seed=seed)
    theirs.compute()
    indices = [data[0][0] for data in arch.CircularBlockBootstrap(14, np.arange(200), seed=seed).bootstrap(500)]
    drawn = np.stack([losses[index].mean(axis=0) for index in indices])
    p = eliminate(losses.mean(axis=0), drawn)
    np.testing.assert_allclose(p, theirs.pvalues["Pvalue"].sort_index().to_numpy())
    assert np.flatnonzero(p > SIZE).tolist() == sorted(theirs.included)


def test_near_arch_by_its_own_draws():
    losses = losses_of(np.random.default_rng(7), [0, 0.02, 0.04, 0.5])
    theirs = arch.MCS(
        np.stack(losses, axis=1), SIZE, reps=1000, block_size=14, method="max", bootstrap="circular", seed=1
    )
    theirs.compute()
    ours = confidence_set([loss[None] for loss in losses], block=14)
    np.testing.assert_allclose(ours, theirs.pvalues["Pvalue"].sort_index().to_numpy(), atol=0.06)


def test_the_best_row_is_in_the_set_in_nine_of_ten_cases():
    rng = np.random.default_rng(8)
    held = 0
    for case in range(100):
        rows = losses_of(rng, [0, 0, 0], times=150)
        held += (confidence_set([row[None] for row in rows], draws=200, seed=case) > SIZE).all()
    # All three are the best.
    assert held >= 85


def test_a_planted_winner_stands_alone_and_seeds_count():
    rng = np.random.default_rng(9)
    good, bad = losses_of(rng, [0, 0.4])
    assert confidence_set([good[None], bad[None]]).tolist() == [1.0, 0.0]
    # The same in the mean, but one lucky seed in two makes it: another pair of seeds may turn it round.
    lucky = np.stack([bad - 1.0, bad + 0.1])
    p = confidence_set([lucky, good[None]])
    assert min(p) > SIZE


def test_rows_that_are_the_same_and_rows_of_any_size():
    one = np.random.default_rng(10).random((1, 50))
    assert confidence_set([one, one.copy()]).tolist() == [1.0, 1.0]
    two = one + 0.1 * np.random.default_rng(11).random((1, 50))
    assert (confidence_set([1e-300 * one, 1e-300 * two]) == confidence_set([one, two])).all()
    assert confidence_set([np.ones((1, 1)), np.zeros((1, 1))]).shape == (2,)


def test_the_set_of_a_comparison_is_over_dates_or_over_series():
    rng = np.random.default_rng(12)
    a, b = losses_of(rng, [0, 0.5])
    rows = [Row(name, loss[None, :, None, None], "baseline") for name, loss in (("a", a), ("b", b))]
    y = np.ones((200, 1, 1))
    given = Evidence(rows, y, y[:, 0], np.zeros(1), np.full(1, 2.0))
    assert (given.may_be_best("a"), given.may_be_best("b"), given.may_be_best("none")) == (True, False, False)
