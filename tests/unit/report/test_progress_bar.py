"""A progress bar where there is no notebook, and the HTML of one."""

import pytest

from kseq import ProgressBar
from kseq.training.progress import Block

pytestmark = pytest.mark.above_backends


def test_outside_a_notebook_blocks_are_lines_and_epochs_are_silent(capsys):
    bar = ProgressBar()
    bar("LSTM, seeds 0-1", 1, 20)
    assert capsys.readouterr() == ("", "")
    bar.block_done(Block("LSTM, seeds 0-1", 2, (7, 20), 1.26))
    assert capsys.readouterr().err == "LSTM, seeds 0-1: 7-20 epochs, 1.3 s\n"


def test_the_bar_shows_what_runs_and_what_is_done_with_names_as_text():
    bar = ProgressBar()
    bar("<b>, seed 0", 3, 20)
    assert '<progress value="3" max="20"></progress> &lt;b&gt;, seed 0: 3 of 20' in bar._repr_html_()
    bar.block_done(Block("<b>, seed 0", 1, (20,), 1.0))
    assert bar._repr_html_() == "<div>&lt;b&gt;, seed 0: 20 epochs, 1.0 s</div>"
    assert repr(bar) == "<b>, seed 0: 20 epochs, 1.0 s"
