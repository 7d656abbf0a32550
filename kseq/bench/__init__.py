"""Timings against other ways to train: ``timings`` of training, ``delivery`` of batches, ``measured``, the results."""
