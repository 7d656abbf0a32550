"""How good forecasts are, read from arrays and frames: metrics, intervals, tests, verdict and cautions.

No model is known here: anyone's forecasts can be judged.
"""
