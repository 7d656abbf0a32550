"""The sizes of a run, as the compiled loops take them."""

from typing import NamedTuple


class Shape(NamedTuple):
    """The sizes of a run, and how it is cut."""

    members: int
    batch: int
    time: int
    features: int
    units: int
    block_rows: int
    groups: int
    chunk: int  # steps whose weight gradients are added up in one product

    @property
    def blocks(self) -> int:
        """Blocks that the batch is cut into."""
        return -(-self.batch // self.block_rows)
