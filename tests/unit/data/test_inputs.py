"""What a user has in hand: frames of several shapes and libraries, arrays, lists, names."""

import numpy as np
import pandas as pd
import pytest

import kseq
from kseq import DataError, Panel, Series
from kseq.data import series_of

pytestmark = pytest.mark.above_backends

ROWS = 60
DATES = pd.date_range("1999-03-01", periods=ROWS, freq="D")
Y = np.cos(np.arange(ROWS) / 4) + np.arange(ROWS) % 7


def long(*ids):
    return pd.concat([pd.DataFrame({"unique_id": id, "ds": DATES, "y": Y + n}) for n, id in enumerate(ids)])


ONE = {
    "ds and y": pd.DataFrame({"ds": DATES, "y": Y}),
    "dates as text": pd.DataFrame({"date": DATES.astype(str), "sales": Y}),
    "dates as index": pd.DataFrame({"load": Y}, DATES),
    "named index": pd.DataFrame({"load": Y}, DATES.rename("day")),
    "periods": pd.DataFrame({"load": Y}, DATES.to_period("D")),
    "text as index": pd.DataFrame({"load": Y}, pd.Index(DATES.astype(str), name="day")),
    "one id": long("north"),
    "one wide column": pd.DataFrame({"when": DATES, "north": Y}),
    "a series": pd.Series(Y, DATES, name="north"),
    "a dict": {"ds": DATES, "y": Y},
}


@pytest.mark.parametrize("given", ONE.values(), ids=ONE)
def test_one_series_with_dates(given):
    found = series_of(given)
    assert isinstance(found, Series)
    assert found.step == "daily"
    np.testing.assert_array_equal(found.y[:, 0], Y)
    assert found.index[0] == pd.Timestamp("1999-03-01")


NUMBERS = {
    "array": Y, "column": Y[:, None], "list": list(Y), "tuple": tuple(Y), "integers": np.arange(ROWS) % 7,
    "float32": Y.astype("float32"), "series": pd.Series(Y), "frame": pd.DataFrame({"y": Y}),
}  # fmt: skip


@pytest.mark.parametrize("given", NUMBERS.values(), ids=NUMBERS)
def test_numbers_are_rows_in_order(given):
    found = series_of(given)
    assert isinstance(found, Series)
    assert (len(found), found.has_dates, found.step) == (ROWS, False, "rows")


SEVERAL = {
    "long": long("b", "a"),
    "long, ids as index": long("b", "a").set_index("unique_id"),
    "wide": pd.DataFrame({"ds": DATES, "b": Y, "a": Y + 1}),
    "wide, dates as index": pd.DataFrame({"b": Y, "a": Y + 1}, DATES),
    "both in the index": long("b", "a").set_index(["unique_id", "ds"]),
}


@pytest.mark.parametrize("given", SEVERAL.values(), ids=SEVERAL)
def test_several_series_are_a_panel(given):
    found = series_of(given)
    assert isinstance(found, Panel)
    assert found.ids.tolist() == ["a", "b"]
    assert found.step == "daily"
    np.testing.assert_array_equal(found.y[ROWS:, 0], Y)


def test_an_array_of_several_series():
    found = series_of(np.stack([Y, Y + 1], axis=1))
    assert found.ids.tolist() == ["series_0", "series_1"]


def test_one_of_several_and_covariates():
    wide = pd.DataFrame({"ds": DATES, "b": Y, "a": Y + 1})
    assert series_of(wide, target="b").targets == ("b",)
    assert series_of(wide, series="b").targets == ("b",)
    assert series_of(wide, features=["a"]).targets == ("b",)
    assert series_of(wide, target=["a", "b"]).targets == ("a", "b")
    assert series_of(long("x", "z"), series="z").name == "z"
    assert series_of(long("x", "z").rename(columns={"unique_id": "shop"}), id="shop").ids.tolist() == ["x", "z"]
    assert series_of(pd.DataFrame({"ds": DATES, "y": Y, "wind": Y})).targets == ("y",)


def test_frames_of_other_libraries():
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    frame = pl.DataFrame({"ds": DATES.to_numpy(), "y": Y})
    for given in (frame, frame.lazy(), pa.table({"ds": DATES.to_numpy(), "y": Y})):
        assert series_of(given).step == "daily"
    assert len(series_of(frame["y"])) == ROWS
    several = pl.DataFrame(
        {"unique_id": ["a", "b"] * ROWS, "ds": DATES.to_numpy().repeat(2), "y": np.arange(2.0 * ROWS)}
    )
    assert series_of(several).ids.tolist() == ["a", "b"]


class Strange:
    pass


@pytest.mark.parametrize(
    "given",
    [None, 5, 2.5, Strange(), ["a", "b"], np.zeros((2, 2, 2)), [], {}, {"a": [1.0], "b": [1.0, 2.0]}, set(), len, b"x",
     pd.DataFrame({"ds": DATES, "y": Y}).iloc[:0], pd.DataFrame({"ds": DATES}), "no_such_file.csv", "no_such_name"],
)  # fmt: skip
def test_what_holds_no_series_is_told_in_one_line(given):
    for take in (series_of, kseq.make_windows, kseq.compare):
        with pytest.raises(kseq.KseqError) as error:
            take(given)
        assert "expected" in str(error.value) or "name one with target" in str(error.value)
        assert "\n" not in str(error.value)
        assert "--" not in str(error.value)


def test_what_is_read_already_takes_no_options_of_reading():
    with pytest.raises(DataError, match="received target with a Series, which is read already"):
        series_of(kseq.load_series("nino12"), target="y")


@pytest.mark.parametrize("given", [ONE["ds and y"], ONE["a series"], Y, SEVERAL["wide"]])
def test_windows_as_arrays(given):
    data = kseq.make_windows(given, lookback=5, horizon=2)
    for part in (data.train, data.validation, data.test):
        assert part.x.shape == (len(part), 5, data.features)
        assert part.y.shape == (len(part), 2 * data.targets)
    np.testing.assert_array_equal(data.train.x[1, :4], data.train.x[0, 1:])
    assert "windows, 5 rows of" in repr(data.train)


def test_batches_say_what_they_take():
    data = kseq.make_windows(Y, lookback=5)
    for wrong, hint in (
        (data, r"its \.train"),
        (ONE["ds and y"], r"kseq\.make_windows\(series\)\.train"),
        (Y, "make_windows"),
    ):
        with pytest.raises(DataError, match=hint):
            kseq.Batches(wrong)
    assert len(data.train.batches(8, seed=1)) == len(kseq.Batches(data.train, 8, seed=1))


ROWS_OF_ANY = {
    "dicts": [{"ds": date, "y": value} for date, value in zip(DATES, Y, strict=True)],
    "named fields": np.array(list(zip(DATES.to_numpy(), Y, strict=True)), dtype=[("ds", "datetime64[s]"), ("y", "f8")]),
    "records": pd.DataFrame({"ds": DATES, "y": Y}).to_records(index=False),
}


@pytest.mark.parametrize("given", ROWS_OF_ANY.values(), ids=ROWS_OF_ANY)
def test_rows_with_names(given):
    found = series_of(given)
    assert (found.step, found.targets) == ("daily", ("y",))
    np.testing.assert_array_equal(found.y[:, 0], Y)


@pytest.mark.parametrize("columns", [1, 2])
def test_what_is_masked_is_missing(columns):
    values = np.ma.masked_array(np.repeat(Y[:, None], columns, axis=1), mask=False)
    values[3, 0] = np.ma.masked
    with pytest.raises(DataError, match="1 missing value"):
        series_of(values)
    assert series_of(values, fill="ffill").y[3, 0] == Y[2]
    assert series_of(np.ma.masked_array(np.arange(ROWS), np.arange(ROWS) == 3), fill="ffill").y[3, 0] == 2


def test_a_tensor_that_is_trained():
    class Tensor:
        def __init__(self, values, *, needs_gradient=True):
            self.values, self.needs_gradient = values, needs_gradient

        def detach(self):
            return Tensor(self.values, needs_gradient=False)

        def cpu(self):
            return self

        def __array__(self, *options, **more):
            if self.needs_gradient:
                raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy().")
            return self.values

    np.testing.assert_array_equal(series_of(Tensor(Y)).y[:, 0], Y)


STORES = long("b", "a").rename(columns={"unique_id": "store", "ds": "date"})
UNNAMED_IDS = {
    "columns": STORES,
    "index": STORES.set_index(["store", "date"]),
    "dates first": STORES.set_index(["date", "store"]).sort_index(),
    "a constant beside": STORES.assign(item=1).set_index(["store", "item", "date"]),
    "a series": STORES.set_index(["store", "date"])["y"],
    "periods": STORES.assign(date=STORES.date.dt.to_period("D")).set_index(["store", "date"]),
    "categories": STORES.astype({"store": "category"}),
    "strings": STORES.astype({"store": "string"}),
    "whole numbers": STORES.assign(store=np.repeat([4, 12], ROWS)),
}


@pytest.mark.parametrize("given", UNNAMED_IDS.values(), ids=UNNAMED_IDS)
def test_ids_under_another_name_are_found_for_the_message(given):
    with pytest.raises(DataError, match="give id='store'"):
        series_of(given)
    found = series_of(given, id="store")
    assert len(found.ids) == 2
    assert found.step == "daily"


def test_ids_of_two_levels():
    rows = pd.concat([STORES.assign(item=item, y=STORES.y + item) for item in (1, 2)])
    for given in (rows, rows.set_index(["store", "item", "date"])):
        with pytest.raises(DataError, match="give id='store,item'"):
            series_of(given)
        assert series_of(given, id="store,item").ids.tolist() == ["a/1", "a/2", "b/1", "b/2"]


def test_columns_of_several_levels_are_told():
    prices = pd.DataFrame(np.c_[Y, Y], DATES, pd.MultiIndex.from_tuples([("Close", "KO"), ("Volume", "KO")]))
    for door in (series_of, kseq.from_frame, kseq.panel_from_frame):
        with pytest.raises(DataError, match=r"columns of 2 levels .*Close.*, expected one level"):
            door(prices)
    assert series_of(prices["Close"]).targets == ("KO",)


#: A frame that has to be told how it is read: two stores under a name of their own, out of order, with a gap.
TOLD = STORES.rename(columns={"y": "sold"}).assign(rain=np.tile(Y, 2), sold=lambda f: f.sold.where(f.index != 7))
READING = {"id": "store", "time": "date", "target": "sold", "fill": "ffill", "sort": True}


@pytest.mark.parametrize(
    "given", [TOLD.iloc[::-1], TOLD.iloc[::-1].set_index(["store", "date"])], ids=["flat", "index"]
)
def test_every_door_takes_what_its_messages_ask_for(given):
    data = kseq.make_windows(given, 4, features="rain", **READING)
    assert data.series.ids.tolist() == ["a", "b"]
    forecaster = kseq.Forecaster(lookback=4, units=2, epochs=1, features="rain", refit_on_validation=False)
    assert forecaster.fit(given, **READING).predict(1)["unique_id"].tolist() == ["a", "b"]
    assert "store" not in forecaster.get_params()
    crossed = forecaster.cross_validation(given)
    assert crossed["unique_id"].tolist() == ["a", "b"]
    assert forecaster.score(given.iloc[:-4]) <= 0
