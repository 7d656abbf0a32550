"""Baselines and cells on the same windows: backtest, jobs, rows, scores and the frames that reports are made from."""
