import numpy as np
import pytest

from kseq.evaluation.evidence import Evidence
from kseq.evaluation.noise import Source, fold_variance, sources
from kseq.evaluation.rows import Row
from kseq.evaluation.significance import differences
from kseq.evaluation.verdict import what_it_takes, where_noise_comes_from

pytestmark = pytest.mark.above_backends


def cells(rng, gap, of_seeds, of_time, seeds=10, windows=100):
    common = 2 + rng.random(windows)
    made = []
    for number in range(2):
        noise = of_time * rng.normal(size=windows) * number
        errors = common + gap * number + noise - noise.mean() + of_seeds * rng.normal(size=(seeds, 1))
        made.append(Row(f"cell {number}", errors[:, :, None, None]))
    return made


def evidence(rows, **known):
    y = np.full((rows[0].losses.shape[1], 1, 1), 20.0)
    return Evidence(rows, y, y[:, 0], np.full(1, 10.0), np.full(1, 30.0), **known)


def test_sources_of_noise_are_told_apart():
    rng = np.random.default_rng(1)
    by_seeds = {source.name: source.error for source in sources(*cells(rng, 0.01, 0.5, 0.01))}
    assert by_seeds["seeds"] > 10 * by_seeds["time"]
    by_time = {source.name: source.error for source in sources(*cells(rng, 0.01, 0.001, 1.0))}
    assert by_time["time"] > 10 * by_time["seeds"]
    assert by_time["time"] == pytest.approx(1 / np.sqrt(100), rel=0.5)


def test_it_would_take_so_many_that_a_larger_study_finds_it():
    rng = np.random.default_rng(2)
    small = cells(rng, 0.05, 0.1, 0.0, seeds=10)
    (pair,) = differences(small)
    needed = next(source for source in sources(*small) if source.name == "seeds").needed(pair.gap, pair.level)
    assert needed > 10
    found = [differences(cells(rng, pair.gap, 0.1, 0.0, seeds=needed))[0].significant for _ in range(40)]
    assert np.mean(found) >= 0.6
    assert Source("time", 0.0, 10).needed(1.0, 0.05) == 0


def test_the_sentence_says_seeds_and_months():
    rows = cells(np.random.default_rng(3), 0.02, 0.3, 0.5)
    given = evidence(rows, step_words="months", unit="K")
    text = what_it_takes(given)
    assert text.startswith("To tell cell ")
    assert " seeds and some " in text
    assert " months of test part (there are 10 and 100)" in text
    shares = where_noise_comes_from(given)
    assert shares.startswith("Of the noise in the gap between cell ")
    assert " (its variance): seeds " in shares
    # Nothing to say of rows that do differ.
    clear = evidence(cells(np.random.default_rng(4), 1.0, 0.01, 0.01))
    assert (what_it_takes(clear), where_noise_comes_from(clear)) == (None, None)


def test_variance_between_folds_is_what_seeds_do_not_make():
    rng = np.random.default_rng(5)
    folds, seeds = rng.normal(0, 2, 200), rng.normal(0, 1, (20, 1))
    table = folds + seeds + rng.normal(0, 0.5, (20, 200))
    assert fold_variance(table) == pytest.approx(folds.var(ddof=1), rel=0.05)
    assert fold_variance(seeds + np.zeros(30)) == 0.0
