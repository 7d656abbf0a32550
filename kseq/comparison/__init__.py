"""Baselines and cells on the same windows: backtest, jobs, scores, frames, and the result that holds them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kseq.comparison.result import Comparison
    from kseq.settings import Settings

__all__ = ["Comparison", "Settings"]


def __getattr__(name: str) -> Any:
    # Not imported with the package: what reads scores needs no comparison.
    if name == "Comparison":
        from kseq.comparison.result import Comparison

        return Comparison
    if name == "Settings":
        from kseq.settings import Settings

        return Settings
    raise AttributeError(f"module 'kseq.comparison' has no attribute {name!r}")
