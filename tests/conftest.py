"""What every test needs: a backend named by whoever runs them."""

import os

import pytest


def pytest_configure() -> None:
    """Refuse to run on a backend that nobody chose: Keras would pick one, and the others would go untested."""
    if not os.environ.get("KERAS_BACKEND"):
        raise pytest.UsageError("KERAS_BACKEND is not set; set it to torch, tensorflow or jax, or run tox.")
