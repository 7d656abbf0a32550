"""A trained model put to use: fitted on all rows of one or more series, kept in a file, asked for forecasts, scored.

``Forecaster`` has it all behind scikit-learn's names. Parts: ``card`` (what a model is besides its weights),
``model_file``, ``fit``, ``history`` (the rows that forecasts start from), ``forecast``, ``score``, ``forecaster``.
"""
