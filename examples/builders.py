"""Call a builder from a plain Keras script; the evaluation callback adds the model's row to a comparison."""

import kseq
from kseq import backends

backends.choose()

data = kseq.make_windows(kseq.load_series("co2"), lookback=24, horizon=3)
comparison = kseq.Comparison(data)
comparison.add_baselines()
for build in (kseq.build_simple_rnn, kseq.build_lstm, kseq.build_gru):
    model = build(lookback=24, features=data.features, horizon=3, units=16, seed=0)
    model.compile(optimizer="adam", loss="mse")
    model.fit(
        data.train,
        validation_data=data.validation,
        epochs=10,
        verbose=0,
        callbacks=[kseq.Evaluation(comparison, build.__name__.removeprefix("build_"))],
    )
print(comparison.table[["model", "mae", "rmse", "mape", "parameters"]])
