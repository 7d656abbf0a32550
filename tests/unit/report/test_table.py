import io
import json

import numpy as np
import pandas as pd
import pytest

from kseq import Comparison, from_frame, load_series, make_windows
from kseq.evaluation.model_result import ModelResult
from kseq.report.plot import plot_history
from kseq.report.table import render, shown_table, words

pytestmark = pytest.mark.above_backends


def compared(data, sizes=(0.3, 0.4, 0.5), **known):
    """Persistence and a cell whose members miss by so much."""
    comparison = Comparison(data)
    comparison.add_baselines(["persistence"])
    noise = np.random.default_rng(0).normal(size=data.test_y.shape)
    members = np.stack([data.test_y + size * noise for size in sizes])
    comparison.add(ModelResult("GRU", members, seeds=tuple(range(len(sizes))), parameters=3393, **known))
    return comparison


@pytest.fixture(scope="module")
def data():
    return make_windows(load_series("nino12"))


@pytest.fixture(scope="module")
def around_zero():
    """A series that takes both signs."""
    frame = pd.DataFrame({"y": np.sin(np.arange(120.0))}, pd.date_range("2000-01-01", periods=120, freq="MS"))
    return make_windows(from_frame(frame))


def test_shown_table_is_rounded_and_says_the_unit(data):
    comparison = compared(data, epochs=(10, 11, 12), seconds_per_epoch=0.03, members_at_once=3)
    shown = shown_table(comparison)
    assert list(shown) == [
        "model", "parameters", "MAE, °C", "RMSE, °C", "MAPE, %", "skill", "group", "best?", "epochs",
        "ms/epoch/seed",
    ]  # fmt: skip
    assert shown.iloc[0].tolist() == ["Persistence", "–", "0.984", "1.164", "4.22", "+0.000", "b", "–", "–", "–"]
    line = comparison.table.iloc[1]
    assert shown.iloc[1].tolist() == [
        "GRU", "3,393", f"{line['mae']:.3f} ± {line['mae_std']:.3f}", f"{line['rmse']:.3f} ± {line['rmse_std']:.3f}",
        f"{line['mape']:.2f} ± {line['mape_std']:.2f}", f"{line['skill']:+.3f}", "a", "yes", "11",
        "10.0",
    ]  # fmt: skip


def test_one_seed_has_no_spread(data):
    assert "±" not in shown_table(compared(data, (0.3,))).to_string()
    assert "standard deviation" not in words(compared(data, (0.3,)))


def test_mape_is_left_out_with_its_reason(around_zero, data):
    table = render(compared(around_zero))
    assert shown_table(compared(around_zero))["MAPE, %"].tolist() == ["n/a", "n/a"]
    assert "MAPE is n/a: targets take both signs." in table
    assert "n/a" not in render(compared(data))


def test_words_stand_under_the_table_in_order(data):
    comparison = compared(data)
    lines = render(comparison).splitlines()
    heads = [lines.index(head) for head in ("Verdict", "Beware", "Reading the table")]
    assert heads == sorted(heads)
    assert lines[heads[0] - 1] == ""
    assert all(len(line) <= 100 for line in lines[heads[0] :])
    text = " ".join(" ".join(lines).split())
    assert all(f"- {sentence}" in text for sentence in (*comparison.verdict, *comparison.cautions))


def test_a_head_without_sentences_is_left_out(data):
    comparison = Comparison(data)
    comparison.add_baselines(["persistence"])
    assert comparison.verdict == []
    assert "Verdict" not in render(comparison)


@pytest.mark.parametrize("horizon", [1, 3])
def test_words_say_what_was_measured(horizon):
    comparison = compared(make_windows(load_series("nino12"), horizon=horizon))
    assert ("windows of 3 steps" in words(comparison)) == (horizon == 3)
    assert "mean ± standard deviation over 3 seeds" in words(comparison)
    uneven = compared(make_windows(load_series("nino12"), horizon=horizon))
    fewer = compared(make_windows(load_series("nino12"), horizon=horizon), (0.3, 0.4)).rows[1]
    fewer.name = "LSTM"
    uneven.add(fewer)
    assert "over 2 to 3 seeds" in words(uneven)


def test_means_of_members_are_explained_where_there_are_some(data):
    comparison = compared(data)
    assert "an ensemble" not in words(comparison)
    comparison.add_means()
    assert "x3 mean: the mean forecast of 3 seeds, an ensemble that takes all their trainings" in words(comparison)


def test_skill_is_explained_where_there_is_some(data):
    assert "below that of Persistence" in words(compared(data))
    comparison = Comparison(data)
    comparison.add(compared(data).rows[1])
    assert "skill:" not in words(comparison)
    assert shown_table(comparison)["skill"].tolist() == ["–"]


def test_numbers_in_full(data):
    comparison = compared(data)
    table = comparison.table
    read = pd.read_csv(io.StringIO(render(comparison, "csv")), keep_default_na=True)
    pd.testing.assert_frame_equal(read[["mae", "rmse", "r2"]], table[["mae", "rmse", "r2"]])
    assert list(read) == list(table)
    rows = json.loads(render(comparison, "json"))
    assert rows[1]["mae"] == pytest.approx(table.loc[1, "mae"], rel=1e-14)
    assert rows[0]["mae_std"] is None


def lines_of(axes):
    """Lines by the name that the legend gives them."""
    return {line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")}


def test_picture_shows_cells_beside_the_best_baseline_and_baselines_apart(data):
    comparison = compared(data)
    comparison.add_baselines(["climatology"])
    comparison.add_means()
    above, below = comparison.plot().axes
    assert list(lines_of(above)) == ["actual", "GRU", "Climatology + last anomaly"]
    assert list(lines_of(below)) == ["actual", "Persistence", "Climatology + last anomaly"]
    np.testing.assert_array_equal(lines_of(above)["actual"].get_ydata(), data.test_y[:, 0, 0])
    mean = comparison.rows[1].predictions.mean(axis=0)[:, 0, 0]
    np.testing.assert_array_equal(lines_of(above)["GRU"].get_ydata(), mean)
    assert above.get_ylabel() == "sst, °C"
    assert above.get_title("left") == "nino12: 147 test points, one step ahead"
    drawn = [(line.get_color(), line.get_linestyle()) for line in lines_of(below).values()]
    assert len(set(drawn)) == len(drawn)


def test_one_baseline_needs_no_axes_of_its_own(data):
    (axes,) = compared(data).plot().axes
    assert list(lines_of(axes)) == ["actual", "GRU", "Persistence"]
    alone = Comparison(data)
    alone.add_baselines(["persistence", "climatology"])
    (axes,) = alone.plot().axes
    assert list(lines_of(axes)) == ["actual", "Persistence", "Climatology + last anomaly"]


def test_members_that_diverged_are_not_drawn(data):
    comparison = compared(data)
    comparison.rows[1].predictions[0] = np.nan
    comparison.add(comparison.rows[1])
    (axes,) = comparison.plot().axes
    assert np.isfinite(lines_of(axes)["GRU"].get_ydata()).all()
    comparison.rows[1].predictions[:] = np.nan
    comparison.add(comparison.rows[1])
    (axes,) = comparison.plot().axes
    assert list(lines_of(axes)) == ["actual", "Persistence"]


def test_a_long_test_part_is_shown_whole_and_close():
    y = 20 + np.sin(np.arange(1200) / 9)
    long = compared(make_windows(from_frame(pd.DataFrame({"y": y})), horizon=2))
    whole, close = long.plot().axes
    assert whole.get_title("left") == "series: 239 test points, first of 2 steps ahead"
    assert close.get_title("left") == "the last 100 points"
    assert close.get_xlabel() == "row"
    assert [len(line.get_ydata()) for line in lines_of(close).values()] == [100] * 3
    np.testing.assert_array_equal(lines_of(close)["actual"].get_xdata(), np.arange(1200)[-101:-1])


def test_learning_curves_end_where_half_of_the_seeds_do(data):
    loss = np.array([[4.0, 3.0, 2.0], [5.0, 4.0, np.nan], [6.0, np.nan, np.nan]])
    comparison = compared(data, epochs=(3, 2, 1), history={"loss": loss, "val_loss": 2 * loss})
    (axes,) = plot_history(comparison).axes
    curves = lines_of(axes)
    assert list(curves) == ["training", "validation"]
    assert curves["training"].get_ydata().tolist() == [5.0, 3.5]
    assert curves["validation"].get_ydata().tolist() == [10.0, 7.0]
    assert axes.get_title("left") == "GRU, 3 seeds"
    assert axes.get_legend().get_title().get_text() == "mean and range of seeds"


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_learning_curves_without_a_number_or_a_validation_part(data, loss):
    comparison = compared(data, (0.3,), epochs=(1,), history={"loss": np.array([[loss]])})
    figure = plot_history(comparison)
    figure.savefig(io.BytesIO())
    assert figure.axes[0].get_title("left") == "GRU, 1 seed"
    assert list(lines_of(figure.axes[0])) == ["training"]


def with_validation(comparison, sizes):
    """Give the last row forecasts of the validation part that miss by so much."""
    data, row = comparison.data, comparison.rows[-1]
    y = data.series.y[data.validation.target_rows]
    row.validation = np.stack([y + size * np.random.default_rng(1).normal(size=y.shape) for size in sizes])
    comparison.add(row)
    return comparison


def test_the_best_cell_alone_has_bands(data):
    comparison = with_validation(compared(data), (0.3, 0.4, 0.5))
    worse = compared(data, (3.0, 4.0)).rows[1]
    worse.name = "LSTM"
    comparison.add(worse)
    with_validation(comparison, (3.0, 4.0))
    (axes,) = comparison.plot().axes
    wide, narrow = axes.collections
    assert wide.get_label() == "80 and 95 % intervals, GRU"
    assert narrow.get_label().startswith("_")
    # The band is that of the mean forecast, which the line shows.
    mean = comparison.rows[1].mean_of_members()
    band = comparison.intervals(mean)[95]
    heights = wide.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (pytest.approx(band.lo.min()), pytest.approx(band.hi.max()))


def test_no_band_without_intervals(data):
    (axes,) = compared(data).plot().axes
    assert not axes.collections
    (axes,) = with_validation(compared(data, (0.3,)), (0.3,)).plot().axes
    assert len(axes.collections) == 2
