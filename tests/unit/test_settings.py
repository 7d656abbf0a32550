import pytest

from kseq import Comparison, Settings, load_series, make_windows

pytestmark = pytest.mark.above_backends

DROPPED = "Dropout changes nothing with one recurrent layer: outputs are dropped between layers."


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dropout": 0.2}, True),
        ({"dropout": 0.2, "units": (8,)}, True),
        ({"by_cell": {"gru": {"dropout": 0.2}}}, True),
        ({"dropout": 0.2, "num_layers": 2}, False),
        ({"dropout": 0.2, "units": (8, 4)}, False),
        ({"dropout": 0.2, "by_cell": {"gru": {"num_layers": 2}}}, False),
        ({"dropout": 0.2, "cells": ()}, False),
        ({}, False),
    ],
    ids=str,
)
def test_dropout_that_drops_nothing_is_among_the_cautions(options, said):
    comparison = Comparison(make_windows(load_series("nino12")), Settings(**options))
    assert (DROPPED in comparison.cautions) == said
