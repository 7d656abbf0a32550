import io

import numpy as np
import pytest

from kseq.bench.measured import TOLERANCE, WORKLOADS, Bench, Measurement
from kseq.report.bench import bench_table, plot_bench

pytestmark = [pytest.mark.above_backends, pytest.mark.pictures]

MACHINE = {
    "processor": "A processor", "cores": 2, "device": "cpu", "system": "Linux x86_64", "backend": "torch",
    "versions": {}, "threads": {"OMP_NUM_THREADS": "1"},
}  # fmt: skip


def measured(*measurements):
    """A bench of (contender, members, seconds, difference)."""
    return Bench(
        [
            Measurement("short", "gru", contender, members, first=1.0, seconds=seconds, difference=difference)
            for contender, members, seconds, difference in measurements
        ],
        peak=5e9,
        machine=MACHINE,
    )


FAIR = [("stock Keras", 1, [0.3, 0.5], 0.0), ("kseq", 1, [0.1, 0.1], 1e-6)]


def cells(line):
    """A line's words between gaps of at least two blanks."""
    return [part.strip() for part in line.split("  ") if part.strip()]


def test_table_says_time_spread_ratio_and_share():
    text = bench_table(measured(*FAIR))
    lines = text.splitlines()
    share = 100 * WORKLOADS["short"].operations("gru") / 0.4 / 5e9
    assert cells(lines[0])[-2:] == ["kseq is faster", "of peak"]
    assert cells(next(line for line in lines if "stock Keras" in line)) == [
        "short", "GRU", "stock Keras", "400.00", "300.00-500.00", "1.00", "4.00x", f"{share:.1f} %",
    ]  # fmt: skip
    assert lines[-1] == "A processor, 2 cores, 5 GFLOP/s measured peak; torch on cpu, OMP_NUM_THREADS=1"
    assert "seeds" not in lines[0]
    assert "not equal" not in text


def test_beside_a_builder_each_row_says_its_share_and_its_step():
    bench = measured(*FAIR, ("builder", 1, [0.2, 0.2], 0.0), ("plain arrays", 1, [0.3, 0.3], 0.0))
    bench.measurements[-1].step = "compiled epoch"
    lines = bench_table(bench).splitlines()
    assert cells(lines[0])[-4:] == ["kseq is faster", "builder's time", "step", "of peak"]
    found = {cells(line)[2]: cells(line)[-4:-1] for line in lines[2:6]}
    assert found["plain arrays"] == ["3.00x", "1.50x", "compiled epoch"]
    assert found["builder"] == ["2.00x", "1.00x", "–"]
    assert found["stock Keras"][1:] == ["2.00x", "–"]


@pytest.mark.parametrize("difference", [2 * TOLERANCE, float("nan")])
def test_no_speed_up_where_forecasts_differ(difference):
    bench = measured(FAIR[0], ("kseq", 1, [0.1, 0.1], difference))
    text = bench_table(bench)
    assert "not equal" in text
    assert "x " not in text.replace("x86", "")
    figure = plot_bench(bench)
    figure.savefig(io.BytesIO())
    (axes,) = figure.axes
    assert not any(np.isfinite(bar.get_height()) for bar in axes.patches)
    assert [text.get_text() for text in axes.texts if text.get_text()] == ["not equal"]


def test_seeds_have_a_column_where_some_train_together():
    bench = measured(*FAIR, ("stock Keras", 5, [0.4], 0.0), ("two processes", 5, [0.2], 0.0), ("kseq", 5, [0.05], 0.0))
    bench.measurements[3].first = float("nan")
    text = bench_table(bench)
    assert "seeds" in text.splitlines()[0]
    line = next(line for line in text.splitlines() if "two processes" in line)
    assert cells(line)[2:] == [
        "5", "two processes", "200.00", "200.00-200.00", "–", "4.00x", cells(line)[-1],
    ]  # fmt: skip
    (axes,) = plot_bench(bench).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["GRU\nshort\n1 seeds", "GRU\nshort\n5 seeds"]


def test_picture_has_a_bar_a_contender():
    (axes,) = plot_bench(measured(*FAIR)).axes
    heights = {bars.get_label(): [bar.get_height() for bar in bars] for bars in axes.containers}
    assert heights == {"kseq": [1.0], "stock Keras": [pytest.approx(4.0)]}
    assert axes.get_title("left") == "torch on cpu, A processor"
    assert [text.get_text() for text in axes.texts] == ["", "4.0"]
