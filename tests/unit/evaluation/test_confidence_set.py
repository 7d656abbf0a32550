import numpy as np
import pytest
from scipy import signal, stats

from kseq.evaluation.confidence_set import SIZE, confidence_set
from kseq.evaluation.evidence import Evidence
from kseq.evaluation.over_time import cosine_test
from kseq.evaluation.rows import Row

pytestmark = [pytest.mark.above_backends, pytest.mark.long]


def losses_of(rng, means, times=200, rho=0.4):
    common = signal.lfilter([1], [1, -rho], rng.standard_normal(times))
    return [np.abs(common + 0.3 * rng.standard_normal(times)) + mean for mean in means]


@pytest.mark.parametrize(
    ("count", "times", "rho"), [(2, 30, 0.4), (8, 30, 0.4), (3, 50, 0.8), (2, 100, 0.9), (8, 100, 0.9), (3, 150, -0.5)]
)
def test_all_of_equal_rows_stay_in_nine_of_ten_cases(times, rho, count):
    rng = np.random.default_rng(8)
    scales = np.linspace(0.3, 1, count)[:, None, None]
    held = 0
    for _ in range(200):
        common, own = (signal.lfilter([1], [1, -rho], rng.standard_normal((*shape, times + 100)))[..., 100:]
                       for shape in ((1,), (count, 1)))  # fmt: skip
        held += (confidence_set(list(10 + common + scales * own)) > SIZE).all()
    # The standard error is 2 of a hundred.
    assert held / 200 >= 0.83


def test_two_rows_give_the_test_over_time():
    a, b = losses_of(np.random.default_rng(7), [0, 0.1])
    p = confidence_set([a[None], b[None]])
    assert p == pytest.approx([1, cosine_test(a, b, whitened=True).p])
    overlapping = confidence_set([a[None], b[None]], horizon=3)
    assert overlapping == pytest.approx([1, cosine_test(a, b, horizon=3).p])
    by_series = confidence_set([a[None], b[None]], independent=True)
    assert by_series == pytest.approx([1, stats.ttest_rel(a, b).pvalue])
    assert confidence_set([a[None, :3], b[None, :3]], horizon=3).tolist() == [1, 1]


@pytest.mark.parametrize("members", [2, 5])
def test_rows_that_differ_by_their_seeds_alone_stay(members):
    rng = np.random.default_rng(13)
    held = 0
    for _ in range(200):
        luck = rng.standard_normal((3, members, 1))
        held += (confidence_set(list(luck + 0.01 * rng.standard_normal((3, members, 40)))) > SIZE).all()
    assert held / 200 >= 0.83


def test_a_planted_winner_stands_alone_and_seeds_count():
    rng = np.random.default_rng(9)
    good, bad = losses_of(rng, [0, 0.4])
    p = confidence_set([good[None], bad[None]])
    assert (p[0], p[1] < 0.01) == (1.0, True)
    # The same in the mean, but one lucky seed in two makes it: another pair of seeds may turn it round.
    lucky = np.stack([bad - 1.0, bad + 0.1])
    p = confidence_set([lucky, good[None]])
    assert min(p) > SIZE


def test_rows_that_are_the_same_and_rows_of_any_size():
    one = np.random.default_rng(10).random((1, 50))
    assert confidence_set([one, one.copy()]).tolist() == [1.0, 1.0]
    two = one + 0.1 * np.random.default_rng(11).random((1, 50))
    assert confidence_set([1e-300 * one, 1e-300 * two]) == pytest.approx(confidence_set([one, two]))
    assert confidence_set([np.ones((1, 1)), np.zeros((1, 1))]).shape == (2,)


def test_the_set_of_a_comparison_is_over_dates_or_over_series():
    rng = np.random.default_rng(12)
    a, b = losses_of(rng, [0, 0.5])
    rows = [Row(name, loss[None, :, None, None], "baseline") for name, loss in (("a", a), ("b", b))]
    y = np.ones((200, 1, 1))
    given = Evidence(rows, y, y[:, 0], np.zeros(1), np.full(1, 2.0))
    assert (given.may_be_best("a"), given.may_be_best("b"), given.may_be_best("none")) == (True, False, False)
