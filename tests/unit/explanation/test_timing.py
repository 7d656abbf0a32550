"""Timings of cells in turn."""

import numpy as np
import pandas as pd
import pytest

import kseq
from kseq.explanation.timing import times_of
from kseq.training.budget import Training

pytestmark = pytest.mark.above_backends


@pytest.mark.parametrize("members", [None, [0, 1]])
def test_models_are_timed_in_turn_and_as_often_as_asked(members):
    data = kseq.make_windows(kseq.from_frame(pd.DataFrame({"y": np.sin(np.arange(80.0))})), lookback=4)
    models = {
        cell: kseq.build_model(cell, lookback=4, features=1, units=2, seed=0, members=members)
        for cell in ("rnn", "gru")
    }
    fitted = []
    for name, model in models.items():
        fit = model.fit
        model.fit = lambda *args, name=name, fit=fit, **options: (fitted.append(name), fit(*args, **options))
    times = times_of(models, data, Training(epochs=1, batch_size=16), rounds=3)
    # Once more than is kept: the first time graphs and kernels are made.
    assert fitted == ["rnn", "gru"] * 4
    for one in times.values():
        assert one.step_ms.shape == one.forward_ms.shape == (3,)
        assert (one.step_ms > 0).all()
        assert (one.forward_ms > 0).all()
