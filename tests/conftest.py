"""A test run names its backend: results of one backend say nothing of another."""

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("KERAS_BACKEND") not in ("torch", "tensorflow", "jax"):
        raise pytest.UsageError("set KERAS_BACKEND to torch, tensorflow or jax, or run tox.")
