"""``python -m kseq.cli``."""

import sys

from kseq.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
