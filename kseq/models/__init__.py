"""Models: Keras networks of SimpleRNN, LSTM or GRU layers with a Dense head.

``builders``: one network or an ensemble. ``seq2seq``: an encoder and a decoder. ``initializers``: initial weights drawn
from the seed.
"""
