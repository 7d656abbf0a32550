import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from kseq.errors import ConfigError
from kseq.evaluation import significance
from kseq.evaluation.significance import (
    Row,
    diebold_mariano,
    differences,
    grouping,
    holm,
    letters,
    ranked,
    seed_test,
    skills,
    spread,
)

pytestmark = pytest.mark.above_backends


def r_normal(seed, count):
    """What R gives for ``set.seed(seed); rnorm(count)``: Mersenne Twister, normals by inversion."""
    state = [seed]
    for _ in range(50 + 625):
        state.append((69069 * state[-1] + 1) % 2**32)
    twister = np.random.MT19937()
    twister.state = {"bit_generator": "MT19937", "state": {"key": np.array(state[-624:], dtype="uint32"), "pos": 624}}
    uniform = twister.random_raw(2 * count) * 2.3283064365386963e-10
    # Two uniform numbers make one of enough digits.
    return stats.norm.ppf((np.floor(2**27 * uniform[::2]) + uniform[1::2]) / 2**27)


@pytest.fixture(scope="module")
def errors_made_in_r():
    """Errors of two forecasts of one random walk, made by the script that published the values below."""
    walk, noise, more_noise = np.split(r_normal(123, 300), 3)
    return walk - 0.5 * noise, walk - 1.5 * more_noise


def row(name, errors, kind="cell", seeds=()):
    """A row of ``(members, windows)`` errors."""
    errors = np.atleast_2d(errors)
    return Row(name, errors[:, :, None, None], kind, seeds)


def test_r_numbers_are_those_of_r():
    np.testing.assert_allclose(r_normal(123, 3), [-0.56047565, -0.23017749, 1.55870831], atol=1e-8)


# Values of forecast::dm.test as published in the repository sipemu/anofox-statistics-rs (R/data/diebold_mariano.csv).
@pytest.mark.parametrize(
    ("horizon", "power", "alternative", "statistic", "p"),
    [
        (1, 2, "two-sided", -5.19425848151562, 1.10163618973918e-06),
        (1, 1, "two-sided", -5.68608096176618, 1.3175500842911e-07),
        (3, 2, "two-sided", -5.47560424036964, 3.30643651414324e-07),
        (1, 2, "less", -5.19425848151562, 5.50818094869588e-07),
        (1, 2, "greater", -5.19425848151562, 0.999999449181905),
    ],
)
def test_diebold_mariano_equals_published_values_of_r(horizon, power, alternative, statistic, p, errors_made_in_r):
    result = diebold_mariano(*errors_made_in_r, horizon=horizon, power=power, alternative=alternative)
    assert result.statistic == pytest.approx(statistic, rel=1e-9)
    assert result.p == pytest.approx(p, rel=1e-8)


def test_diebold_mariano_by_the_formula_of_the_paper():
    rng = np.random.default_rng(5)
    a, b, n, h = rng.normal(0, 1, 30), rng.normal(0, 1.2, 30), 30, 4
    d = np.abs(a) - np.abs(b)
    gamma = [np.sum((d[k:] - d.mean()) * (d[: n - k] - d.mean())) / n for k in range(h)]
    plain = d.mean() / np.sqrt((gamma[0] + 2 * sum(gamma[1:])) / n)
    corrected = plain * np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    result = diebold_mariano(a, b, horizon=h)
    assert result.statistic == pytest.approx(corrected, rel=1e-12)
    assert result.p == pytest.approx(2 * stats.t.cdf(-abs(corrected), n - 1), rel=1e-12)


def test_a_negative_variance_is_replaced_by_bartletts():
    # Losses that change sides every window: neighbours are negatively correlated.
    a = np.abs(1 + 0.5 * (-1.0) ** np.arange(20)) + 0.01 * np.arange(20)
    b = np.ones(20)
    d = a - b
    gamma = [np.sum((d[k:] - d.mean()) * (d[: 20 - k] - d.mean())) / 20 for k in range(2)]
    assert gamma[0] + 2 * gamma[1] < 0
    variance = (gamma[0] + gamma[1]) / 20
    expected = d.mean() / np.sqrt(variance) * np.sqrt((21 - 4 + 2 / 20) / 20)
    assert diebold_mariano(a, b, horizon=2).statistic == pytest.approx(expected, rel=1e-12)


def test_losses_are_averaged_over_members_steps_and_targets():
    rng = np.random.default_rng(6)
    many, one = rng.normal(size=(4, 30, 2, 3)), rng.normal(size=(1, 30, 2, 3))
    expected = diebold_mariano(np.abs(many).mean(axis=(0, 2, 3)), np.abs(one).mean(axis=(0, 2, 3)), horizon=2)
    assert diebold_mariano(many, one, horizon=2) == expected


def test_order_of_rows_turns_the_sign_alone():
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=40), rng.normal(0, 2, size=40)
    there, back = diebold_mariano(a, b), diebold_mariano(b, a)
    assert there.statistic == -back.statistic < 0
    assert there.p == back.p


def test_forecasts_that_do_not_differ_and_those_that_always_do():
    a = np.random.default_rng(8).normal(size=30)
    assert diebold_mariano(a, a) == (0.0, 1.0)
    assert diebold_mariano(np.abs(a), np.abs(a) + 0.1) == (-np.inf, 0.0)
    assert diebold_mariano(np.abs(a) + 0.1, np.abs(a), alternative="less").p == 1.0


def test_no_more_windows_than_steps_say_nothing():
    statistic, p = diebold_mariano(np.ones(5), np.arange(5.0), horizon=5)
    assert np.isnan(statistic)
    assert p == 1.0
    assert diebold_mariano(np.ones(1), np.zeros(1)).p == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alternative": "two.sided"}, "received alternative 'two.sided', expected 'two-sided'"),
        ({"horizon": 0}, "received horizon 0"),
        ({"errors_b": np.ones(4)}, "received errors of 5 and 4 windows"),
    ],
)
def test_diebold_mariano_refuses(arguments, message):
    with pytest.raises(ConfigError, match=message):
        diebold_mariano(**{"errors_a": np.ones(5), "errors_b": np.ones(5)} | arguments)


def test_seed_test_equals_scipy():
    rng = np.random.default_rng(9)
    a, b, c = rng.normal(0.36, 0.01, 5), rng.normal(0.38, 0.01, 5), rng.normal(0.37, 0.01, 8)
    assert seed_test(a, b) == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert seed_test(a, b, paired=False) == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)
    assert seed_test(a, c, paired=False) == pytest.approx(stats.ttest_ind(a, c, equal_var=False).pvalue)
    assert seed_test(a, np.array([0.35])) == pytest.approx(stats.ttest_1samp(a, 0.35).pvalue)
    assert seed_test(np.array([0.35]), a) == seed_test(a, np.array([0.35]))
    assert seed_test(a, np.array([0.35]), paired=False) == seed_test(a, np.array([0.35]))
    with pytest.raises(ConfigError, match="received 5 and 8 scores to pair, expected as many of each"):
        seed_test(a, c)


def test_seed_test_without_noise_and_without_seeds():
    same = np.full(5, 0.4)
    assert seed_test(same, same) == 1.0
    assert seed_test(same, same + 0.01) == 0.0
    assert seed_test(same, np.full(3, 0.4), paired=False) == 1.0
    assert seed_test(same, np.full(3, 0.5), paired=False) == 0.0
    assert np.isnan(seed_test(same[:1], same[:1]))


def test_wilcoxon_could_not_speak_with_five_seeds():
    # The reason for a t-test: the clearest outcome possible does not reach 0.05.
    assert stats.wilcoxon([1.0, 2.0, 3.0, 4.0, 5.0]).pvalue == 0.0625
    assert seed_test(np.array([1.0, 1.1, 0.9, 1.05, 0.95]), np.zeros(5)) < 1e-4


def test_spread_over_seeds():
    assert spread(np.array([1.0, 2.0, 3.0])) == (2.0, 1.0)
    assert spread(np.array([2.0])).mean == 2.0
    assert np.isnan(spread(np.array([2.0])).std)
    assert np.isnan(spread(np.array([])).mean)


def noisy_cells(rng, levels, seeds=5, windows=147, of_a_seed=0.02, of_a_point=0.1):
    """Cells that share what cannot be forecast; each seed adds an error of its own to each point, and a skill."""
    common = rng.normal(size=windows)
    return [
        row(
            f"cell {number}",
            level * common * (1 + of_a_seed * rng.normal(size=(seeds, 1)))
            + of_a_point * rng.normal(size=(seeds, windows)),
        )
        for number, level in enumerate(levels)
    ]


# The second case is the hardest: all noise is in the seeds, so that time tells any two trainings apart.
@pytest.mark.parametrize(("of_a_seed", "of_a_point"), [(0.02, 0.1), (0.05, 0.0)])
def test_identical_cells_tie_in_95_of_100_comparisons(of_a_seed, of_a_point):
    rng = np.random.default_rng(2024)
    claims = 0
    for _ in range(100):
        pairs = differences(noisy_cells(rng, [1, 1, 1], of_a_seed=of_a_seed, of_a_point=of_a_point))
        claims += any(pair.significant for pair in pairs)
    assert claims <= 5


def test_a_planted_winner_is_found():
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(20):
        rows = noisy_cells(rng, [1, 0.85, 1])
        claims = {(pair.better, pair.worse) for pair in differences(rows) if pair.significant}
        found += claims == {("cell 1", "cell 0"), ("cell 1", "cell 2")}
    assert found >= 18


def test_a_difference_must_stand_against_both_kinds_of_noise():
    rng = np.random.default_rng(3)
    common = rng.normal(size=100)
    # Every seed agrees, but one test window alone makes the difference.
    outlier = np.where(np.arange(100) == 50, 30.0, 0.0)
    steady = common + 1e-3 * rng.normal(size=(5, 100))
    (pair,) = differences([row("a", steady), row("b", steady + outlier)])
    assert pair.p_seeds < 0.001 < 0.1 < pair.p_time == pair.p
    assert not pair.significant
    # Every window agrees, but one seed alone makes the difference.
    bad_seed = np.array([0, 0, 0, 0, 2.0])[:, None] * np.sign(common)
    (pair,) = differences([row("a", steady), row("b", steady + bad_seed)])
    assert pair.p_time < 0.001 < 0.1 < pair.p_seeds == pair.p
    assert not pair.significant
    # All seeds and all windows agree.
    (pair,) = differences([row("a", steady), row("b", steady + 0.3 * np.sign(common))])
    assert pair.significant
    assert (pair.better, pair.worse) == ("a", "b")
    assert pair.gap == pytest.approx(0.3, abs=0.001)


def test_one_seed_claims_nothing_among_cells_and_rests_on_time_against_a_baseline():
    rng = np.random.default_rng(4)
    small, large = rng.normal(0, 1, 100), rng.normal(0, 3, 100)
    rows = [row("a", small), row("b", large), row("naive", large + 0.1, "baseline"), row("mean", small, "ensemble")]
    pairs = {(pair.better, pair.worse): pair for pair in differences(rows)}
    assert (pairs["a", "b"].p, pairs["mean", "b"].p) == (1.0, 1.0)
    assert pairs["a", "naive"].significant
    assert pairs["mean", "naive"].significant
    assert all(np.isnan(pair.p_seeds) for pair in pairs.values())


def test_holm_adjusts_among_the_pairs_of_one_question():
    rng = np.random.default_rng(5)
    cells = noisy_cells(rng, [1, 1.1, 1.3])
    baselines = [row(f"baseline {number}", rng.normal(0, 1.2, 147), "baseline") for number in range(3)]
    pairs = differences([*cells, *baselines])
    assert len(pairs) == 15
    names = [{cell.name for cell in cells}, {baseline.name for baseline in baselines}]
    questions = [
        [pair for pair in pairs if {pair.better, pair.worse} <= names[0]],
        [pair for pair in pairs if {pair.better, pair.worse} <= names[1]],
        *(
            [pair for pair in pairs if name in (pair.better, pair.worse) and {pair.better, pair.worse} & names[0]]
            for name in sorted(names[1])
        ),
    ]
    assert [len(question) for question in questions] == [3, 3, 3, 3, 3]
    for question in questions:
        adjusted = multipletests([pair.p for pair in question], method="holm")[1]
        assert [pair.p_adjusted for pair in question] == pytest.approx(list(adjusted))
    assert {pair.level for pair in questions[0]} == {significance.LEVEL_TRAINED}
    assert {pair.level for question in questions[1:] for pair in question} == {significance.LEVEL}


def test_diverged_members_are_left_out():
    errors = np.random.default_rng(6).normal(size=(3, 50))
    broken = errors.copy()
    broken[1, 7] = np.nan
    partly, wholly = row("partly", broken), row("wholly", np.full((2, 50), np.nan))
    assert (partly.diverged, wholly.diverged) == (1, 2)
    np.testing.assert_array_equal(partly.scores, np.abs(errors[[0, 2]]).mean(axis=1))
    assert np.isnan(wholly.score)
    rows = [wholly, partly, row("whole", errors + 1)]
    assert [one.name for one in ranked(rows)] == ["partly", "whole"]
    pairs = differences(rows)
    assert len(pairs) == 1
    assert grouping(rows, pairs)["wholly"] == ""


def seeds_that_shift_alike(rng, seeds=6, windows=80):
    """Errors of a cell that misses much more with some seeds than with others, and how much each seed adds."""
    of_a_seed = np.linspace(0.5, 2, seeds)[rng.permutation(seeds)]
    return of_a_seed[:, None] * (1 + 0.1 * rng.random((seeds, windows)))


def test_seeds_are_paired_by_number_where_members_diverged():
    rng = np.random.default_rng(9)
    a = seeds_that_shift_alike(rng)
    # Every seed misses a little more in b; one member of each row diverged, but not of the same seed.
    b = a + 0.05 * (1 + 0.2 * rng.random((6, 1)))
    a[1, 3], b[4, 9] = np.nan, np.inf
    left = [0, 2, 3, 5]
    (pair,) = differences([row("a", a), row("b", b)])
    score_a, score_b = (np.abs(errors[left]).mean(axis=1) for errors in (a, b))
    assert pair.p_seeds == pytest.approx(stats.ttest_rel(score_a, score_b).pvalue)
    assert pair.p_time == diebold_mariano(a[left], b[left]).p
    # Paired by place among those left, as if seeds 2, 3 and 4 of one were 1, 2 and 3 of the other, nothing is found.
    assert pair.p_seeds < 0.001
    by_place = np.abs(a[[0, 2, 3, 4, 5]]).mean(axis=1), np.abs(b[[0, 1, 2, 3, 5]]).mean(axis=1)
    assert seed_test(*by_place) > 0.1


def test_order_and_number_of_seeds_do_not_matter_to_pairs():
    rng = np.random.default_rng(10)
    a = seeds_that_shift_alike(rng)
    b = a + 0.05 * (1 + 0.2 * rng.random((6, 1)))
    (usual,) = differences([row("a", a), row("b", b)])
    turned = row("b", b[::-1], seeds=(5, 4, 3, 2, 1, 0))
    (pair,) = differences([row("a", a), turned])
    assert pair.p == pytest.approx(usual.p)
    # A seed that one row alone has cannot be paired.
    (fewer,) = differences([row("a", a[:4]), row("b", b)])
    assert fewer.p_seeds == pytest.approx(stats.ttest_rel(np.abs(a[:4]).mean(1), np.abs(b[:4]).mean(1)).pvalue)


def test_rows_without_common_seeds_are_not_paired():
    rng = np.random.default_rng(11)
    a = seeds_that_shift_alike(rng)
    b = a + 0.05 * (1 + 0.2 * rng.random((6, 1)))
    (pair,) = differences([row("a", a), row("b", b, seeds=(5, 16, 17, 18, 19, 20))])
    assert pair.p_seeds == pytest.approx(stats.ttest_ind(np.abs(a).mean(1), np.abs(b).mean(1), equal_var=False).pvalue)
    assert pair.p_time == diebold_mariano(a, b).p


def test_nothing_is_claimed_where_common_seeds_contradict_the_ranking():
    rng = np.random.default_rng(12)
    a = 1 + 0.1 * rng.random((5, 80))
    b = a + 0.2 + 0.02 * rng.random((5, 1))
    (pair,) = differences([row("a", a), row("b", b)])
    assert pair.significant
    # One seed of a goes badly, and b has no such seed: a is better with each that both have, and worse in its mean.
    unlucky = np.concatenate([a, np.full((1, 80), 9.0) + a[:1]])
    (pair,) = differences([row("a", unlucky), row("b", b)])
    assert (pair.better, pair.worse) == ("b", "a")
    assert pair.gap == pytest.approx(unlucky.mean() - b.mean())
    assert max(pair.p_seeds, pair.p_time) < 0.001
    assert pair.p == pair.p_adjusted == 1.0
    assert not pair.significant


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_equals_statsmodels(p):
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])


@pytest.mark.parametrize("seeds", [(1, 2), (1, 1, 2)])
def test_rows_refuse_seeds_that_do_not_fit(seeds):
    with pytest.raises(ConfigError, match="for 3 members of 'GRU', expected one a member, each once"):
        row("GRU", np.zeros((3, 10)), seeds=seeds)


def test_rows_refuse_other_shapes():
    with pytest.raises(ConfigError, match=r"errors of shape \(5, 10\) for 'GRU', expected \(members, windows"):
        Row("GRU", np.zeros((5, 10)))


def test_skill_against_the_best_baseline():
    rows = [row("GRU", [0.5, -0.5]), row("naive", [2.0, 2.0], "baseline"), row("AR", [1.0, -1.0], "baseline")]
    assert significance.best_baseline(rows).name == "AR"
    assert skills(rows) == {"GRU": 0.5, "naive": -1.0, "AR": 0.0}
    assert skills(rows[:1]) == {}


@pytest.mark.parametrize(
    ("different", "expected"),
    [
        ([], {"a": "a", "b": "a", "c": "a", "d": "a"}),
        ([("a", "d")], {"a": "a", "b": "ab", "c": "ab", "d": "b"}),
        ([("a", "c"), ("a", "d"), ("b", "d")], {"a": "a", "b": "ab", "c": "bc", "d": "c"}),
        ([("a", "b"), ("a", "c"), ("a", "d")], {"a": "a", "b": "b", "c": "b", "d": "b"}),
        (list(itertools.combinations("abcd", 2)), {"a": "a", "b": "b", "c": "c", "d": "d"}),
    ],
)
def test_letters(different, expected):
    assert letters("abcd", different) == expected


@given(st.data())
def test_two_rows_share_a_letter_exactly_where_they_do_not_differ(data):
    names = [f"row {number}" for number in range(data.draw(st.integers(1, 7)))]
    every = list(itertools.combinations(names, 2))
    different = data.draw(st.lists(st.sampled_from(every), unique=True)) if every else []
    shown = letters(names, different)
    for first, second in every:
        assert bool(set(shown[first]) & set(shown[second])) == ((first, second) not in different)
    # The best row has the first letter, and no letter is a mere part of another.
    assert shown[names[0]].startswith("a")
    holders = [{name for name in names if letter in shown[name]} for letter in set("".join(shown.values()))]
    assert not any(one < other for one, other in itertools.permutations(holders, 2))


def test_grouping_of_rows():
    rng = np.random.default_rng(8)
    rows = [*noisy_cells(rng, [1, 0.5]), row("naive", 3 * rng.normal(size=147), "baseline")]
    assert grouping(rows, differences(rows)) == {"cell 0": "b", "cell 1": "a", "naive": "c"}
