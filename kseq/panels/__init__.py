"""Many series and one model of them all: what the modules of the same names one floor up do for one series."""
