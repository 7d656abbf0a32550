"""The parts of the compiled CPU kernel (:mod:`kseq.kernels.cpu`); nothing here is public."""
