import numpy as np
import pytest

from kseq.evaluation import metrics

pytestmark = pytest.mark.above_backends


@pytest.mark.parametrize(
    ("y", "reason"),
    [
        ([1.0, 2.0, 3.0], None),
        ([-1.0, -2.0], None),
        ([273.0, 290.0], None),
        ([0.0, 2.0, 3.0], "1 of 3 targets is at or near zero"),
        ([0.001, 0.002, 5.0], "2 of 3 targets are at or near zero"),
        ([-0.5, 2.0], "targets take both signs"),
    ],
)
def test_mape_is_refused_where_zero_is_near(y, reason):
    assert metrics.mape_reason(np.array(y)) == reason


def test_near_zero_is_judged_for_each_target_by_its_own_size():
    assert metrics.mape_reason(np.array([[0.5, 1000.0], [0.6, 2000.0]])) is None
    assert metrics.mape_reason(np.array([[0.5, 1000.0], [0.6, 2.0]])) == "1 of 4 targets is at or near zero"


def test_skill_is_the_share_of_error_taken_away():
    assert metrics.skill(0.75, 1.0) == 0.25
    assert metrics.skill(2.0, 1.0) == -1.0
    assert np.isnan(metrics.skill(1.0, 0.0))


def test_registry_says_what_a_table_needs():
    assert {name for name, metric in metrics.METRICS.items() if metric.unit == "%"} == {"mape", "smape"}
    assert {name for name, metric in metrics.METRICS.items() if metric.unit == "target"} == {"mae", "rmse", "bias"}
