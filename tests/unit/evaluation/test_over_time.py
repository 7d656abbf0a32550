import numpy as np
import pytest
from scipy import signal, stats

from kseq.errors import ConfigError
from kseq.evaluation.over_time import MEMORIES, cosine_test, diebold_mariano, waves
from kseq.evaluation.significance import Row, differences

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

#: Filters of white noise, as ``(moving average, autoregression)``; what differences of losses look like.
CORRELATED = {
    "white": ([1], [1]),
    "AR(1) 0.2": ([1], [1, -0.2]),
    "AR(1) 0.4": ([1], [1, -0.4]),
    "AR(1) 0.6": ([1], [1, -0.6]),
    "AR(1) -0.5": ([1], [1, 0.5]),
    "AR(2) with a cycle": ([1], [1, -0.9, 0.6]),
    "AR(2) slow": ([1], [1, -1.2, 0.5]),
    "MA(1) 0.8": ([1, 0.8], [1]),
    "MA(1) -0.6": ([1, -0.6], [1]),
    "MA(2)": ([1, 0.7, 0.3], [1]),
}


def made(rng, name, cases, n):
    """Differences of mean 0, ``(cases, n)``."""
    return signal.lfilter(*CORRELATED[name], rng.standard_normal((cases, n + 200)))[:, 200:]


def rejected(differences_, **options):
    """Share of cases that the test takes for a difference at 5 %; losses are the differences and zero."""
    shift = np.abs(differences_).max() + 1
    return np.mean([cosine_test(one + shift, np.full(len(one), shift), **options).p <= 0.05 for one in differences_])


@pytest.mark.parametrize(
    ("name", "whitened", "n"),
    [
        # Each process in both lengths, and with and without a whitening; the other pairs of these are `thorough`.
        pytest.param(name, whitened, n, marks=[] if whitened == ((n == 147) != at % 2) else pytest.mark.thorough)
        for at, name in enumerate(CORRELATED) for whitened in (False, True) for n in (60, 147)
    ],
)  # fmt: skip
def test_a_true_null_is_rejected_in_about_five_of_a_hundred_cases(name, n, whitened):
    share = rejected(made(np.random.default_rng(1), name, 1000, n), whitened=whitened)
    assert 0.01 <= share <= 0.09


@pytest.mark.parametrize(
    ("n", "rho", "most"),
    [
        (8, 0.4, 0.06), (8, 0.8, 0.11), (15, 0.8, 0.1), (50, 0.9, 0.09), (200, 0.9, 0.07),
        *(pytest.param(*case, marks=pytest.mark.thorough)
          for case in ((15, 0.4, 0.06), (30, 0.8, 0.08), (50, 0.8, 0.07), (100, 0.9, 0.09))),
    ],
)  # fmt: skip
def test_what_is_left_of_a_strong_memory_keeps_the_level(n, rho, most):
    draws = signal.lfilter([1], [1, -rho], np.random.default_rng(9).standard_normal((1000, n + 200)))[:, 200:]
    assert 0.01 <= rejected(draws, whitened=True) <= most
    # The reason for it.
    assert rejected(draws) > rejected(draws, whitened=True)


def test_whitening_by_hand_and_where_it_is_none():
    rng = np.random.default_rng(10)
    a, b = np.abs(signal.lfilter([1], [1, -0.7], rng.standard_normal((2, 40))))
    d, n = a - b, 40
    nu = waves(n)
    time = (np.arange(1, n) - 0.5) / (n - 1)
    cosines = np.cos(np.pi * np.arange(1, nu + 1)[:, None] * time)
    likely, errors = [], []
    for rho in MEMORIES:
        covariances = rho ** np.abs(np.subtract.outer(np.arange(n), np.arange(n))) / (1 - rho**2)
        inverse = np.linalg.inv(covariances)
        mean = inverse.sum(axis=0) @ d / inverse.sum()
        about = (d - mean) @ inverse @ (d - mean)
        # The density of the contrasts of the values, whatever their mean and variance are.
        likely.append((np.linalg.det(covariances) * inverse.sum()) ** -0.5 * about ** (-(n - 1) / 2))
        left = (d - d.mean())[1:] - rho * (d - d.mean())[:-1]
        errors.append(np.sqrt(np.mean(2 / (n - 1) * (cosines @ left) ** 2) / n) / (1 - rho))
    weights = np.array(likely) / np.sum(likely)
    found = cosine_test(a, b, whitened=True)
    assert found.df == nu
    assert found.error == pytest.approx(weights @ errors)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(d.mean() / found.error), nu))
    assert cosine_test(a[:7], b[:7], whitened=True) == cosine_test(a[:7], b[:7])
    assert cosine_test(a, b, horizon=2, whitened=True) == cosine_test(a, b, horizon=2)


def test_whitening_knows_the_memory_of_a_long_series():
    draw = signal.lfilter([1], [1, -0.8], np.random.default_rng(12).standard_normal(20_200))[200:]
    found = cosine_test(draw + 50, np.full(len(draw), 50.0), whitened=True)
    assert found.error == pytest.approx(5 / np.sqrt(len(draw)), rel=0.15)


@pytest.mark.parametrize("horizon", [2, 6, 12])
def test_overlapping_forecasts_keep_the_level(horizon):
    rng = np.random.default_rng(2)
    sums = signal.lfilter(np.ones(horizon), [1], rng.standard_normal((1000, 347)))[:, 200:]
    assert 0.02 <= rejected(sums, horizon=horizon) <= 0.08


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.6])
def test_a_difference_is_found_under_correlation(rho):
    rng = np.random.default_rng(3)
    draws = signal.lfilter([1], [1, -rho], rng.standard_normal((500, 347)))[:, 200:]
    # Three standard errors of the mean, by the variance in the long run.
    assert rejected(draws + 3 / (1 - rho) / np.sqrt(147)) >= 0.75
    assert rejected(draws + 3 / (1 - rho) / np.sqrt(147), whitened=True) >= 0.7


def test_diebold_and_mariano_reject_too_often_and_too_rarely():
    # The reason for the other test.
    rng = np.random.default_rng(4)
    shares = {}
    for name in ("AR(1) 0.6", "AR(1) -0.5"):
        draws = made(rng, name, 500, 147)
        shift = np.abs(draws).max() + 1
        shares[name] = np.mean([diebold_mariano(one + shift, np.full(147, shift)).p <= 0.05 for one in draws])
    assert shares["AR(1) 0.6"] > 0.25
    assert shares["AR(1) -0.5"] < 0.02


def test_the_test_by_the_formula_of_the_paper():
    rng = np.random.default_rng(5)
    a, b = rng.normal(0, 1, 90), rng.normal(0, 1.3, 90)
    d, n = np.abs(a) - np.abs(b), 90
    nu = max(4, int(0.4 * n ** (2 / 3)))
    time = (np.arange(1, n + 1) - 0.5) / n
    sums = [np.sqrt(2 / n) * np.sum(np.cos(np.pi * j * time) * (d - d.mean())) for j in range(1, nu + 1)]
    error = np.sqrt(np.mean(np.square(sums)) / n)
    found = cosine_test(a, b)
    assert (found.df, found.error) == (nu, pytest.approx(error))
    assert found.statistic == pytest.approx(d.mean() / error)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(d.mean() / error), nu))
    assert cosine_test(a, b, alternative="less").p == pytest.approx(found.p / 2)
    assert cosine_test(a, b, alternative="greater").p == pytest.approx(1 - found.p / 2)
    assert cosine_test(b, a).statistic == pytest.approx(-found.statistic)


def test_few_windows_give_students_test():
    # All waves that there are hold all the variance there is.
    a, b = np.array([1.0, 2.0, 4.0, 3.0]), np.array([1.5, 3.0, 4.5, 5.0])
    assert waves(4) == 3
    assert cosine_test(a, b).p == pytest.approx(stats.ttest_rel(a, b).pvalue)


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1.0, 1e150])
def test_the_size_of_errors_does_not_matter(size):
    rng = np.random.default_rng(6)
    a, b = rng.normal(size=50), rng.normal(0, 1.2, size=50)
    for test in (cosine_test, diebold_mariano):
        usual, found = test(a, b), test(size * a, size * b)
        assert (found.statistic, found.p) == (pytest.approx(usual.statistic), pytest.approx(usual.p))
    rows = [Row(name, size * errors[None, :, None, None], "baseline") for name, errors in (("a", a), ("b", b))]
    assert differences(rows)[0].p == pytest.approx(cosine_test(a, b, whitened=True).p)


def test_what_cannot_be_tested():
    assert cosine_test(np.ones(1), np.zeros(1)).p == 1.0
    assert cosine_test(np.ones(5), np.arange(5.0), horizon=5).p == 1.0
    a = np.random.default_rng(7).normal(size=30)
    assert cosine_test(a, a)[:2] == (0.0, 1.0)
    assert cosine_test(np.abs(a), np.abs(a) + 0.1)[:2] == (-np.inf, 0.0)
    with pytest.raises(ConfigError, match="received errors of 5 and 4 windows"):
        cosine_test(np.ones(5), np.ones(4))
    with pytest.raises(ConfigError, match="received alternative 'both'"):
        cosine_test(a, a, alternative="both")


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_three_identical_cells_tie_in_95_of_100_under_correlation(rho):
    rng = np.random.default_rng(8)
    claims = 0
    for _ in range(100):
        # What cells miss has a memory, and so has what each misses besides.
        common = signal.lfilter([1], [1, -rho], rng.standard_normal(300))[150:]
        own = signal.lfilter([1], [1, -rho], 0.2 * rng.standard_normal((3, 1, 300)))[..., 150:]
        errors = common + own + 0.1 * rng.standard_normal((3, 5, 150))
        rows = [Row(f"cell {number}", one[:, :, None, None]) for number, one in enumerate(errors)]
        claims += any(pair.significant for pair in differences(rows))
    assert claims <= 5


@pytest.mark.parametrize(("ahead", "behind"), [([1], [1, -0.5]), ([1], [1, -0.6, 0.4]), ([1, 0.8], [1])])
def test_a_planted_winner_among_three_cells_is_found(ahead, behind):
    rng = np.random.default_rng(11)
    wins = 0
    for _ in range(50):
        losses = 10 + signal.lfilter(ahead, behind, rng.standard_normal(250))[150:]
        losses = losses + 0.3 * signal.lfilter(ahead, behind, rng.standard_normal((3, 5, 250)))[..., 150:]
        losses[2] -= 0.4
        rows = [Row(f"cell {number}", one[:, :, None, None], losses=one) for number, one in enumerate(losses)]
        pairs = [pair for pair in differences(rows) if pair.significant]
        assert not any(pair.worse == "cell 2" for pair in pairs)
        wins += sum(pair.better == "cell 2" for pair in pairs) == 2
    assert wins >= 45
