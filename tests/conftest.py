"""A test run names its backend: results of one backend say nothing of another."""

import os
from pathlib import Path

import pytest

#: What stands above windows, layers and training and calls nothing of a backend. Its tests train many small networks,
#: each of which TensorFlow and JAX compile for seconds: they run on PyTorch, and elsewhere with ``--every``.
ABOVE_BACKENDS = {
    "test_fitting", "test_forecaster", "test_forecasting", "test_panels_fitting", "test_panels_scoring",
    "test_reproduction", "test_scoring", "test_cli_audit", "test_cli_config",
    "test_cli_data", "test_cli_panel", "test_cli_panel_model", "test_cli_reproduce", "test_cli_tune",
}  # fmt: skip

#: What computes with NumPy, whatever the backend is. These too run beside PyTorch alone.
WITHOUT_BACKENDS = {"test_cpu", "test_databench", "test_report", "test_report_bench"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run ask for everything."""
    parser.addoption("--every", action="store_true", help="all tests on TensorFlow and JAX too")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run on a backend that nobody chose: Keras would pick one, and the others would go untested."""
    backend = os.environ.get("KERAS_BACKEND")
    if backend not in ("torch", "tensorflow", "jax"):
        raise pytest.UsageError(f"received KERAS_BACKEND {backend!r}; set it to torch, tensorflow or jax, or run tox.")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what a run on this backend does not take."""
    return True if _leaves_out(config) and collection_path.stem in ABOVE_BACKENDS | WITHOUT_BACKENDS else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out single tests of what stands above backends."""
    if _leaves_out(config):
        items[:] = [item for item in items if item.get_closest_marker("above_backends") is None]


def _leaves_out(config: pytest.Config) -> bool:
    return os.environ["KERAS_BACKEND"] != "torch" and not config.getoption("--every")
