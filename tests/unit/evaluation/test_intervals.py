import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kseq.errors import ConfigError
from kseq.evaluation.intervals import LEVELS, Interval, half_width, intervals, too_few

pytestmark = pytest.mark.above_backends


def column(*errors):
    """Errors of one step and one target, ``(windows, 1, 1)``."""
    return np.array(errors, dtype="float64")[:, None, None]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        # Nine errors: the ceil(10 * 0.8) = 8th smallest, the ceil(10 * 0.75) = 8th, the ceil(10 * 0.9) = 9th.
        (80, 2.0),
        (75, 2.0),
        (90, 7.0),
        (50, 0.9),
        # The ceil(10 * 0.01) = 1st.
        (1, 0.1),
        # The ceil(10 * 0.901) = 10th of nine.
        (90.1, math.inf),
    ],
)
def test_half_width_by_hand(level, expected):
    # By size: 0.1, 0.2, 0.4, 0.5, 0.9, 1.1, 1.5, 2.0, 7.0.
    missed = column(0.4, -2.0, 0.1, 7.0, -0.9, 1.1, -0.2, 0.5, -1.5)
    np.testing.assert_array_equal(half_width(missed, level), [[expected]])


def test_levels_are_the_decimals_that_were_written():
    # In floats 0.07 * 100 is a little above 7, and 99.9 / (100 - 99.9) above 999.
    missed = np.arange(1.0, 100.0)[:, None, None]
    assert half_width(missed, 7) == 7
    assert half_width(missed, np.float64(7.0)) == 7
    assert too_few(999, 99.9) is None
    assert too_few(998, 99.9) is not None


def test_each_step_and_target_has_a_width_of_its_own():
    rng = np.random.default_rng(0)
    missed = rng.normal(size=(99, 6, 2)) * np.sqrt(np.arange(1, 7))[:, None] * [1, 10]
    widths = half_width(missed, 80)
    assert widths.shape == (6, 2)
    for step in range(6):
        for target in range(2):
            assert widths[step, target] == np.sort(np.abs(missed[:, step, target]))[79]
    band = intervals(np.zeros((4, 6, 2)), missed, [80])[80]
    np.testing.assert_array_equal(band.hi, np.broadcast_to(widths, (4, 6, 2)))


def test_members_are_kept_apart():
    rng = np.random.default_rng(1)
    forecasts, missed = rng.normal(size=(3, 7, 2, 1)), rng.normal(size=(3, 40, 2, 1))
    together = intervals(forecasts, missed)
    for number in range(3):
        alone = intervals(forecasts[number], missed[number])
        for level in LEVELS:
            np.testing.assert_array_equal(together[level].lo[number], alone[level].lo)
            np.testing.assert_array_equal(together[level].hi[number], alone[level].hi)


def test_bounds_lie_around_the_forecast():
    missed = np.random.default_rng(2).normal(size=(60, 1, 1))
    forecasts = np.arange(5.0)[:, None, None]
    narrow, wide = intervals(forecasts, missed).values()
    assert (narrow.level, wide.level) == LEVELS == (80, 95)
    assert narrow.width < wide.width
    for band in (narrow, wide):
        np.testing.assert_allclose((band.lo + band.hi) / 2, forecasts)
        assert band.width == pytest.approx(2 * half_width(missed, band.level).item())
        assert band.reason is None


# 19 errors give just 19 / 20; 60 errors give ceil(61 * 0.95) / 61 = 58 / 61 = 95.1 %.
@pytest.mark.parametrize("count", [19, 60])
def test_coverage_of_exchangeable_errors(count):
    rng = np.random.default_rng(3)
    trials = 10_000
    # A skewed distribution with a heavy tail: nothing is asked of the errors but that they are exchangeable. Each trial
    # is a target, with a correlation between its own errors.
    shared = rng.normal(size=(1, 1, trials))
    errors = (rng.exponential(size=(count + 1, 1, trials)) - 0.3) ** 3 + shared
    forecasts = rng.normal(size=(1, 1, trials))
    bands = intervals(forecasts, errors[:-1], (80, 95))
    for level, band in bands.items():
        promised = 100 * math.ceil((count + 1) * level / 100 - 1e-9) / (count + 1)
        # Four standard deviations of a share of so many trials.
        assert band.coverage(forecasts - errors[-1:]) == pytest.approx(
            promised, abs=400 * math.sqrt(0.2 * 0.8 / trials)
        )
        assert promised >= level


def test_coverage_counts_values_on_the_bounds():
    band = Interval(80, np.zeros((4, 1, 1)), np.ones((4, 1, 1)))
    assert band.coverage(column(0.0, 1.0, 1.1, -0.1)) == 50.0
    members = Interval(80, np.zeros((2, 4, 1, 1)), np.array([1.0, 2.0])[:, None, None, None] * np.ones((4, 1, 1)))
    assert members.coverage(column(0.0, 1.5, 1.1, -0.1)) == 50.0


def test_too_few_errors_give_infinite_bounds_and_a_reason():
    bands = intervals(np.ones((3, 2, 1)), np.ones((18, 2, 1)))
    assert bands[95].reason == "18 validation errors bound at most 94.7 %: 95 % takes 19"
    assert (bands[95].lo == -math.inf).all()
    assert (bands[95].hi == math.inf).all()
    assert bands[95].width == math.inf
    assert bands[95].coverage(np.zeros((3, 2, 1))) == 100.0
    # The same errors are enough for the lower level.
    assert bands[80].reason is None
    assert bands[80].width == 2.0
    assert intervals(np.ones((3, 2, 1)), np.ones((19, 2, 1)))[95].width == 2.0


def test_no_validation_part_at_all():
    band = intervals(np.ones((3, 2, 1)), np.empty((0, 2, 1)), [80])[80]
    assert band.width == math.inf
    assert band.reason == "0 validation errors bound at most 0.0 %: 80 % takes 4"


@given(st.integers(0, 300), st.integers(1, 999).map(lambda tenths: tenths / 10))
def test_a_reason_is_given_exactly_where_bounds_are_infinite(count, level):
    reason = too_few(count, level)
    assert (reason is None) == bool(np.isfinite(half_width(np.ones((count, 1, 1)), level)).all())
    if reason is not None:
        needed = int(reason.rsplit(" ", 1)[1])
        assert too_few(needed, level) is None
        assert too_few(needed - 1, level) is not None


def test_a_level_close_to_100_is_answered_at_once():
    assert too_few(10, 99.9999999).endswith("takes 999999999")


@pytest.mark.parametrize("level", [0, 100, -5, 120, math.nan])
def test_levels_out_of_range_are_refused(level):
    with pytest.raises(ConfigError, match=f"received level {level:g}, expected a percentage between 0 and 100"):
        intervals(np.ones((3, 1, 1)), np.ones((30, 1, 1)), [level])


@pytest.mark.parametrize(
    ("forecasts", "residuals"),
    [((3, 2, 1), (30, 1, 1)), ((3, 2, 1), (30, 2, 2)), ((5, 3, 2, 1), (30, 2, 1)), ((2, 1), (2, 1))],
)
def test_shapes_that_do_not_belong_together_are_refused(forecasts, residuals):
    with pytest.raises(ConfigError, match=r"received forecasts of shape .*, expected both as \(\.\.\., windows"):
        intervals(np.ones(forecasts), np.ones(residuals))
