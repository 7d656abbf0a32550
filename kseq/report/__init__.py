"""What a reader sees: tables and pictures, made from a :class:`kseq.Comparison` and from nothing else."""
