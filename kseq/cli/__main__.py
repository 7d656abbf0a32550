"""``python -m kseq.cli``."""

import sys

from kseq.cli import main

if __name__ == "__main__":
    sys.exit(main())
