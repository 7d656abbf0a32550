"""Formats that are no plain text: each module recognises its own and makes a frame of it.

A module imports its library where a file is opened, and says which extra brings it. It gives a
:class:`~kseq.data.formats.found.Found`, or, where what it unpacks is again a file (``compressed``, ``excel``), another
:class:`~kseq.data._source.Source`. Nothing here knows roles of columns: what a format itself says of them is a hint.
"""
