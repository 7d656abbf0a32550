"""The lesson's own experiment: Balearic sea-surface temperature from the date and its uncertainty, no past temperature.

    python examples/lesson.py sst_balearic_5day_1980_2025.csv [epochs]

The file: sea-surface temperature of the Balearic Sea, 5-day means 1980-2025 (ESA Climate Change Initiative, produced by
the University of Reading, surftemp.net, CC BY 4.0). As in the lesson, the scale is taken from the whole series, test
part included: ``minmax-leaks-test`` says so; and weights start as PyTorch starts them, from which a SimpleRNN gets
further than from Keras's. The first lines of the table show what the lesson did not: persistence.
"""

import sys

import kseq
from kseq import backends

if len(sys.argv) < 2:
    sys.exit(__doc__)
backends.choose()

series = kseq.read_csv(
    sys.argv[1],
    time=["year", "month", "day"],
    target="mean temperature deg C",
    features=["year", "month", "day", "mean temperature uncertainty"],
    header=2,
)
comparison = kseq.compare(
    series,
    seeds=(0, 1, 2),
    lookback=12,
    units=64,
    start="pytorch",
    scaler="minmax-leaks-test",
    past_target=False,
    validation=0.0,
    training={"epochs": int(sys.argv[2]) if len(sys.argv) > 2 else 1000, "batch_size": 0, "patience": 0},
)
print(comparison.table[["model", "mae", "mae_std", "rmse", "mape"]])
comparison.plot("lesson.png")
