"""One model of many series: fitted, kept in a file, forecast with."""

import json
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kseq import ConfigError, DataError, Settings, from_frame, panel_from_frame, predict
from kseq.comparison.backtest import cut_windows
from kseq.evaluation.intervals import half_width
from kseq.forecasting import model_file
from kseq.forecasting._card_parts import LATER
from kseq.forecasting.card import ModelCard
from kseq.forecasting.fit import fit_model
from kseq.forecasting.forecast import covariates_ahead, forecast
from kseq.preprocessing.splits import Split

pytestmark = pytest.mark.above_backends

QUICK = {"units": 3, "lookback": 4, "training": {"epochs": 2, "learning_rate": 0.01}, "transform": "none"}
TRANSFORMS = ["none", "anomaly,change", "difference", "log,difference,anomaly", "change", "log,anomaly,trend,change",
              "log1p,mean,spread", "anomaly,last", "ar", "log1p,anomaly,ar,spread"]  # fmt: skip


def shops(count=3, rows=60, freq="MS", period=12, zone=None, first=0, **columns):
    """Shops one after the other, each ten times as large as the one before."""
    parts = []
    for number in range(first, first + count):
        noise = np.random.default_rng(number).normal(size=rows)
        y = (20 + 3 * np.sin(np.arange(rows) * 2 * np.pi / period + number) + noise) * 10**number
        dates = pd.date_range("2000-01-01", periods=rows, freq=freq, tz=zone)
        parts.append(pd.DataFrame({"unique_id": f"shop {number}", "ds": dates, "y": y}))
    return pd.concat(parts, ignore_index=True).assign(**columns)


def last(frame, rows):
    return frame.groupby("unique_id").tail(rows)


def fitted(frame=None, *, refit=False, roles=None, **options):
    panel = panel_from_frame(shops() if frame is None else frame, **(roles or {}))
    return fit_model(panel, refit=refit, **{**QUICK, "transform": "none", **options})


def again(card):
    """The card as a file gives it back."""
    data = b"".join(array.tobytes() for array in card.arrays().values())
    return ModelCard.from_json(json.loads(json.dumps(card.to_json())), data)


@pytest.fixture(scope="module", params=TRANSFORMS)
def model(request):
    return fitted(transform=request.param, horizon=2)


@pytest.fixture(scope="module")
def plain():
    return fitted()


def test_forecasts_are_those_of_the_windows_of_a_comparison(model):
    """A comparison of the panel with two rows more, whose scales are learnt from as many, forecasts the same."""
    card, panel = model.card, panel_from_frame(shops(rows=62))
    settings = Settings(**{**card.settings, "transform": card.transform.name if card.transform else "none"})
    begin, end = panel.borders[:-1], panel.ends
    split = Split(begin, begin + 51, begin + 51, end - 2, end)
    data = cut_windows(panel, settings, split)
    expected = predict(model.network, data, data.test)[0]
    made = forecast(model, 2, levels=())
    assert made.values == pytest.approx(expected, rel=2e-6)
    assert made.dates.equals(panel.index[data.test.target_rows.ravel()])


def test_newer_rows_alone_give_what_all_rows_give(model):
    frame = shops(rows=66)
    alone = forecast(model, 5, rows=panel_from_frame(last(frame, 6)))
    whole = forecast(model, 5, rows=panel_from_frame(frame))
    assert np.array_equal(alone.values, whole.values)
    assert alone.dates.equals(whole.dates)
    assert alone.dates[0] == pd.Timestamp("2005-07-01")
    assert alone.notes[0] == "Forecasts start after 2005-06-01, the last rows of 3 series of panel."
    for level, band in alone.intervals.items():
        assert np.array_equal(band.lo, whole.intervals[level].lo, equal_nan=True)


def test_later_steps_read_the_forecasts_before_them(model):
    """Two steps more are what two forecast rows behind the others give, but for the 32 bits in which rows are kept."""
    made = forecast(model, 4, levels=())
    frame = made.frame.groupby("unique_id").head(2).rename(columns={"GRU": "y"})
    rows = panel_from_frame(pd.concat([shops(), frame]).sort_values(["unique_id", "ds"]))
    assert forecast(model, 2, rows=rows, levels=()).values == pytest.approx(made.values[:, 2:], rel=1e-4)


def test_a_model_comes_back_from_its_file_as_it_was(model, tmp_path):
    loaded = model_file.load(model_file.save(model, tmp_path / "model.keras"))
    assert loaded.card.to_json() == model.card.to_json()
    for name, array in model.card.arrays().items():
        assert np.array_equal(loaded.card.arrays()[name], array, equal_nan=True), name
    assert loaded.card.context.fingerprint == model.card.context.fingerprint
    pd.testing.assert_frame_equal(forecast(loaded, 5).frame, forecast(model, 5).frame, rtol=1e-5)


def test_intervals_are_those_of_errors_in_the_unit_of_each_series(plain):
    frame, card = shops(), plain.card
    unit = card.unit[:, 0]
    trained = frame.groupby("unique_id").head(51).groupby("unique_id")["y"]
    assert unit == pytest.approx(trained.std(ddof=0).to_numpy(), rel=1e-5)
    assert np.array_equal(card.target_scaler.scale[:, 0], unit)
    errors = [[], []]
    for origin in range(51, 60):
        known = frame.groupby("unique_id").head(origin)
        steps = min(2, 60 - origin)
        made = forecast(plain, steps, rows=panel_from_frame(known), levels=()).values[..., 0]
        truth = frame["y"].to_numpy().reshape(3, 60)[:, origin : origin + steps]
        for step in range(steps):
            errors[step].append((made - truth)[:, step] / unit)
    for step in range(2):
        expected = half_width(np.concatenate(errors[step])[:, None, None], 80)[0, 0]
        assert card.half_widths.at(80, 2)[step, 0] == pytest.approx(expected, rel=1e-4)
    band = forecast(plain, 1).intervals[80]
    assert (band.hi - band.lo)[:, 0, 0] == pytest.approx(2 * card.half_widths.at(80, 1)[0, 0] * unit)


def test_units_of_logarithms_are_those_of_the_values():
    card = fitted(transform="log").card
    known = shops().groupby("unique_id").head(51).groupby("unique_id")["y"].std(ddof=0)
    assert card.unit[:, 0] == pytest.approx(known.to_numpy(), rel=1e-5)
    assert card.target_scaler.scale.max() < 1


def test_scores_are_scaled_by_what_comes_before_the_validation_part(plain):
    y = shops()["y"].to_numpy().reshape(3, 60)
    scale = np.abs(y[:, 12:51] - y[:, :39]).mean(axis=1)
    assert plain.card.scores["Persistence"] == pytest.approx(
        (np.abs(y[:, 51:] - y[:, 50:-1]).mean(axis=1) / scale).mean(), rel=1e-5
    )
    assert plain.card.scores["Seasonal naive (12)"] == pytest.approx(
        (np.abs(y[:, 51:] - y[:, 39:48]).mean(axis=1) / scale).mean(), rel=1e-5
    )
    assert list(plain.card.scores) == ["GRU", "Persistence", "Seasonal naive (12)"]


def test_training_again_on_all_rows(plain):
    whole = fitted(refit=True).card
    assert (whole.refitted, plain.card.refitted) == (True, False)
    assert whole.target_scaler.center[:, 0] == pytest.approx(shops().groupby("unique_id")["y"].mean(), rel=1e-5)
    known = shops().groupby("unique_id").head(51)
    assert plain.card.target_scaler.center[:, 0] == pytest.approx(known.groupby("unique_id")["y"].mean(), rel=1e-5)
    assert whole.scores == plain.card.scores


def test_nothing_of_the_validation_part_is_learnt():
    frame, options = shops(), {"training": {"epochs": 1, "patience": 0}}
    other = frame.copy()
    other.loc[other.groupby("unique_id").cumcount() >= 51, "y"] += 50.0
    one, two = (fitted(given, **options) for given in (frame, other))
    assert np.array_equal(one.card.target_scaler.center, two.card.target_scaler.center)
    for mine, others in zip(one.network.get_weights(), two.network.get_weights(), strict=True):
        assert np.array_equal(mine, others)


def test_a_series_that_was_not_in_the_training_is_scaled_by_its_own_past(plain):
    new = shops(1, 30, first=5)
    made = forecast(plain, 1, rows=panel_from_frame(new))
    assert "1 of 1 series (first: 'shop 5') were not in the training, and are scaled by their own past." in made.notes
    y = new["y"].to_numpy()
    center, scale = y.mean(), y.std()
    window = ((y[-4:] - center) / scale).astype("float32").reshape(1, 4, 1)
    expected = np.asarray(plain.network.predict_on_batch(window))[0, 0] * scale + center
    assert made.values[0, 0, 0] == pytest.approx(expected, rel=1e-5)
    half = plain.card.half_widths.at(80, 1)[0, 0] * scale
    assert made.intervals[80].hi[0, 0, 0] == pytest.approx(expected + half, rel=1e-5)


@pytest.mark.parametrize(
    "transform",
    [
        "anomaly,change",
        "log,difference,anomaly",
        "anomaly,trend",
        "trend,change",
        "log1p,anomaly,mean,spread",
        "last",
        "log1p,anomaly,ar",
        "trend,ar",
    ],
)
def test_a_new_series_is_transformed_by_its_own_past_as_if_it_had_been_trained_on(transform):
    """Its scale, its means and what is read are those of a training with it; the network need not be the same."""
    model, all_four = fitted(transform=transform), fitted(shops(4), transform=transform, validation=0.0)
    mixed = replace(all_four, network=model.network)
    rows = panel_from_frame(shops(4))
    made, expected = (forecast(one, 3, rows=rows, levels=()) for one in (model, mixed))
    assert made.values[3] == pytest.approx(expected.values[3], rel=1e-5)
    assert not np.allclose(made.values[0], expected.values[0], rtol=1e-5), "series of the training keep their scale"


def test_a_new_series_that_is_too_short_is_refused(plain):
    rows = panel_from_frame(pd.concat([shops(), shops(1, 4, first=5)]))
    with pytest.raises(DataError, match=r"series 'shop 5' was not in the training, and its last 4 rows .* at least 5"):
        forecast(plain, 1, rows=rows)
    assert len(forecast(plain, 1, rows=rows, ids=["shop 1"]).frame) == 1


def test_series_without_rows_in_the_file_are_not_forecast(plain):
    made = forecast(plain, 1, rows=panel_from_frame(shops(2, 61)))
    assert made.history.ids.tolist() == ["shop 0", "shop 1"]
    assert made.notes[-1].startswith("1 of the 3 series that the model was trained on have no rows here")


def test_series_that_are_chosen(plain):
    made = forecast(plain, 2, ids=["shop 2", "shop 0"])
    whole = forecast(plain, 2)
    assert made.frame["unique_id"].tolist() == ["shop 0"] * 2 + ["shop 2"] * 2
    assert made.values == pytest.approx(whole.values[[0, 2]], rel=1e-6)
    with pytest.raises(ConfigError, match="received series 'shop 7', expected one of the 3 there are: shop 0, shop 1"):
        forecast(plain, ids=["shop 7"])


def test_a_series_whose_last_rows_are_broken_is_left_out(plain):
    frame = shops(rows=63)
    frame.loc[62, "y"] = np.nan
    rows = panel_from_frame(frame, fill="mask")
    made = forecast(plain, 1, rows=rows)
    assert made.history.ids.tolist() == ["shop 1", "shop 2"]
    assert made.notes[0].startswith("1 of 3 series (first: 'shop 0') are left out: received 0 rows without missing")
    assert not any("have no rows here" in note for note in made.notes)
    with pytest.raises(DataError, match="series 'shop 0': received 0 rows without missing dates or values"):
        forecast(plain, 1, rows=rows, ids=["shop 0"])


def test_short_series_are_left_out_of_the_model():
    model = fitted(pd.concat([shops(2), shops(1, 3, first=2)]))
    assert model.card.context.ids.tolist() == ["shop 0", "shop 1"]
    assert model.card.rows == 120
    assert "1 of 3 series are too short for lookback 4 and horizon 1" in model.card.context.notes[0]


@pytest.mark.parametrize(
    ("freq", "period", "zone", "expected"),
    [
        ("D", 7, None, ["2000-03-01", "2000-03-02"]),
        ("h", 24, "Europe/Berlin", ["2000-01-03 12:00:00+01:00", "2000-01-03 13:00:00+01:00"]),
        ("B", 5, None, ["2000-03-27", "2000-03-28"]),
    ],
)
def test_dates_of_other_frequencies(freq, period, zone, expected):
    model = fitted(shops(2, freq=freq, period=period, zone=zone), transform="anomaly")
    made = forecast(model, 2, levels=())
    assert made.frame["ds"].tolist() == [pd.Timestamp(date) for date in expected] * 2
    card = again(model.card)
    assert card.context.index.equals(model.card.context.index)
    rows = panel_from_frame(last(shops(2, 63, freq, period, zone), 3))
    assert forecast(model, 1, rows=rows).dates[0] == pd.date_range("2000-01-01", periods=64, freq=freq, tz=zone)[-1]


def test_series_that_end_on_different_dates():
    frame = pd.concat([shops(1, 60), shops(1, 50, first=1)])
    made = forecast(fitted(frame), 2)
    assert made.frame["ds"].astype(str).tolist() == ["2005-01-01", "2005-02-01", "2004-03-01", "2004-04-01"]


def test_a_season_that_the_calendar_does_not_know_goes_on_where_it_stood():
    frame = shops(rows=66, freq="D", period=10)
    model = fitted(frame.groupby("unique_id").head(60), transform="anomaly", season=10)
    alone = forecast(model, 3, rows=panel_from_frame(last(frame, 6)), levels=())
    whole = forecast(model, 3, rows=panel_from_frame(frame), levels=())
    assert np.array_equal(alone.values, whole.values)
    later = shops(rows=200, freq="D", period=10)
    late = panel_from_frame(last(later, 20), freq="D")
    assert np.isfinite(forecast(model, 1, rows=late).values).all(), "rows that are kept tell where it stands"


def test_rows_without_dates():
    frame = shops(rows=66).drop(columns="ds")
    known = frame.groupby("unique_id").head(60)
    model = fitted(known, transform="anomaly,trend", season=12)
    assert forecast(model, 2).frame["ds"].tolist() == [60, 61] * 3
    made = forecast(model, 2, rows=panel_from_frame(frame), levels=())
    assert made.frame["ds"].tolist() == [66, 67] * 3
    # Days follow one another evenly, as numbers do, and the calendar knows no season of twelve of them.
    dated = fitted(shops(freq="D"), transform="anomaly,trend", season=12)
    expected = forecast(dated, 2, rows=panel_from_frame(shops(rows=66, freq="D")), levels=())
    assert made.values == pytest.approx(expected.values, rel=1e-4)
    # Rows that hold the last ones of the training are told by these, wherever they begin.
    assert forecast(model, 2, rows=panel_from_frame(last(frame, 20)), levels=()).frame.equals(made.frame)
    with pytest.raises(DataError, match="without dates of series 'shop 0', expected among them the last 4"):
        forecast(model, rows=panel_from_frame(last(frame, 6)))
    assert forecast(fitted(known), 1, rows=panel_from_frame(last(frame, 6))).frame["ds"].tolist() == [66] * 3


@pytest.fixture(scope="module")
def with_covariates():
    rng = np.random.default_rng(1)
    frame = shops(rows=66)
    frame = frame.assign(rain=rng.normal(size=198), price=rng.normal(size=198), kind=frame["unique_id"], size=3.0)
    later = frame.groupby("unique_id").cumcount() >= 60
    known = frame.assign(y=frame["y"].mask(later), rain=frame["rain"].mask(later))
    roles = {"target": "y", "features": ["rain"], "future": ["price"], "static": ["kind", "size"]}
    return frame, known, fitted(known, roles=roles, horizon=2, calendar=True)


def test_covariates_of_every_kind(with_covariates, tmp_path):
    frame, _, model = with_covariates
    assert model.card.input_columns == (
        "y", "rain", "price[t+2]", "month of year (sin)", "month of year (cos)", "size", "kind=shop 0", "kind=shop 1",
        "kind=shop 2",
    )  # fmt: skip
    made = forecast(model, 2)
    loaded = model_file.load(model_file.save(model, tmp_path / "model.keras"))
    assert forecast(loaded, 2).values == pytest.approx(made.values, rel=1e-5)
    # Beyond the horizon it reads rain, which nobody knew when it was fitted.
    with pytest.raises(DataError, match=r"'rain' is missing at 6 of 6 steps to come .*'shop 0', 2005-01-01\).*first 2"):
        forecast(model, 4)
    later = frame[frame.groupby("unique_id").cumcount() >= 60]
    ahead = covariates_ahead(model.card, later, "later")
    both = forecast(model, 4, future=ahead)
    assert both.values[:, :2] == pytest.approx(made.values, rel=1e-6)
    assert not np.allclose(both.values[:, 2:], forecast(model, 4, future=ahead.assign(rain=9.0)).values[:, 2:])
    shuffled = covariates_ahead(model.card, later.sample(frac=1, random_state=0), "later")
    assert np.array_equal(forecast(model, 4, future=shuffled).values, both.values)


def test_covariates_that_do_not_fit(with_covariates, plain):
    frame, known, model = with_covariates
    later = frame[frame.groupby("unique_id").cumcount() >= 60]
    with pytest.raises(DataError, match="later: series 'shop 0' has two rows of 2005-01-01"):
        covariates_ahead(model.card, pd.concat([later, later]), "later")
    with pytest.raises(DataError, match="later: received column 'price', expected one of: unique_id, ds"):
        covariates_ahead(model.card, later[["unique_id", "ds"]], "later")
    with pytest.raises(ConfigError, match="received covariates of steps to come, and the model reads none"):
        forecast(plain, future=covariates_ahead(model.card, later, "later"))
    roles = {"target": "y", "features": ["rain"], "future": ["price"], "static": ["kind", "size"]}
    rows = panel_from_frame(known.assign(kind="market"), **roles)
    with pytest.raises(DataError, match="received 'market' in the static covariate 'kind', expected one of shop 0"):
        forecast(model, rows=rows)


def test_several_targets():
    frame = shops().assign(z=shops(first=3)["y"] / 1000)
    model = fitted(frame, roles={"target": ["y", "z"]}, horizon=2)
    made = forecast(model, 3)
    assert made.values.shape == (3, 3, 2)
    assert made.frame["unique_id"].unique().tolist()[:3] == ["shop 0/y", "shop 0/z", "shop 1/y"]
    assert made.frame["GRU"].tolist()[:6] == [*made.values[0, :, 0], *made.values[0, :, 1]]


def test_without_a_validation_part():
    model = fitted(validation=0.0, refit=True)
    assert (model.card.refitted, model.card.scores) == (False, {})
    made = forecast(model)
    assert made.intervals == {}
    assert made.notes[0] == (
        "No 80 % interval: the model was trained without a validation part, whose errors would bound it."
    )


def test_a_picture_of_some_series(plain):
    figure = forecast(plain, 3).plot()
    assert [axes.get_title(loc="left").partition(":")[0] for axes in figure.axes] == ["shop 0", "shop 1", "shop 2"]
    line = figure.axes[1].lines[1]
    assert line.get_ydata()[1:].tolist() == forecast(plain, 3).values[1, :, 0].tolist()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (shops(zone="Europe/Berlin"), "received rows with dates in Europe/Berlin, expected dates without a time zone"),
        (shops().drop(columns="ds"), "received rows with no dates, expected dates without a time zone"),
        (shops(freq="D"), "received dates that are daily, expected monthly"),
        (shops().rename(columns={"y": "x"}), "received column 'y', expected one of: x"),
    ],
)
def test_rows_of_another_kind(plain, frame, message):
    with pytest.raises(DataError, match=message):
        forecast(plain, rows=panel_from_frame(frame))


def test_a_model_of_one_series_and_one_of_many_read_what_the_other_does(plain):
    # A series of a known id is that series; of a model of one, the only one is, whatever it is called.
    one = from_frame(shops(1), name="shop 0")
    expected = forecast(plain, 2, rows=panel_from_frame(shops()), ids=["shop 0"]).frame
    assert forecast(plain, 2, rows=one).frame.equals(expected)
    model = fit_model(one, **QUICK)
    alone = forecast(model, 2, rows=from_frame(shops(1)))
    assert alone.frame.equals(forecast(model, 2).frame)
    # Others are scaled by their own past.
    assert forecast(model, 1, rows=panel_from_frame(shops())).frame["unique_id"].tolist() == [
        f"shop {i}" for i in range(3)
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "recursive"}, "received strategy recursive for a model that is saved"),
        ({"scaler": "minmax-leaks-test"}, "received scaler minmax-leaks-test"),
    ],
)
def test_settings_that_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        fitted(**options)


def test_the_fewest_rows():
    with pytest.raises(DataError, match="received a series of 5 rows, expected at least 6 for lookback 4, horizon 1"):
        fitted(shops(rows=5))


@pytest.fixture(scope="module")
def saved(plain, tmp_path_factory):
    return model_file.save(plain, tmp_path_factory.mktemp("saved") / "model.keras")


def rewritten(saved, path, member, edit, checksum=True):
    with zipfile.ZipFile(saved) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents[member] = edit(contents[member])
    if checksum and member != model_file.MEMBER:
        card = json.loads(contents[model_file.MEMBER])
        card["checksums"][member] = model_file.hashlib.sha256(contents[member]).hexdigest()
        contents[model_file.MEMBER] = json.dumps(card).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def edited(change):
    def edit(content):
        record = json.loads(content)
        change(record)
        return json.dumps(record).encode()

    return edit


@pytest.mark.parametrize(
    ("member", "edit"),
    [
        (model_file.ARRAYS, lambda content: content[:-8]),
        (model_file.ARRAYS, lambda content: content + bytes(8)),
        (model_file.ARRAYS, lambda content: bytes(len(content))),
        (model_file.ARRAYS, lambda content: b"\xff" * len(content)),
        (model_file.MEMBER, edited(lambda card: card["arrays"].update(values=[10**12, 1]))),
        (model_file.MEMBER, edited(lambda card: card["arrays"].update(values=[-1, 1]))),
        (model_file.MEMBER, edited(lambda card: card["panel"]["ids"].pop())),
        (model_file.MEMBER, edited(lambda card: card["panel"].update(ids=["a", "a", "b"]))),
        (model_file.MEMBER, edited(lambda card: card["panel"].update(targets=["y", "z"]))),
        (model_file.MEMBER, edited(lambda card: card.update(input_columns=["x"]))),
        (model_file.MEMBER, edited(lambda card: card["panel"]["dates"].update(time_zone="nowhere"))),
    ],
)
def test_files_that_were_changed_are_refused(saved, tmp_path, member, edit):
    with pytest.raises(DataError, match="is damaged"):
        model_file.load(rewritten(saved, tmp_path / "model.keras", member, edit))


def test_arrays_that_do_not_fit_their_checksum(saved, tmp_path):
    flipped = rewritten(saved, tmp_path / "model.keras", model_file.ARRAYS, lambda data: data[::-1], checksum=False)
    with pytest.raises(DataError, match=r"kseq\.arrays has been changed"):
        model_file.read_card(flipped)


def test_arrays_that_are_lacking(saved, tmp_path):
    path = shutil.copy(saved, tmp_path / "model.keras")
    with zipfile.ZipFile(saved) as whole, zipfile.ZipFile(path, "w") as part:
        for name in whole.namelist():
            if name != model_file.ARRAYS:
                part.writestr(name, whole.read(name))
    with pytest.raises(DataError, match="is damaged"):
        model_file.read_card(path)


def test_a_file_of_many_series_is_small():
    """As many numbers a series as a series of three has, and no more."""
    small, large = (fitted(shops(count), training={"epochs": 1}).card for count in (3, 6))
    sizes = [sum(array.nbytes for array in card.arrays().values()) for card in (small, large)]
    assert sizes[1] - sizes[0] < 3 * 1000


def test_a_card_that_knows_no_autoregressions_is_read(plain):
    # As kseq wrote it before there were any.
    content, arrays = json.loads(json.dumps(plain.card.to_json())), plain.card.arrays()
    for name in LATER:
        content["arrays"].pop(name)
        assert not arrays.pop(name).size
    card = ModelCard.from_json(content, b"".join(array.tobytes() for array in arrays.values()))
    assert card.to_json() == plain.card.to_json()
