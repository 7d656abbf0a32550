"""Feed ``fit``: see :mod:`kseq.layers.feeding`."""

from kseq.layers.feeding import Listeners, NextEpoch, fed

__all__ = ["Listeners", "NextEpoch", "fed"]
