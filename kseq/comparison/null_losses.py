"""Training and validation loss of forecasts that need no training, in transformed and scaled values.

A network whose loss is no smaller than these has learned nothing beyond its transform.
"""

from collections.abc import Sequence

import numpy as np

from kseq.preprocessing.windows import WindowedPanel, Windows

#: Windows of each part that are looked at, evenly drawn.
MOST = 10_000

#: What forecasts zero repeats, by the reference of the windows; without one it is the mean.
_ZERO = {"mean": "the mean of the window", "season": "the last season", "ar": "the autoregression of each series"}


def null_losses(trainings: Sequence[WindowedPanel], loss: str = "mse") -> tuple[float, float, str]:
    """Loss of forecasting no change, or the reference of the windows where that is better in training.

    Args:
        trainings: Windows of each training, the mean over which is taken.
        loss: Loss of the networks, a name of :data:`kseq.layers.losses.LOSSES`; of quantiles, all of them are the same
            forecast, whose loss is its mean absolute error as long as quantiles are symmetric.

    Returns:
        Loss on the training and on the validation part, NaN where there are no windows; and what the forecast repeats.

    Example:
        >>> null_losses([make_windows(load_series("nino12"), lookback=24)])  # doctest: +SKIP
        (1.0, 1.28, 'no change')
    """
    trained = np.mean([_losses(data.train, loss) for data in trainings], axis=0)
    validated = np.mean([_losses(data.validation, loss) for data in trainings], axis=0)
    better = int(trained[1] < trained[0])
    reference = trainings[0].train.reference
    words = _ZERO.get(reference.kind, "no change") if reference else "the mean"
    return float(trained[better]), float(validated[better]), words if better else "no change"


def _losses(windows: Windows, loss: str) -> np.ndarray:
    """Loss of no change, and of zeros."""
    if not len(windows):
        return np.full(2, np.nan)
    windows = windows.thinned(MOST)
    first = windows.all_starts()
    _, zero = windows.gather_at(first)
    last = windows.targets[first - 1][:, None]
    change = windows.targets[windows.target_rows] - last
    if windows.reference is not None and windows.reference.spread:
        change = change / windows.refer(windows.gather_inputs(first))[1]
    return np.array([_loss(np.asarray(errors, float), loss) for errors in (change, zero)])


def _loss(errors: np.ndarray, loss: str) -> float:
    size = np.abs(errors)
    if loss == "huber":
        return float(np.where(size < 1, size**2 / 2, size - 0.5).mean())
    return float((size**2 if loss == "mse" else size).mean())
