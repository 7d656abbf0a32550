"""Timings against what users have otherwise: ``timings`` of training, ``windows`` of the delivery of batches."""
