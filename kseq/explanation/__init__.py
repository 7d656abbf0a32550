"""Why a cell does well or badly: what its networks remember, what their gates do, and what training them takes.

``networks`` holds trained networks as NumPy arrays; ``gradients``, ``memory`` and ``gates`` measure them on a series;
``tasks`` trains cells on two problems that ask for memory alone; ``speed`` compares trainings; ``lesson`` puts the
figures into the table that textbooks give in words.
"""
