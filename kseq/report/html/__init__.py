"""A result as one self-contained web page, made from a folder's record and tables alone.

``pages`` turns the record and the tables of a kind of result into sections; ``charts`` draws; ``page`` puts both into
the template. Whatever is written here can be made again from the files, by :func:`kseq.report.html.pages.of_folder`.
"""
