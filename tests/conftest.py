"""A test run names its backend: results of one backend say nothing of another."""

import gc
import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run ask for everything."""
    parser.addoption("--every", action="store_true", help="all tests on TensorFlow and JAX too")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run on a backend that nobody chose: Keras would pick one, and the others would go untested."""
    backend = os.environ.get("KERAS_BACKEND")
    if backend not in ("torch", "tensorflow", "jax"):
        raise pytest.UsageError(f"received KERAS_BACKEND {backend!r}; set it to torch, tensorflow or jax, or run tox.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out on TensorFlow and JAX what is marked ``above_backends``, unless ``--every`` asks for it.

    Such tests call nothing of a backend, or train many small networks, each of which TensorFlow and JAX compile for
    seconds.
    """
    if os.environ["KERAS_BACKEND"] != "torch" and not config.getoption("--every"):
        left_out = [item for item in items if item.get_closest_marker("above_backends")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("above_backends")]


@pytest.fixture(scope="module", autouse=True)
def _spare_the_collector():
    """Keep what a file of tests leaves in memory (modules, compiled code) out of later garbage collections.

    A frozen object is never looked at again. With three libraries loaded a full collection takes a third of a second,
    and Keras, statsmodels and pytest ask for hundreds.
    """
    gc.collect()
    gc.freeze()
