"""Training: windows in batches, the fit of a cell with all its seeds, and forecasts of trained models.

``budget``: epochs, batches, rates. ``batches``: windows as Keras takes them. ``memory``: how many members at once.
``callbacks``: timing, progress, evaluation, ``predict``.
``early_stopping`` and ``fit``: one training of all members. ``rollout``: forecasts fed back for further steps.
"""
