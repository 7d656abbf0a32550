"""Matrix products on flat arrays, built from register tiles, and what the three cells share of their loops.

How the cells lay out their data. The batch is cut into *blocks* of rows, each of which goes through the whole sequence
on its own, so that it stays in the cache. For every step a row of ``a`` holds all that is multiplied by weights::

    [ nothing (lead) | x (features) | 1 | h_prev (units) | nothing ]

so one product with ``weights``, whose rows are the kernel, the bias and the recurrent kernel, gives a step's gates
(``depth = features + 1 + units`` terms), and one product of ``a`` transposed with the gates' gradients gives the
gradients of all weights. ``lead`` puts ``h`` where vectors begin. The columns of ``weights`` are gates of ``padded``
units, ``units`` rounded up to whole vectors; the padding's weights are zero and its results are never read.
"""

from kseq.kernels._cpu.code import part
from kseq.kernels._cpu.simd import lanes, load, store
from kseq.kernels._cpu.tile import TILE_ROWS, TILE_VECTORS, tile


@part
def round_up(number, step):
    """The least multiple of ``step`` that is not below ``number``."""
    return (number + step - 1) // step * step


@part
def panel_width(vectors):
    """How many of the ``vectors`` columns left go into the next panel."""
    return min(vectors, TILE_VECTORS)


@part
def tile_width(vectors, rows):
    """How many of the ``vectors`` columns left a product of ``rows`` rows takes at a time: whole panels."""
    if rows == 1:
        for panels in (4, 2):
            if vectors >= panels * TILE_VECTORS:
                return panels * TILE_VECTORS
    return panel_width(vectors)


@part
def tile_height(rows):
    """How many of the ``rows`` rows left go into the next tile: as many as into the others, for all to be large."""
    tiles = (rows + TILE_ROWS - 1) // TILE_ROWS
    return (rows + tiles - 1) // tiles


@part
def pack(panels, j, weights, p, p_row, depth, vectors):
    """Copy ``depth`` rows of ``vectors`` columns into panels, in which a tile finds its factors side by side."""
    size = lanes(panels)
    v = 0
    while v < vectors:
        width = panel_width(vectors - v)
        for k in range(depth):
            for c in range(width):
                store(panels, j, load(weights, p + k * p_row + (v + c) * size))
                j += size
        v += width


@part
def pack_transposed(panels, j, weights, p, p_row, rows, depth):
    """Copy ``rows`` rows of ``depth`` numbers into panels whose columns are those rows."""
    size = lanes(panels)
    vectors = round_up(rows, size) // size
    v = 0
    while v < vectors:
        width = panel_width(vectors - v)
        for c in range(width * size):
            row = v * size + c
            for k in range(depth):
                panels[j + k * width * size + c] = weights[p + row * p_row + k] if row < rows else 0
        j += depth * width * size
        v += width


@part
def product(add, out, o, o_row, a, i, a_row, rows, panels, j, depth, first, last, vectors):
    """``out (+)= a @ panels``, over the terms ``first`` to ``last`` of ``depth``, for ``rows`` rows."""
    size = lanes(out)
    v = 0
    while v < vectors:
        width, panel = tile_width(vectors - v, rows), panel_width(vectors - v)
        w = j + (depth * v + first * panel) * size
        r = 0
        while r < rows:
            height = tile_height(rows - r)
            to, of = o + r * o_row + v * size, i + r * a_row + first
            tile(
                height, width, add, out, to, o_row, a, of, a_row, 1, panels, w, panel * size, depth * panel * size,
                last - first,
            )  # fmt: skip
            r += height
        v += width


@part
def add_transposed_product(out, o, o_row, a, i, a_row, columns, w, j, w_row, vectors, rows):
    """``out += a.T @ w``, for ``columns`` columns of ``a`` and ``vectors`` vectors of ``w`` with ``rows`` rows each."""
    size = lanes(out)
    v = 0
    while v < vectors:
        width = panel_width(vectors - v)
        k = 0
        while k < columns:
            height = tile_height(columns - k)
            to = o + k * o_row + v * size
            tile(height, width, True, out, to, o_row, a, i + k, 1, a_row, w, j + v * size, w_row, width * size, rows)
            k += height
        v += width


@part
def copy_rows(out, o, o_row, a, i, a_row, rows, columns):
    """``out = a`` for ``rows`` rows of ``columns`` numbers."""
    size = lanes(out)
    whole = columns - columns % size
    for r in range(rows):
        to, of = o + r * o_row, i + r * a_row
        for k in range(0, whole, size):
            store(out, to + k, load(a, of + k))
        for k in range(whole, columns):
            out[to + k] = a[of + k]


@part
def add_rows(out, o, o_row, a, i, a_row, rows, columns):
    """``out += a`` for ``rows`` rows of ``columns`` numbers."""
    size = lanes(out)
    whole = columns - columns % size
    for r in range(rows):
        to, of = o + r * o_row, i + r * a_row
        for k in range(0, whole, size):
            store(out, to + k, load(out, to + k) + load(a, of + k))
        for k in range(whole, columns):
            out[to + k] += a[of + k]


@part
def fill_rows(out, o, o_row, rows, first, last, value):
    """``out[:, first:last] = value`` for ``rows`` rows."""
    for r in range(rows):
        for k in range(first, last):
            out[o + r * o_row + k] = value
