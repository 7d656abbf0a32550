"""The notebook of the examples runs, and its outputs are what a reader is to see."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

# No line is run here alone, and coverage takes half as long again.
pytestmark = [pytest.mark.above_backends, pytest.mark.no_cover, pytest.mark.long]

NOTEBOOK = Path(__file__).parents[2] / "examples" / "kseq.ipynb"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Outputs of each code cell, by its first line."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    folder = tmp_path_factory.mktemp("notebook")
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return {cell.source.splitlines()[0]: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}


def shown(outputs, start):
    """HTML of the last output of the cell that begins so."""
    cell = next(outputs[line] for line in outputs if line.startswith(start))
    return cell[-1]["data"]["text/html"]


def test_no_cell_prints_signs_for_a_terminal_or_a_warning(outputs):
    for cell in outputs.values():
        for output in cell:
            assert output.output_type in ("display_data", "execute_result"), output
            assert "\x1b" not in str(output)


def test_a_series_shows_what_was_read_and_its_rows(outputs):
    text = shown(outputs, "import kseq")
    assert "sst" in text
    assert "1950-01-01" in text
    assert "2010-12-01" in text


def test_the_progress_is_one_bar_that_ends_as_lines(outputs):
    cell = next(outputs[line] for line in outputs if line.startswith("budget"))
    assert len(cell) == 2
    bar = cell[0]["data"]["text/html"]
    assert re.search(r"LSTM, seeds 0-1: 3 epochs, [\d.]+ s", bar)
    assert "<progress" not in bar


def test_results_show_their_tables(outputs):
    assert "Persistence" in shown(outputs, "budget")
    assert "GRU-hi-95" in shown(outputs, "from kseq.forecasting")
    assert "vanishing gradient" in shown(outputs, "explanation = ")


@pytest.mark.parametrize("start", ["comparison.plot", "made.plot", "explanation.plot"])
def test_charts_are_shown_where_they_are_made(outputs, start):
    text = shown(outputs, start)
    assert text.startswith("<iframe srcdoc=")
    assert len(text) < 3_000_000
    # Nothing may be loaded from elsewhere.
    assert "default-src &#x27;none&#x27;" in text
