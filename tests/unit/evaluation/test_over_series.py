import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from kseq.evaluation.evidence import Evidence
from kseq.evaluation.over_series import friedman, series_test
from kseq.evaluation.rows import Row
from kseq.evaluation.significance import LEVEL_TRAINED, differences
from kseq.evaluation.verdict import average_ranks, how_tested, verdict

pytestmark = pytest.mark.above_backends


def panel_row(name, by_series, kind="model", dates=1, rng=None):
    """A row of scores ``(members, series)``, with losses over so many origin dates."""
    by_series = np.atleast_2d(by_series)
    noise = 0.0 if rng is None else rng.normal(0, 0.05, (len(by_series), dates))
    losses = by_series.mean(axis=1, keepdims=True) + np.zeros((1, dates)) + noise
    errors = by_series[:, :, None, None]
    return Row(name, errors, kind, losses=losses, member_scores=by_series.mean(axis=1), by_series=by_series)


def evidence(*rows, dates=1):
    series = rows[0].by_series.shape[1]
    y = np.ones((series, 1, 1))
    return Evidence(rows, y, y[:, 0], np.zeros(1), np.full(1, 2.0), series=series, dates=dates)


def test_equal_to_scipys_tests():
    rng = np.random.default_rng(1)
    a, b = rng.gamma(2, 1, 40), rng.gamma(2, 1, 40)
    assert series_test(a, b) == pytest.approx(stats.wilcoxon(a, b).pvalue)
    assert series_test(a[:6], b[:6]) == pytest.approx(stats.ttest_rel(a[:6], b[:6]).pvalue)
    scores = rng.gamma(2, 1, (4, 40))
    found, expected = friedman(scores), stats.friedmanchisquare(*scores)
    assert (found.statistic, found.p) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))
    tied = np.round(scores)
    assert friedman(tied).statistic == pytest.approx(stats.friedmanchisquare(*tied).statistic)
    np.testing.assert_allclose(found.ranks, stats.rankdata(scores, axis=0).mean(axis=1))


def test_series_without_a_score_are_left_out():
    a, b = np.arange(12.0), np.arange(12.0) + np.linspace(1, 2, 12)
    a[3] = np.nan
    assert series_test(a, b) == pytest.approx(stats.wilcoxon(np.delete(a, 3), np.delete(b, 3)).pvalue)
    assert np.isnan(series_test(a[3:5], b[3:5]))
    assert series_test(b, b) == 1.0


def test_ranks_take_twenty_series_and_three_rows():
    scores = np.random.default_rng(2).random((4, 19))
    assert friedman(scores) is None
    assert friedman(np.random.default_rng(2).random((2, 50))) is None
    alike = friedman(np.ones((3, 20)))
    assert (alike.p, alike.ranks.tolist()) == (1.0, [2.0, 2.0, 2.0])


def test_with_one_origin_series_decide():
    rng = np.random.default_rng(3)
    hard = rng.gamma(4, 1, 50)
    rows = [panel_row("good", 0.9 * hard), panel_row("bad", hard), panel_row("same", hard + rng.normal(0, 0.2, 50))]
    pairs = {frozenset((pair.better, pair.worse)): pair for pair in differences(rows)}
    pair = pairs[frozenset(("good", "bad"))]
    assert np.isnan(pair.p_time)
    assert pair.p == pytest.approx(stats.wilcoxon(0.9 * hard, hard).pvalue)
    assert pair.significant
    assert not pairs[frozenset(("bad", "same"))].significant
    adjusted = multipletests([pair.p for pair in differences(rows)], method="holm")[1]
    assert [pair.p_adjusted for pair in differences(rows)] == pytest.approx(list(adjusted))


def test_with_several_origins_the_larger_p_decides():
    rng = np.random.default_rng(4)
    hard = rng.gamma(4, 1, 50)
    # All series agree; dates do not.
    a, b = panel_row("a", 0.97 * hard, dates=6, rng=rng), panel_row("b", hard, dates=6, rng=rng)
    once = np.array([0, 0, 6.0, 0, 0, 0]) / 10
    b = Row("b", b.errors, "model", losses=a.losses + once, member_scores=b.member_scores, by_series=b.by_series)
    (pair,) = differences([a, b])
    assert pair.p_series < 0.001 < 0.1 < pair.p_time == pair.p


def test_identical_models_over_series_tie_in_95_of_100():
    rng = np.random.default_rng(5)
    claims = 0
    for _ in range(200):
        hard = rng.gamma(4, 1, 60)
        rows = [panel_row(f"model {n}", hard * np.exp(rng.normal(0, 0.2, 60))) for n in range(3)]
        claims += any(pair.significant for pair in differences(rows))
    assert LEVEL_TRAINED == 0.02
    assert claims <= 10


def test_it_is_said_what_was_tested_over():
    rng = np.random.default_rng(6)
    hard = rng.gamma(4, 1, 30)
    rows = [panel_row("a", 0.9 * hard), panel_row("b", hard), panel_row("c", 1.2 * hard)]
    one = evidence(*rows)
    assert how_tested(one).startswith("All 30 series are forecast from one date, so that tests are over series")
    assert "over 30 series and over 7 origin dates" in how_tested(evidence(*rows, dates=7))
    assert average_ranks(one) == (
        "Over 30 series average ranks run from 1.00 (a) to 3.00 (c) of 3 (Friedman's test, p < 0.001)."
    )
    assert average_ranks(one) in verdict(one)
    assert verdict(one)[0].startswith("a wins among the models: its MASE")
    alike = [panel_row(name, hard * np.exp(rng.normal(0, 0.2, 30))) for name in "abc"]
    assert "no row ranks above another" in average_ranks(evidence(*alike))
    few = [panel_row(name, hard[:9] * factor) for name, factor in (("a", 1), ("b", 2), ("c", 3))]
    assert average_ranks(evidence(*few)) is None
