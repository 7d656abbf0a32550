import numpy as np
import pandas as pd
import pytest

from kseq import DataError, Panel, from_frame, panel_from_frame, read_panel

pytestmark = pytest.mark.above_backends

LENGTH = 20
DAYS = pd.date_range("2001-01-01", periods=LENGTH)


def long(drop=(), **columns):
    """Three series of twenty days, a to c, with covariates; without some of the rows."""
    parts = [
        pd.DataFrame({
            "unique_id": "abc"[i], "ds": DAYS, "y": np.arange(LENGTH) + 100.0 * i,
            "wind": np.arange(LENGTH) % 5, "price": np.arange(LENGTH) * 2.0, "size": i * 1.5, "kind": "xyx"[i],
        })
        for i in range(3)
    ]  # fmt: skip
    frame = pd.concat(parts, ignore_index=True).assign(**columns)
    return frame.drop(index=list(drop))


WIDE = pd.DataFrame({id: np.arange(LENGTH) + 100.0 * i for i, id in enumerate("abc")}, index=DAYS)


def test_series_stand_one_after_another():
    panel = panel_from_frame(long(), target="y", features=["wind"], future=["price"], static=["size", "kind"])
    assert panel.ids.tolist() == ["a", "b", "c"]
    assert panel.borders.tolist() == [0, 20, 40, 60]
    assert panel.ends.tolist() == [20, 40, 60]
    assert len(panel) == 60
    assert panel.values.dtype == np.float64
    assert panel.columns == ["y", "wind", "price"]
    assert (panel.targets, panel.features, panel.future) == (("y",), ("wind",), ("price",))
    assert panel.y[[0, 20, 59], 0].tolist() == [0, 100, 219]
    assert np.shares_memory(panel.values_of(["wind", "price"]), panel.values)
    assert panel.values_of(["price", "y"])[21].tolist() == [2, 101]
    assert panel.static["size"].tolist() == [0, 1.5, 3]
    assert panel.static["kind"].tolist() == ["x", "y", "x"]
    assert panel.static["kind"].dtype == "category"
    assert panel.step == "daily"
    assert panel.series_of(np.array([0, 19, 20, 59])).tolist() == [0, 0, 1, 2]
    assert panel.stretches.tolist() == [[0, 20], [20, 40], [40, 60]]
    assert not panel.notes


def test_the_order_of_series_in_a_file_does_not_matter():
    panel = panel_from_frame(long(), target="y", static=["kind"])
    for frame in (long().sort_values(["ds", "unique_id"]), long().iloc[np.r_[40:60, 0:40]]):
        again = panel_from_frame(frame, target="y", static=["kind"])
        assert again.fingerprint == panel.fingerprint
        pd.testing.assert_frame_equal(again.static, panel.static)
        assert again.index.equals(panel.index)


def test_fingerprint_changes_with_each_part():
    def fingerprint(frame, static=("size",)):
        return panel_from_frame(frame, target="y", static=static).fingerprint

    changed = [
        long(y=np.arange(60.0)), long(ds=long()["ds"] + pd.Timedelta(days=1)), long(drop=[59]),
        long(unique_id=long()["unique_id"] + "x"), long(size=2.0),
    ]  # fmt: skip
    assert len({fingerprint(frame) for frame in (long(), *changed)} | {fingerprint(long(), ())}) == 7


def test_one_series_of_a_panel_is_a_series():
    panel = panel_from_frame(long(drop=[25]), target="y", features=["wind"], static=["size"], unit="m")
    one, alone = panel.one("b"), from_frame(long(drop=[25]), target="y", features=["wind"], static=["size"], series="b")
    pd.testing.assert_frame_equal(one.frame, alone.frame)
    assert one.name == alone.name == "b"
    assert one.unit == "m"
    assert one.gaps.tolist() == alone.gaps.tolist() == [5]
    assert one.static["size"].item() == alone.static["size"].item() == 1.5
    with pytest.raises(DataError, match="received series 'd', expected one of its 3 series"):
        panel.one("d")


def test_gaps_of_a_panel():
    panel = panel_from_frame(long(drop=[4, 25, 26, 39]), target="y")
    assert panel.borders.tolist() == [0, 19, 36, 56]
    assert panel.gaps.tolist() == [4, 24]
    assert panel.lengths.tolist() == [19, 17, 20]
    assert panel.stretches.tolist() == [[0, 4], [4, 19], [19, 24], [24, 36], [36, 56]]
    assert panel.notes == (
        "3 dates are missing in 2 places (time step: daily): first before series 'a', 2001-01-06; most, 2, before "
        "series 'b', 2001-01-08.",
    )


def test_what_is_known_ahead():
    frame = long(y=long()["y"].where(long()["ds"] <= "2001-01-15"))
    panel = panel_from_frame(frame, target="y", future=["price"])
    assert panel.ends.tolist() == [15, 35, 55]
    assert panel.stretches.tolist() == [[0, 15], [20, 35], [40, 55]]
    assert not len(panel.missing)
    assert panel.values_of(["price"])[panel.ends, 0].tolist() == [30] * 3
    assert panel.one("b").ahead["price"].tolist()[:2] == [30, 32]
    assert (len(panel.one("b")), len(panel.one("b").ahead)) == (15, 5)


def test_a_panel_of_one_is_the_series():
    frame = long(y=long()["y"].where(long()["ds"] <= "2001-01-15"))
    panel = panel_from_frame(frame, target="y", future=["price"], static=["size", "kind"])
    series = panel.one("b")
    alone = Panel.of(series)
    assert (len(alone), alone.ends.tolist(), alone.borders.tolist()) == (20, [15], [0, 20])
    np.testing.assert_array_equal(alone.values, panel.values[20:40])
    assert alone.index.tolist() == panel.index[20:40].tolist()
    assert alone.stretches.tolist() == series.stretches.tolist()
    assert alone.fingerprint == series.fingerprint
    back = alone.one("b")
    pd.testing.assert_frame_equal(back.frame, series.frame)
    pd.testing.assert_frame_equal(back.ahead, series.ahead)
    assert Panel.of(panel) is panel


def test_values_far_from_zero_keep_their_digits():
    meter = 1.2e9 + np.arange(40.0) * 3
    panel = panel_from_frame(pd.DataFrame({"unique_id": "m", "y": meter}))
    assert panel.y[:, 0].tolist() == meter.tolist()


def test_ahead_of_one_series():
    frame = long(y=long()["y"].where(long()["ds"] <= "2001-01-15"))
    series = from_frame(frame, target="y", future=["price"], series="c")
    assert len(series) == 15
    assert series.future == ("price",)
    assert series.ahead["price"].tolist() == [30, 32, 34, 36, 38]
    assert str(series.ahead.index[0].date()) == "2001-01-16"
    assert from_frame(long(), target="y", series="c").fingerprint != series.fingerprint


@pytest.mark.parametrize(
    ("change", "options", "expected"),
    [
        ({"drop": [25]}, {"freq": "MS"}, "dates do not fit freq MS (first: series 'a', 2001-01-02)"),
        ({"y": np.where(np.arange(60) == 25, np.inf, 1.0)}, {}, "1 infinite values (first in column 'y', series 'b'"),
        ({"y": ["warm" if row == 25 else "1" for row in range(60)]}, {}, "holds text ('warm' in row 25, 1 in all)"),
        ({"unique_id": [None, *"b" * 59]}, {}, "no id in row 0 of column 'unique_id'"),
        ({"unique_id": pd.Series([1] * 20 + ["1"] * 40, dtype=object)}, {}, "ids that are alike as text ('1'"),
        ({"y": 1.0}, {}, "target 'y' is constant in every series (1 in all 20 rows from series 'a', 2001-01-01 on)"),
        ({}, {"static": ["wind"]}, "static covariate 'wind' is not the same in all rows of series 'a' (0, then 1)"),
        ({"kind": [None] * 60}, {"static": ["kind"]}, "static covariate 'kind' is not the same"),
        ({}, {"static": ["wind"], "features": ["wind"]}, "received 'wind' as static covariate and as column"),
        ({}, {"future": ["y"]}, "received 'y' as target and as future covariate, expected one of the two"),
        ({}, {"features": ["wind"], "future": ["wind"]}, "received 'wind' as past covariate and as future covariate"),
        ({}, {"id": "shop"}, "received column 'shop', expected one of: unique_id, ds"),
        ({"price": long()["price"].where(np.arange(60) < 58)}, {"future": ["price"]},
         "'price' ends 2 rows before the target does in 1 of 3 series (first: series 'c', 2001-01-19)"),
        ({"price": long()["price"].where(np.arange(60) < 59), "y": long()["y"].where(np.arange(60) < 58)},
         {"future": ["price"]},
         "'price' is missing in 1 of the 2 rows after the last target (first: series 'c', 2001-01-20)"),
        ({"y": long()["y"].where(long()["unique_id"] == "a")}, {"future": ["price"]},
         "2 of 3 series hold no target (first: series 'b', 2001-01-01)"),
        ({"y": long()["y"].where(np.arange(60) < 57), "drop": [58]}, {"future": ["price"]},
         "missing among the rows that are known ahead (first before series 'c', 2001-01-20)"),
    ],
)  # fmt: skip
def test_bad_panels_are_told_apart(change, options, expected):
    with pytest.raises(DataError) as error:
        panel_from_frame(long(**change), target="y", **options)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_repeated_and_unsorted_dates():
    frame = long()
    with pytest.raises(DataError) as error:
        panel_from_frame(pd.concat([frame, frame.iloc[[3, 25]]]).sort_values(["unique_id", "ds"]), target="y")
    assert str(error.value) == (
        "panel: 2 dates stand twice in their series (first: series 'a', 2001-01-04), expected one row for each "
        "unique_id and ds; remove or average the repeats."
    )
    with pytest.raises(DataError, match="2 dates stand twice"):
        panel_from_frame(pd.concat([frame, frame.iloc[[3, 25]]]), target="y")
    late = frame.iloc[[3, 25]]
    with pytest.raises(DataError) as error:
        panel_from_frame(pd.concat([frame.drop(index=late.index), late]), target="y")
    assert str(error.value) == (
        "panel: dates are not in order in 2 of 3 series (first: series 'a', 2001-01-04 stands after 2001-01-20); give "
        "sort=True to have the rows sorted by unique_id and ds."
    )


@pytest.mark.parametrize("weekly", [20, 6])
def test_a_series_of_another_frequency(weekly):
    other = pd.DataFrame({"unique_id": "w", "ds": pd.date_range("2001-01-01", periods=weekly, freq="W"), "y": 1.0})
    with pytest.raises(DataError) as error:
        panel_from_frame(pd.concat([long(), other]), target="y")
    assert str(error.value) == (
        "panel: 1 of 4 series differ in frequency from the rest (first: series 'w', 2001-01-07, weekly, the rest daily)"
        ", expected one; read them apart, or resample."
    )


def test_future_covariates_of_one_series_that_are_too_short():
    short = long(price=long()["price"].where(long()["ds"] < "2001-01-18"))
    with pytest.raises(DataError, match="future covariate 'price' ends 3 rows before the target does"):
        from_frame(short, target="y", future=["price"], series="a")
    ahead = short.assign(y=short["y"].where(short["ds"] < "2001-01-10"))
    with pytest.raises(
        DataError, match="future covariate 'price' is missing in 3 of the 11 rows after the last target"
    ):
        from_frame(ahead, target="y", future=["price"], series="a")
    later = long(drop=[12], y=long()["y"].where(long()["ds"] < "2001-01-10"))
    with pytest.raises(DataError, match=r"missing among the rows that are known ahead \(first before 2001-01-14"):
        from_frame(later, target="y", future=["price"], series="a")


def test_constant_series_are_told():
    panel = panel_from_frame(long(y=long()["y"].where(long()["unique_id"] != "b", 5.0)), target="y")
    assert panel.notes == ("1 of 3 series never vary (first: series 'b', 2001-01-01).",)


def test_series_of_one_row_and_of_two():
    panel = panel_from_frame(long(drop=[*range(1, 20), *range(22, 40)]), target="y")
    assert panel.lengths.tolist() == [1, 2, 20]
    assert panel.step == "daily"


def test_several_targets():
    panel = panel_from_frame(long(), target=["y", "price"])
    assert panel.y[21].tolist() == [101, 2]


def test_no_rows():
    with pytest.raises(DataError, match="received no rows"):
        panel_from_frame(long()[:0], target="y")


def test_a_bad_date_of_a_wide_frame_is_told_once():
    wide = WIDE.reset_index(drop=True).assign(ds=["soon" if row == 5 else f"2001-01-{row + 1:02}" for row in range(20)])
    with pytest.raises(DataError, match=r"column ds does not read as dates \('soon' in row 5, 1 in all"):
        panel_from_frame(wide)


def test_a_wide_frame_has_a_column_a_series():
    wide = WIDE.assign(rain=1.0)
    # c begins late and ends early.
    wide.iloc[:4, 2] = np.nan
    wide.iloc[-2:, 2] = np.nan
    for frame in (wide, wide.rename_axis("ds").reset_index()):
        panel = panel_from_frame(frame, target=["a", "b", "c"], features=["rain"])
        assert panel.ids.tolist() == ["a", "b", "c"]
        assert panel.lengths.tolist() == [20, 20, 14]
        assert panel.one("c").y[:, 0].tolist() == list(range(204, 218))
        assert str(panel.one("c").index[0].date()) == "2001-01-05"
        assert panel.features == ("rain",)
    assert panel_from_frame(wide).ids.tolist() == ["a", "b", "c", "rain"]
    with pytest.raises(DataError, match="received a wide frame with static covariates"):
        panel_from_frame(wide, static=["rain"])
    with pytest.raises(DataError, match="column 'd' holds no value"):
        panel_from_frame(wide.assign(d=np.nan))


def test_what_is_known_ahead_of_a_wide_frame():
    wide = WIDE.assign(price=np.arange(20.0))
    wide.iloc[-3:, :3] = np.nan
    panel = panel_from_frame(wide, future=["price"])
    assert panel.values_of(["price"])[panel.ends[:, None] + np.arange(3), 0].tolist() == [[17, 18, 19]] * 3


def test_frames_indexed_by_id():
    frame = long()[["unique_id", "ds", "y"]]
    for indexed in (frame.set_index("unique_id"), frame.set_index(["unique_id", "ds"])):
        assert panel_from_frame(indexed).fingerprint == panel_from_frame(frame).fingerprint


def test_rows_without_dates_are_numbered_within_their_series():
    panel = panel_from_frame(long()[["unique_id", "y"]])
    assert not panel.has_dates
    assert panel.index[[0, 19, 20, 59]].tolist() == [0, 19, 0, 19]
    assert panel.step == "rows"
    assert panel.fingerprint


def test_numbers_as_ids_are_sorted_as_numbers():
    frame = long(unique_id=np.repeat([10, 9, 100], LENGTH))
    panel = panel_from_frame(frame, target="y")
    assert panel.ids.tolist() == ["9", "10", "100"]
    assert panel.one(9).y[0, 0] == 100
    assert from_frame(frame, target="y", series="9").y[0, 0] == 100


def test_time_zones_are_kept():
    local = long(ds=(long()["ds"] + pd.Timedelta(days=80)).dt.tz_localize("Europe/Paris"))
    panel = panel_from_frame(local, target="y")
    assert str(panel.index.tz) == "Europe/Paris"
    assert panel.step == "daily"
    assert not len(panel.gaps)
    assert panel.index[0] == local["ds"].iloc[0]


def test_a_panel_out_of_a_csv_file(tmp_path):
    path = tmp_path / "shops.csv"
    long().to_csv(path, index=False)
    panel = read_panel(path, target="y", static=["kind"])
    assert panel.name == "shops"
    assert panel.source == "shops.csv"
    assert panel.fingerprint == panel_from_frame(long(), target="y", static=["kind"]).fingerprint


def test_parts_of_a_panel_must_fit():
    panel = panel_from_frame(long(), target="y")
    parts = {name: getattr(panel, name) for name in panel.__dataclass_fields__}
    with pytest.raises(DataError, match="received 60 dates, 3 borders, 3 ends"):
        Panel(**{**parts, "borders": panel.borders[:-1]})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "column 'unique_id' holds 3 series (a, b, c), expected one: choose it with series"),
        ({"series": "x"}, "received series 'x', expected one of the 3 in column 'unique_id': a, b, c."),
        ({"id": "kind", "series": "z"}, "expected one of the 2 in column 'kind': x, y"),
    ],
)
def test_one_series_of_many_must_be_named(options, expected):
    with pytest.raises(DataError) as error:
        from_frame(long(), target="y", **options)
    assert expected in str(error.value)


def test_a_series_needs_a_column_of_ids():
    with pytest.raises(DataError, match="received series 'a' and no column that tells series apart; name it with id"):
        from_frame(long().drop(columns="unique_id"), target="y", series="a")


def test_a_name_that_is_nearly_right():
    frame = long(unique_id=np.repeat(["north", "south", "west"], LENGTH))
    with pytest.raises(DataError, match="did you mean north"):
        from_frame(frame, target="y", series="nort")
