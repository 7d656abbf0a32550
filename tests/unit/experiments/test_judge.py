import numpy as np
import pandas as pd
import pytest

import kseq
from kseq.errors import ConfigError, DataError

pytestmark = pytest.mark.above_backends

DATES = pd.date_range("2000-01-31", periods=120, freq="ME")


def truth(seed=0, level=10):
    rng = np.random.default_rng(seed)
    return level + 3 * np.sin(np.arange(120) * np.pi / 6) + rng.normal(0, 0.5, 120)


def train(ids=("a",)):
    return pd.concat([pd.DataFrame({"unique_id": id, "ds": DATES, "y": truth(n)}) for n, id in enumerate(ids)])


def validated(ids=("a",), first=84, steps=6):
    """A frame as cross_validation of statsforecast and neuralforecast returns it."""
    rng, parts = np.random.default_rng(9), []
    for number, id in enumerate(ids):
        y = truth(number)
        for start in range(first, 115, steps):
            rows = slice(start, start + steps)
            good = y[rows] + rng.normal(0, 0.3, steps)
            parts.append(pd.DataFrame({"unique_id": id, "ds": DATES[rows], "cutoff": DATES[start - 1],
                                       "AutoARIMA": good, "AutoARIMA-lo-80": good - 0.5, "AutoARIMA-hi-80": good + 0.5,
                                       "SeasonalNaive": y[start - 12 : start - 12 + steps], "y": y[rows]}))  # fmt: skip
    return pd.concat(parts)


def test_frames_of_nixtlas_packages():
    judged = kseq.judge(validated(), train(), season=12)
    table = judged.table.set_index("model")
    assert table["kind"].to_dict() == {"AutoARIMA": "model", "SeasonalNaive": "baseline"}
    assert table.loc["AutoARIMA", "coverage_80"] == pytest.approx(90, abs=12)
    assert judged.verdict[-1].startswith("Use AutoARIMA: ")
    several = kseq.judge(validated(("a", "b", "c")), train(("a", "b", "c")))
    assert several.measure == "mase"
    assert any("over 3 series and over 6 origin dates" in text for text in several.verdict)


def test_frames_of_skforecast_and_darts_take_their_truth_from_the_series(tmp_path):
    y, known = truth(), train()
    folds = pd.DataFrame({"fold": np.arange(36) // 6, "pred": y[84:] + 0.1, "lower_bound": y[84:]}, DATES[84:])
    judged = kseq.judge(folds, known)
    assert (judged.data.horizon, judged.table["mae"].tolist()) == (6, pytest.approx([0.1]))
    assert any("lower_bound" in text for text in judged.cautions)
    folds.to_csv(tmp_path / "pred.csv")
    assert kseq.judge(tmp_path / "pred.csv", known).table["mae"].tolist() == pytest.approx([0.1])
    pd.DataFrame({"sales": y[84:] + 0.2}, DATES[84:]).to_csv(tmp_path / "darts.csv")
    assert kseq.judge(tmp_path / "darts.csv", known).table["mae"].tolist() == pytest.approx([0.2])


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_numbers_of_rows_are_no_model(tmp_path, ending):
    made = validated()
    for number, frame in enumerate((made.reset_index(drop=True), made.reset_index(), made.reset_index().reset_index())):
        path = tmp_path / f"made {number}.{ending}"
        frame.to_csv(path) if ending == "csv" else frame.to_parquet(path)
        assert set(kseq.judge(path, train()).table["model"]) == {"AutoARIMA", "SeasonalNaive"}


@pytest.mark.parametrize("by", ["frame", "csv"])
@pytest.mark.parametrize("zones", [("Europe/Berlin", None), (None, "Europe/Berlin"), ("UTC", "Europe/Berlin")])
def test_dates_with_a_time_zone(tmp_path, by, zones):
    made, known = (part.copy() for part in (validated(), train()))
    for frame, zone in ((made, zones[0]), (known, zones[1])):
        for name in ("ds", "cutoff"):
            if name in frame and zone is not None:
                dates = frame[name].dt.tz_localize("Europe/Berlin")
                frame[name] = dates.dt.tz_convert(zone)
    for without in (made, made.drop(columns="y")):
        if by == "csv":
            without.to_csv(tmp_path / "made.csv", index=False)
            # A clock that is changed twice a year is in text no single zone.
            if zones[0] == "Europe/Berlin":
                continue
            judged = kseq.judge(tmp_path / "made.csv", known, season=12)
        else:
            judged = kseq.judge(without, known, season=12)
        expected = kseq.judge(validated(), train(), season=12)
        assert judged.table["mase"].tolist() == pytest.approx(expected.table["mase"].tolist())


def test_the_clock_of_a_zone_in_text_is_read_as_utc(tmp_path):
    made, known = validated(), train()
    for frame in (made, known):
        for name in {"ds", "cutoff"} & set(frame):
            frame[name] = frame[name].dt.tz_localize("Europe/Berlin")
        frame.to_csv(tmp_path / f"{len(frame.columns)}.csv", index=False)
    judged = kseq.judge(tmp_path / f"{len(made.columns)}.csv", tmp_path / "3.csv", season=12)
    expected = kseq.judge(validated(), train(), season=12)
    assert judged.table["mase"].tolist() == pytest.approx(expected.table["mase"].tolist())


@pytest.mark.parametrize("by", ["frame", "csv"])
def test_training_rows_with_a_column_a_series(tmp_path, by):
    made, known = validated(("a", "b")), train(("a", "b"))
    wide = known.pivot_table(index="ds", columns="unique_id", values="y").assign(unasked=1.0)
    if by == "csv":
        wide.to_csv(tmp_path / "wide.csv")
    judged = kseq.judge(made.drop(columns="y"), tmp_path / "wide.csv" if by == "csv" else wide)
    assert judged.table["mase"].tolist() == pytest.approx(kseq.judge(made, known).table["mase"].tolist())


def test_arrays_and_seeds():
    y = truth()
    judged = kseq.judge({"good": y + 0.1, "Naive": np.zeros(120)}, truth=y)
    assert judged.best.name == "good"
    assert any("No training rows" in text for text in judged.cautions)
    seeds = pd.DataFrame({"ds": DATES, "y": y, "Net (seed 1)": y + 0.1, "Net (seed 4)": y + 0.3, "Naive": y + 1})
    row = kseq.judge(seeds).table.set_index("model").loc["Net"]
    assert (row["mae"], row["mae_std"]) == (pytest.approx(0.2), pytest.approx(0.1 * 2**0.5))
    long = pd.concat([pd.DataFrame({"ds": DATES, "y": y, "Net": y + 0.1 * (1 + n), "seed": n}) for n in range(3)])
    assert kseq.judge(long).table.set_index("model").loc["Net", "mae"] == pytest.approx(0.2)


def test_what_cannot_be_judged_is_said():
    frame = validated().reset_index(drop=True)
    frame.loc[:3, "AutoARIMA"] = np.nan
    judged = kseq.judge(frame, train())
    assert any(text == "AutoARIMA has no forecast for 4 of 36 points." for text in judged.cautions)
    assert any("on the 32 points that they share" in text for text in judged.cautions)
    one = validated(first=84, steps=31)
    assert any("from one origin" in text for text in kseq.judge(one, train()).cautions)
    assert not any("from one origin" in text for text in judged.cautions)
    seeded = validated().rename(columns={"AutoARIMA": "Net (seed 3)"})
    said = "One seed of Net says nothing of the noise between trainings."
    assert said in kseq.judge(seeded, train()).cautions
    assert said not in kseq.judge(seeded.assign(**{"Net (seed 4)": 11.0}), train()).cautions
    with pytest.raises(DataError, match=r"received training rows of b .* and forecasts of a, c "):
        kseq.judge(pd.concat([frame, frame.assign(unique_id="c")]), train().assign(unique_id="b"))
    with pytest.raises(DataError, match="received metric mase and no rows before the forecasts"):
        kseq.judge(frame, metric="mase")
    with pytest.raises(DataError, match="without y and no training rows"):
        kseq.judge(frame.drop(columns="y"))
    with pytest.raises(DataError, match="points twice"):
        kseq.judge(pd.concat([frame, frame]), train())
    with pytest.raises(ConfigError, match="received baselines ETS"):
        kseq.judge(frame, train(), baselines=["ETS"])
    with pytest.raises(ConfigError, match="received metric 'mea'"):
        kseq.judge(frame, train(), metric="mea")


def test_files_of_many_seeds_and_bounds(tmp_path):
    # pandas warns of frames in more than a hundred pieces, and warnings are errors here.
    columns = validated()[["unique_id", "ds", "cutoff", "y"]].to_dict("list")
    for seed in range(40):
        name = f"Net (seed {seed})"
        columns[name] = [value + seed for value in columns["y"]]
        columns |= {f"{name}-lo-80": [0.0] * 36, f"{name}-hi-80": [99.0] * 36}
    frame = pd.DataFrame(columns)
    frame.to_csv(tmp_path / "made.csv", index=False)
    for given in (None, train()):
        (row,) = kseq.judge(tmp_path / "made.csv", given).table.to_dict("records")
        assert (row["mae"], row["coverage_80"]) == (pytest.approx(19.5), 100)
