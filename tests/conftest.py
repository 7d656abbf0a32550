"""A test run names its backend: results of one backend say nothing of another."""

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run on a backend that nobody chose: Keras would pick one, and the others would go untested."""
    backend = os.environ.get("KERAS_BACKEND")
    if backend not in ("torch", "tensorflow", "jax"):
        raise pytest.UsageError(f"received KERAS_BACKEND {backend!r}; set it to torch, tensorflow or jax, or run tox.")
