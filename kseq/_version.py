"""The version, in one place: setup.cfg and ``kseq --version`` read it from here."""

__version__ = "0.2.0"
