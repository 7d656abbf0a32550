"""Experiments: ``compare`` runs a comparison, ``tune`` chooses settings, ``audit`` looks for leaks, ``judge`` takes
forecasts that others made, ``reproduce`` repeats a record.
"""
