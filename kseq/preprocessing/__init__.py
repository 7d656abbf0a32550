"""From a panel to scaled windows: splits, scalers, transforms of the targets, the season, features of the calendar.

Rows are split first; transforms and scalers are fitted on the training rows of each series; windows come last.
"""
