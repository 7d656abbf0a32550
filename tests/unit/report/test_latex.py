"""Tables for LaTeX."""

import pandas as pd

from kseq.report.table import latex


def test_a_table_with_the_rules_of_booktabs():
    shown = pd.DataFrame({"model": ["LSTM", "AR(12)"], "MAE, °C": ["0.367 ± 0.002", "0.423"], "group": ["a", "b"]})
    lines = latex(shown, "nino12").splitlines()
    assert lines[0] == r"\begin{table}"
    assert r"\caption{nino12 Rows that share a letter do not differ.}" in lines
    assert r"\begin{tabular}{lr}" in lines
    assert lines[5] == r"model & MAE, $^{\circ}$C \\"
    assert r"LSTM\textsuperscript{a} & 0.367 $\pm$ 0.002 \\" in lines
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert lines.count(rule) == 1


def test_signs_that_mean_something_to_latex_are_text():
    shown = pd.DataFrame({"model": [r"50%_of $x$ & {y} #1 ~^\z"], "MAE": ["–"]})
    (line,) = [line for line in latex(shown, "").splitlines() if "50" in line]
    expected = r"50\%\_of \$x\$ \& \{y\} \#1 \textasciitilde{}\textasciicircum{}\textbackslash{}z & -- \\"
    assert line == expected


def test_negative_numbers_have_a_minus_and_names_keep_their_hyphens():
    shown = pd.DataFrame({"model": ["lag-1", "AR-2"], "skill": ["-0.143", "1e-05"], "best on": ["2001-02", "-1 ± 2"]})
    rows = [line for line in latex(shown, "").splitlines() if line.endswith(r"\\")][1:]
    assert rows == [r"lag-1 & $-$0.143 & 2001-02 \\", r"AR-2 & 1e-05 & $-$1 $\pm$ 2 \\"]
