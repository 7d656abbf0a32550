"""A trained model as a file for other runtimes: ONNX, a TensorFlow SavedModel, or a program of ``torch.export``.

What is exported takes rows in the user's unit and gives forecasts in the user's unit: transforms and scales are part of
the graph. ``recipe`` says once what is computed; ``_onnx`` and the ``*_export`` files of :mod:`kseq.kernels` write it
down in the operators of each runtime. ``inputs`` lays a series' last rows as the graph takes them, ``description`` says
in JSON what the inputs are, and ``export`` is the public function.
"""
