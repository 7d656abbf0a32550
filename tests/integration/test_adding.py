import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.long

EXAMPLE = Path(__file__).parents[2] / "examples" / "adding.py"


@pytest.fixture(scope="module")
def adding():
    spec = importlib.util.spec_from_file_location("adding", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_target_is_the_sum_of_the_two_marked_values(adding):
    x, y = adding.draw(500, seed=0).gather(np.arange(500))
    values, marks = x[..., 0], x[..., 1]
    assert x.shape == (500, 100, 2)
    for half in (marks[:, :50], marks[:, 50:]):
        assert (np.sort(half, axis=1) == [0] * 49 + [1]).all()
        assert len(set(half.argmax(axis=1))) == 50
    np.testing.assert_allclose(y[:, 0, 0], (values * marks).sum(axis=1), rtol=1e-6)
    assert len(np.unique(values)) > 49_000
    assert ((values >= 0) & (values <= 1)).all()
    assert abs(values.mean() - 0.5) < 0.01


def test_to_say_one_always_misses_by_a_sixth(adding):
    assert adding.error_of_one(adding.draw(20_000, seed=0)) == pytest.approx(1 / 6, rel=0.02)


@pytest.mark.slow
def test_gates_carry_a_value_over_a_hundred_steps(adding):
    test = adding.draw(5000, seed=3)
    one = adding.error_of_one(test)
    assert one == pytest.approx(1 / 6, rel=0.05)
    # It learns that the mean is a good answer, and next to nothing besides.
    assert (np.abs(adding.errors("rnn", test) - one) < 0.1 * one).all()
    assert (adding.errors("lstm", test) < 0.01).all()
    assert (adding.errors("gru", test) < 0.01).all()
