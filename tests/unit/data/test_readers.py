"""One path from a file to the data: a panel of one is the series, and nothing that should not matter does."""

import inspect
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kseq import DataError, from_frame, panel_from_frame, read_csv, read_panel, read_parquet
from kseq.data import _parquet, read_file

pytestmark = pytest.mark.above_backends

NAN = np.nan


@pytest.mark.parametrize("reader", [read_csv, read_parquet, read_panel, from_frame, panel_from_frame, read_file])
def test_every_option_of_a_reader_is_described_with_it(reader):
    described = re.findall(r"^ {8}(\w+): ", reader.__doc__.partition("Args:")[2].partition("Returns:")[0], re.MULTILINE)
    assert described == list(dict.fromkeys(described))
    assert set(described) == set(inspect.signature(reader).parameters)


def write(tmp_path, text):
    path = tmp_path / "file.csv"
    path.write_text(text)
    return path


def test_values_keep_their_last_digit(tmp_path):
    y = 2**30 + np.arange(40)
    dates = pd.date_range("2020-01-01", periods=40)
    frame = pd.DataFrame({"shop": ["a"] * 20 + ["b"] * 20, "ds": [*dates[:20], *dates[:20]], "y": y})
    frame.to_csv(tmp_path / "meter.csv", index=False)
    frame.to_parquet(tmp_path / "meter.parquet")
    for name in ("meter.csv", "meter.parquet"):
        assert read_panel(tmp_path / name, id="shop").y[:, 0].tolist() == y.tolist()


@pytest.mark.parametrize(
    ("written", "ids"),
    [
        (["001", "002"], ["001", "002"]),
        (["01", "1"], ["01", "1"]),
        (["NA", "null"], ["NA", "null"]),
        (["10", "9"], ["9", "10"]),
        (["1.50", "1.5"], ["1.5", "1.50"]),
        (["b", "10"], ["10", "b"]),
        (["True", "None"], ["None", "True"]),
        (["1e3", "999"], ["999", "1e3"]),
    ],
)
def test_ids_stay_as_they_are_written(tmp_path, written, ids):
    rows = [(id, day) for id in written for day in range(1, 6)]
    text = "unique_id,ds,y\n" + "".join(f"{id},2001-01-{day:02},{day * day}\n" for id, day in rows)
    panel = read_panel(write(tmp_path, text))
    assert panel.ids.tolist() == ids
    for id in ids:
        assert panel.one(id).y[:, 0].tolist() == [1, 4, 9, 16, 25]
        assert read_csv(write(tmp_path, text), series=id).name == id


def test_ids_of_a_file_and_of_its_frame_are_the_same(tmp_path):
    frame = pd.DataFrame({"shop": np.repeat([7, 12], 5), "y": np.arange(10.0)})
    frame.to_csv(tmp_path / "shops.csv", index=False)
    frame.to_parquet(tmp_path / "shops.parquet")
    files = (read_panel(tmp_path / name, id="shop") for name in ("shops.csv", "shops.parquet"))
    for panel in (*files, panel_from_frame(frame, id="shop")):
        assert panel.ids.tolist() == ["7", "12"]
    assert read_csv(tmp_path / "shops.csv", id="shop", series=12).y[0, 0] == 5


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_is_no_id(tmp_path, blank):
    with pytest.raises(DataError, match="no id in row 1 of column 'unique_id'"):
        read_panel(write(tmp_path, f"unique_id,y\na,1\n{blank},2\n"))
    with pytest.raises(DataError, match="no id in row 1 of column 'unique_id'"):
        panel_from_frame(pd.DataFrame({"unique_id": ["a", None], "y": [1.0, 2.0]}))


def test_a_row_is_named_by_its_number_in_the_file(tmp_path):
    text = "unique_id,ds,y\n" + "".join(f"{id},2001-01-{day:02},{day}\n" for day in range(1, 6) for id in "ab")
    with pytest.raises(DataError, match=r"holds text \('warm' in row 5, 1 in all"):
        read_csv(write(tmp_path, text.replace("b,2001-01-03,3", "b,2001-01-03,warm")), series="b")
    # What is wrong with another series does not matter.
    assert len(read_csv(write(tmp_path, text.replace("b,2001-01-03,3", "b,2001-01-03,warm")), target="y", series="a"))
    with pytest.raises(DataError, match="no date in row 7 of column ds"):
        read_csv(write(tmp_path, text.replace("b,2001-01-04", "b,")), series="b")


def test_a_later_batch_may_have_finer_dates(tmp_path, monkeypatch):
    monkeypatch.setattr(_parquet, "BATCH", 3)
    dates = [f"2001-01-01T00:00:0{second}" for second in range(3)] + [f"2001-01-01T00:00:0{3 + i}.5" for i in range(3)]
    pd.DataFrame({"unique_id": "a", "ds": dates, "y": [1.0, 2, 4, 3, 5, 6]}).to_parquet(tmp_path / "file.parquet")
    assert read_panel(tmp_path / "file.parquet").index[3] == pd.Timestamp("2001-01-01T00:00:03.5")


def same(one, other):
    """Whether two series hold the same, whatever they are called."""
    pd.testing.assert_frame_equal(one.frame, other.frame, check_names=False, check_freq=False)
    pd.testing.assert_frame_equal(one.ahead, other.ahead, check_names=False, check_freq=False)
    assert one.static.to_dict("list") == other.static.to_dict("list")
    assert (one.targets, one.features, one.future) == (other.targets, other.features, other.future)
    assert one.gaps.tolist() == other.gaps.tolist()
    assert one.missing.tolist() == other.missing.tolist()
    assert one.stretches.tolist() == other.stretches.tolist()
    assert one.fingerprint == other.fingerprint or one.ahead.index.name != other.ahead.index.name


@st.composite
def frames(draw, series=1):
    """Rows of some series: with or without dates, gaps, missing values, covariates and rows that are known ahead."""
    dated, wide = draw(st.booleans()), draw(st.booleans())
    parts = []
    for number in range(series):
        rows = draw(st.integers(8, 20))
        y = [1e9 + number, 2.0, *draw(st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=rows, max_size=rows))]
        part = pd.DataFrame({"unique_id": f"s{number}", "y": [NAN if value is None else float(value) for value in y]})
        part["wind"] = np.arange(len(y)) * 0.1 + number
        if wide:
            ahead = draw(st.integers(0, 3))
            part = part.reindex(range(len(y) + ahead)).assign(price=np.arange(len(y) + ahead) ** 2.0)
            part["unique_id"] = f"s{number}"
        part["size"] = number + 0.5
        if dated:
            days = pd.Series(pd.date_range("2001-03-01", periods=len(part) + 1))
            hole = draw(st.integers(5, len(y) - 1))
            part["ds"] = days.drop(index=hole).to_numpy() if draw(st.booleans()) else days[:-1].to_numpy()
            if wide and ahead:
                part["ds"] = days[:-1].to_numpy()
        parts.append(part)
    options = {"target": "y", "features": ["wind"], "static": ["size"], "future": ["price"] if wide else []}
    return pd.concat(parts, ignore_index=True), options


@settings(deadline=None, max_examples=40)
@given(drawn=frames(), fill=st.sampled_from(["ffill", "seasonal", "mask"]))
def test_a_panel_of_one_is_the_series(drawn, fill):
    frame, options = drawn
    panel = panel_from_frame(frame, fill=fill, season=3, **options)
    series = from_frame(frame, fill=fill, season=3, **options)
    same(panel.one("s0"), series)
    assert [*panel.notes] == [*series.notes]


@settings(deadline=None, max_examples=15)
@given(drawn=frames(series=3), fill=st.sampled_from(["ffill", "seasonal", "mask"]), random=st.randoms())
def test_series_do_not_touch_each_other_and_order_does_not_matter(drawn, fill, random):
    frame, options = drawn
    reading = {"fill": fill, "season": 3, "freq": "D", **options}
    panel = panel_from_frame(frame, **reading)
    # Each alone.
    for id in panel.ids:
        same(panel.one(id), from_frame(frame[frame["unique_id"] == id], **reading))
        same(panel.one(id), from_frame(frame, series=id, **reading))
    # Columns in any order, and series interleaved, each in the order of its own rows.
    columns, turn = list(frame), frame["unique_id"].tolist()
    random.shuffle(columns)
    random.shuffle(turn)
    following = {id: iter(rows.index) for id, rows in frame.groupby("unique_id")}
    mixed = frame.loc[[next(following[id]) for id in turn], columns].reset_index(drop=True)
    again = panel_from_frame(mixed, **reading)
    assert again.fingerprint == panel.fingerprint
    assert again.ends.tolist() == panel.ends.tolist()
    pd.testing.assert_frame_equal(again.static, panel.static)
    # Other values of one series change nothing in the others.
    other = frame.assign(y=frame["y"].where(frame["unique_id"] != "s1", frame["y"] * 3 + 1))
    changed = panel_from_frame(other, **reading)
    for id in ("s0", "s2"):
        same(changed.one(id), panel.one(id))


def test_a_file_of_one_series_is_that_series_through_every_door(tmp_path):
    dates = pd.date_range("2001-01-01", periods=30)
    frame = pd.DataFrame({"unique_id": "a", "ds": dates, "y": np.arange(30.0) % 7, "wind": np.arange(30) / 3})
    frame.to_csv(tmp_path / "file.csv", index=False)
    frame.to_parquet(tmp_path / "file.parquet")
    roles = {"target": "y", "features": ["wind"]}
    expected = from_frame(frame, **roles)
    for read in (read_csv, read_parquet, read_file, read_panel):
        for path in (tmp_path / "file.csv", tmp_path / "file.parquet"):
            if (read, path.suffix) in ((read_csv, ".parquet"), (read_parquet, ".csv")):
                continue
            data = read(path, **roles)
            same(data.one("a") if read is read_panel else data, expected)
