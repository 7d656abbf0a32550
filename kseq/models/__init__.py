"""Models: Keras networks of SimpleRNN, LSTM or GRU layers with a Dense head.

``builders``: one network or an ensemble. ``seq2seq``: an encoder and a decoder. ``initializers``: initial weights drawn
from the seed. ``parameter_counts``: how many weights a network has, and units that give cells about as many.
"""

#: Cells in the order of the table: by the name that a user gives, the name that a table shows.
CELL_NAMES = {"rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}

#: Whose distributions initial weights are drawn from, see :mod:`kseq.models.initializers`.
STARTS = ("keras", "pytorch")
