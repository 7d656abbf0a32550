"""From a panel to scaled windows.

Rows are split first (``splits``); transforms (``auto_transform``, ``transforms``, on the ``grid`` and the
``seasonality`` of the dates) and ``scalers`` are fitted on the training rows of each series; ``columns`` and
``time_features`` say what models read; ``windows`` come last.
"""
