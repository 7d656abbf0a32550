"""``python -m kseq.cli``."""

import sys

from kseq.cli import main

sys.exit(main())
