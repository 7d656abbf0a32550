"""Recurrent layers: drop-in SimpleRNN, LSTM and GRU with fast loops, and ``Ensemble`` around them."""

from kseq.layers import _fast_fit
from kseq.layers._conversion import accelerate, fast, stock, to_stock
from kseq.layers._dispatch import kernel_policy, policy, run_kernel, spec_of
from kseq.layers.cells import GRU, LSTM, SimpleRNN
from kseq.layers.ensemble import Ensemble, MemberLoss, split_members, sum_over_members, take_members
from kseq.layers.fast_step import step_used
from kseq.layers.losses import ForecastLoss

__all__ = [
    "GRU",
    "LSTM",
    "Ensemble",
    "ForecastLoss",
    "MemberLoss",
    "SimpleRNN",
    "accelerate",
    "fast",
    "kernel_policy",
    "policy",
    "run_kernel",
    "spec_of",
    "split_members",
    "step_used",
    "stock",
    "sum_over_members",
    "take_members",
    "to_stock",
]

_fast_fit.install()
