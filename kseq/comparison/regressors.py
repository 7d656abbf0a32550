"""Rows of a user's regressors, by scikit-learn's conventions, fitted to the windows of the cells.

A regressor reads each window as one row of numbers, ``lookback`` times ``features``, and forecasts all steps: natively
where it knows several outputs, otherwise by a copy a step (the direct strategy).
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from kseq.comparison.auto import settled
from kseq.comparison.backtest import as_chosen, with_validation_learnt
from kseq.comparison.row_windows import with_lookback, with_transform
from kseq.errors import ConfigError
from kseq.evaluation.model_result import ModelResult
from kseq.models.own import Own
from kseq.preprocessing.windows import WindowedPanel, Windows
from kseq.settings import Settings


def rival_row(
    own: Own, data: WindowedPanel, settings: Settings, progress: Callable[[str, int, int], None] | None = None
) -> ModelResult:
    """Fit a regressor to the training windows and forecast the validation and the test windows.

    One that takes a ``random_state`` is fitted once a seed, unless its first two seeds give the same forecasts. With
    ``refit_on_validation`` the forecasts of the test part are those of a second fit, on the validation part too.

    Raises:
        ConfigError: It is no regressor, or fails.
    """
    started = time.perf_counter()
    settings = settled(settings, data.choice)
    mine = settings.of(own.name)
    whole, windows = None, _windows(data, settings, mine)
    if settings.refit_on_validation and len(data.validation):
        learnt = with_validation_learnt(data, settings)
        chosen = as_chosen(settings, data.transform), as_chosen(mine, windows.transform)
        whole = _windows(learnt, *chosen)
    data = windows
    first = _regressor(own)
    random_state = "random_state" in first.get_params()
    made: list[tuple[np.ndarray, np.ndarray | None]] = []
    for number, seed in enumerate(settings.seeds if random_state else settings.seeds[:1]):
        made.append(_forecasts(own, seed if random_state else None, data, whole))
        if progress is not None:
            progress(own.name, number + 1, len(settings.seeds))
        if number == 1 and np.array_equal(made[0][0], made[1][0]):
            made = made[:1]
            break
    seen = [validation for _, validation in made if validation is not None]
    return ModelResult(
        own.name,
        np.stack([test for test, _ in made]),
        kind="model",
        seeds=settings.seeds[: len(made)] if len(made) > 1 else (),
        seconds=time.perf_counter() - started,
        kernel=type(first).__module__.partition(".")[0],
        validation=np.stack(seen) if seen else None,
    )


def _windows(data: WindowedPanel, settings: Settings, mine: Settings) -> WindowedPanel:
    """The windows of all rows with the lookback and the transform of one."""
    if mine.transform != settings.transform:
        data = with_transform(data, mine)
    return with_lookback(data, mine.lookback)


def _forecasts(
    own: Own, seed: int | None, data: WindowedPanel, whole: WindowedPanel | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Forecasts of the test and, if there is one, the validation part, ``(windows, horizon, targets)`` each."""
    fitted = _fitted(own, seed, data)
    seen = _predicted(own, fitted, data, data.validation) if len(data.validation) else None
    if whole is not None:
        data, fitted = whole, _fitted(own, seed, whole)
    return _predicted(own, fitted, data, data.test), seen


def _regressor(own: Own) -> Any:
    """A fresh regressor."""
    try:
        from sklearn.base import clone
    except ModuleNotFoundError as error:
        raise ConfigError(f"rival {own.name!r} needs scikit-learn; pip install scikit-learn.") from error
    made = own.make if hasattr(own.make, "predict") and not isinstance(own.make, type) else own.called({})
    if not all(hasattr(made, name) for name in ("fit", "predict", "get_params")):
        raise ConfigError(
            f"rival {own.name!r} is of type {type(made).__name__}, expected a regressor with fit, predict and "
            "get_params, as of scikit-learn."
        )
    return clone(made)


def _fitted(own: Own, seed: int | None, data: WindowedPanel) -> Any:
    from sklearn.multioutput import MultiOutputRegressor

    regressor, y = _regressor(own), data.train.y
    if seed is not None:
        regressor.set_params(random_state=seed)
    if y.shape[1] > 1 and not _knows_several(regressor):
        regressor = MultiOutputRegressor(regressor)
    try:
        return regressor.fit(_rows(data.train), y if y.shape[1] > 1 else y[:, 0])
    except Exception as error:
        raise ConfigError(
            f"rival {own.name!r} cannot be fitted to {len(y)} windows: {type(error).__name__}: "
            f"{' '.join(str(error).split())[:300]}"
        ) from error


def _knows_several(regressor: Any) -> bool:
    """Whether a regressor forecasts several numbers at once, by its tags."""
    try:
        from sklearn.utils import get_tags

        return bool(get_tags(regressor).target_tags.multi_output)
    except (ImportError, AttributeError):
        return False


def _rows(windows: Windows) -> np.ndarray:
    """Windows as rows of numbers, ``(windows, lookback * features)``."""
    return windows.x.reshape(len(windows), -1)


def _predicted(own: Own, fitted: Any, data: WindowedPanel, windows: Windows) -> np.ndarray:
    scaled = np.asarray(fitted.predict(_rows(windows)), dtype="float64").reshape(len(windows), data.horizon, -1)
    if scaled.shape[2] != data.targets:
        raise ConfigError(
            f"rival {own.name!r} forecasts {scaled.shape[1] * scaled.shape[2]} numbers a window, expected "
            f"{data.horizon * data.targets}."
        )
    return data.to_units(scaled, windows)
