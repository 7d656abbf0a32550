"""Experiments on comparisons: ``tune`` chooses settings, ``audit`` looks for leaks, ``reproduce`` repeats a record."""
