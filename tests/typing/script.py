"""A newcomer's script, which ``tox -e typing`` checks by ``mypy --strict``."""

from typing import Any

import numpy as np

import kseq

df = {"ds": np.arange("2001-01", "2021-01", dtype="datetime64[M]"), "y": np.sin(np.arange(240.0))}
comparison = kseq.compare(df, cells=("gru",), epochs=50, seeds=5, units=64, test_share=0.2)
print(comparison.table, comparison.best.name)

data = kseq.make_windows(df, lookback=12, horizon=3, test_share=0.1, validation_share=0.1, transform="anomaly")
model = kseq.build_gru(12, features=data.features, horizon=3, units=16, seed=0)
model.compile(optimizer="adam", loss="mse")
row = kseq.Comparison(data)
row.add_baselines("Theta")
mae: float = row.scores("Theta", "mae").mean()
tuned = kseq.tune(df, trials=4, space={"units": (8, 16)})
print(tuned.tuning, kseq.judge({"mine": df["y"]}, truth=df["y"]).verdict, kseq.audit(df).clean, kseq.explain(df))
keep = kseq.Evaluation(row, "GRU", folder="first-run")
model.fit(data.train, validation_data=data.validation, epochs=5, callbacks=[keep])
x, y = data.train.x, data.train.y
print(x.shape, y.mean())

forecaster = kseq.Forecaster("gru", lookback=24, horizon=12, epochs=10).fit(df)
forecast = forecaster.predict(12)
trained = kseq.fit(df, cell="gru", epochs=5, loss="quantile", level=(80,))
print(kseq.forecast(trained, 12).frame)
trained.save("gru.keras")
own: dict[str, Any] = {"mine": lambda outputs: model}
kseq.compare("nino12", cells=own, rivals={}, out="runs/own")
kseq.backends.choose("torch")

kseq.build_gru("12")  # type: ignore[arg-type]
kseq.build_gru(12, units="32")  # type: ignore[arg-type]
kseq.make_windows(df, lookback="12")  # type: ignore[arg-type]
