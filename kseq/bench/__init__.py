"""Timings against what users have otherwise: ``timings`` of training, ``delivery`` of batches."""
