"""The quickstart of the README: from a series to a table, a picture and a winner."""

import kseq
from kseq import backends

backends.choose()  # the first backend installed, or the one that KERAS_BACKEND names

series = kseq.load_series("nino12")
comparison = kseq.compare(series, cells=("gru",), seeds=(0, 1), training={"epochs": 20})
print(comparison.table[["model", "mae", "mae_std", "rmse", "mape"]])
comparison.plot("nino12.png")
print("best:", comparison.best.name)
