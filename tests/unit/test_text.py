import pandas as pd
import pytest

from kseq.report.table import aligned, markdown
from kseq.text import decimals_for, figure, shown, visible

pytestmark = pytest.mark.above_backends


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[2J\x07\r\n\t", r"\x1b[2J\x07\r\n\t"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u202eb\u2066c\u200fd\u2028e\ufeff", r"a\u202eb\u2066c\u200fd\u2028e\ufeff"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
        ("Niño °C 海 [red] 👩\u200d🚀", "Niño °C 海 [red] 👩\u200d🚀"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text, expected):
    assert visible(text) == expected


def test_lines_may_stay():
    assert visible("a\nb\x1b", keep="\n") == "a\nb\\x1b"


def test_long_values_are_shortened():
    assert len(shown("x" * 10**6)) < 100
    assert len(shown(10**5000)) < 100
    assert len(shown(10**100_000)) < 100
    assert shown("gru") == "'gru'"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.984, 1.055, 0.380], ["0.984", "1.055", "0.380"]),
        ([1e-9, 2.5e-9], ["1.00e-09", "2.50e-09"]),
        ([1e150, 3e149], ["1.00e+150", "3.00e+149"]),
        ([0.0123, 0.5], ["0.0123", "0.5000"]),
        ([123456.789, 2.0], ["123456.789", "2.000"]),
        ([0.0, float("nan"), 1.0], ["0.000", "nan", "1.000"]),
    ],
)
def test_a_column_has_as_many_digits_as_it_needs(values, expected):
    decimals = decimals_for(values)
    assert [figure(value, decimals) for value in values] == expected


def test_tables_hold_names_as_text():
    table = pd.DataFrame({"model": ["a|b\n<c>", "\x1b[31mred"], "MAE": ["1", "2"]})
    lines = markdown(table).split("\n")
    assert lines[2:] == [r"| a\|b\\n\<c> | 1 |", r"| \\x1b\[31mred | 2 |"]
    lines = aligned(table).split("\n")
    assert lines[2:] == [r"a|b\n<c>       1", r"\x1b[31mred    2"]
