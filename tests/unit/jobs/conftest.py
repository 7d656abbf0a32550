"""Functions of jobs stand in a module that the processes of a pool can import, too."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
