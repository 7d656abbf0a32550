"""``python -m kseq``: the command where its script is not on the path."""

from kseq.cli import main

if __name__ == "__main__":
    main()
