"""A recipe as an ONNX graph.

It is built with ``onnx.helper`` from the weights. The exporters of Keras and PyTorch were weighed: they trace a model
of one backend, unroll its recurrence or bring it as a loop, and leave scales and transforms out. The networks are few
and known, and ONNX has an operator for each of the three cells.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from kseq.exporting.networks import Direction, Network
from kseq.exporting.recipe import Recipe

#: Operators that every ONNX Runtime since 2022 knows.
OPSET, IR = 17, 8

_KINDS = {"float64": TensorProto.DOUBLE, "int64": TensorProto.INT64}

#: Place among Keras's gates of each of ONNX's: i, o, f, c of an LSTM; z, r, h of a GRU.
_GATES = {"rnn": (0,), "lstm": (0, 3, 1, 2), "gru": (0, 1, 2)}
_NODES = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}


class Tensor:
    """A value of the graph by its name, with the arithmetic of arrays."""

    def __init__(self, ops: "OnnxOps", name: str):
        self.ops, self.name = ops, name

    def __add__(self, other: "Tensor") -> "Tensor":
        return self.ops.node("Add", self, other)

    def __sub__(self, other: "Tensor") -> "Tensor":
        return self.ops.node("Sub", self, other)

    def __mul__(self, other: "Tensor") -> "Tensor":
        return self.ops.node("Mul", self, other)

    def __truediv__(self, other: "Tensor") -> "Tensor":
        return self.ops.node("Div", self, other)


class OnnxOps:
    """Operators of :class:`kseq.exporting.recipe.Ops` that write nodes of a graph.

    Args:
        networks: Those that are averaged.
    """

    def __init__(self, networks: Sequence[Network]):
        self.nodes: list[onnx.NodeProto] = []
        self.values: list[onnx.TensorProto] = []
        self._known: dict[tuple[str, tuple[int, ...], bytes], Tensor] = {}
        self._networks = networks

    def node(self, kind: str, *inputs: Tensor | None, outputs: int = 1, which: int = 0, **attributes: Any) -> Tensor:
        """Write a node; None stands for an optional input that is left out."""
        names = [f"v{len(self.nodes)}_{number}" for number in range(outputs)]
        shown = [name if number == which else "" for number, name in enumerate(names)]
        self.nodes.append(helper.make_node(kind, ["" if x is None else x.name for x in inputs], shown, **attributes))
        return Tensor(self, names[which])

    def constant(self, values: np.ndarray) -> Tensor:
        """A tensor of fixed values, each kept once."""
        values = np.ascontiguousarray(values)
        key = values.dtype.str, values.shape, values.tobytes()
        if key not in self._known:
            name = f"c{len(self.values)}"
            self.values.append(numpy_helper.from_array(values, name))
            self._known[key] = Tensor(self, name)
        return self._known[key]

    def _whole(self, *numbers: int) -> Tensor:
        return self.constant(np.array(numbers, dtype="int64"))

    def _slice(self, x: Tensor, first: int, stop: int, axis: int) -> Tensor:
        return self.node("Slice", x, self._whole(first), self._whole(stop), self._whole(axis))

    def rows(self, x: Tensor, first: int, stop: int) -> Tensor:
        """Some rows."""
        return self._slice(x, first, stop, 1)

    def columns(self, x: Tensor, first: int, stop: int) -> Tensor:
        """Some columns."""
        return self._slice(x, first, stop, 2)

    def pick(self, x: Tensor, rows: Sequence[int]) -> Tensor:
        """Rows by number."""
        return self.node("Gather", x, self._whole(*rows), axis=1)

    def join(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        """Tensors one after the other."""
        return self.node("Concat", *parts, axis=axis)

    def table(self, values: np.ndarray, series: Tensor | None) -> Tensor:
        """Row of a table for each window."""
        if series is None:
            return self.constant(values[:1, None])
        return self.node("Gather", self.constant(values[:, None]), series, axis=0)

    def phases(self, means: np.ndarray, series: Tensor | None, phase: Tensor) -> Tensor:
        """Mean of each row's phase."""
        if series is not None:
            place = self.node("Unsqueeze", series * self._whole(means.shape[1]), self._whole(1))
            phase = place + phase
        return self.node("Gather", self.constant(means.reshape(-1, means.shape[-1])), phase, axis=0)

    def column(self, x: Tensor) -> Tensor:
        """A column of its own."""
        return self.node("Unsqueeze", x, self._whole(2))

    def repeat(self, x: Tensor, rows: int) -> Tensor:
        """The same row so many times."""
        return self.node("Tile", x, self._whole(1, rows, 1))

    def blocks(self, x: Tensor, rows: int, columns: int) -> Tensor:
        """Rows out of one."""
        return self.node("Reshape", x, self._whole(-1, rows, columns))

    def ascending(self, x: Tensor, rows: int) -> Tensor:
        """Columns in ascending order."""
        # Both outputs must have names, of which the second, the rows' places, is not read.
        names = [f"v{len(self.nodes)}_{number}" for number in range(2)]
        self.nodes.append(helper.make_node("TopK", [x.name, self._whole(rows).name], names, axis=1, largest=0))
        return Tensor(self, names[0])

    def exp(self, x: Tensor) -> Tensor:
        """The exponential."""
        return self.node("Exp", x)

    def log(self, x: Tensor) -> Tensor:
        """The natural logarithm."""
        return self.node("Log", x)

    def sqrt(self, x: Tensor) -> Tensor:
        """The square root."""
        return self.node("Sqrt", x)

    def mean(self, x: Tensor) -> Tensor:
        """Mean over rows."""
        return self.node("ReduceMean", x, axes=[1], keepdims=1)

    def cumsum(self, x: Tensor) -> Tensor:
        """Running sum over rows."""
        return self.node("CumSum", x, self.constant(np.array(1, dtype="int64")))

    def maximum(self, x: Tensor, least: float) -> Tensor:
        """The larger of both, in the type of ``x``."""
        return self.node("Max", x, self.node("CastLike", self.constant(np.array(least)), x))

    def single(self, x: Tensor) -> Tensor:
        """In float32."""
        return self.node("Cast", x, to=TensorProto.FLOAT)

    def double(self, x: Tensor) -> Tensor:
        """In float64."""
        return self.node("Cast", x, to=TensorProto.DOUBLE)

    def network(self, x: Tensor) -> Tensor:
        """Mean of the networks' outputs."""
        # Recurrent operators read (rows, batch, columns).
        rows = self.node("Transpose", x, perm=[1, 0, 2])
        outputs = [self._with_skip(self._stack(rows, network), x, network.skip) for network in self._networks]
        total = outputs[0]
        for further in outputs[1:]:
            total = total + further
        return total if len(outputs) == 1 else total / self.constant(np.array(len(outputs), dtype="float32"))

    def _with_skip(self, output: Tensor, x: Tensor, skip: np.ndarray | None) -> Tensor:
        """Add a linear map of the windows, if there is one."""
        if skip is None:
            return output
        width = skip.shape[0] * skip.shape[1]
        window = self.node("Reshape", x, self._whole(-1, width))
        return output + self.node("MatMul", window, self.constant(skip.reshape(width, -1)))

    def _stack(self, x: Tensor, network: Network) -> Tensor:
        for number, directions in enumerate(network.layers):
            weights = [self._weights(network.cell, way) for way in directions]
            w, r, b = (self.constant(np.stack(arrays)) for arrays in zip(*weights, strict=True))
            units, last = directions[0].units, number == len(network.layers) - 1
            options: dict[str, Any] = {"hidden_size": units, "outputs": 2, "which": int(last)}
            if len(directions) == 2:
                options["direction"] = "bidirectional"
            if network.cell == "gru":
                # Keras's reset_after: the reset gate works on the product.
                options["linear_before_reset"] = 1
            x = self.node(_NODES[network.cell], x, w, r, b, **options)
            width = units * len(directions)
            if last:
                # (directions, batch, units)
                x = self.node("Reshape", self.node("Transpose", x, perm=[1, 0, 2]), self._whole(-1, width))
            else:
                # (rows, directions, batch, units); 0 keeps the number of rows.
                x = self.node("Transpose", x, perm=[0, 2, 1, 3])
                x = self.node("Reshape", x, self._whole(0, -1, width))
        return self.node("Gemm", x, self.constant(network.kernel), self.constant(network.bias))

    @staticmethod
    def _weights(cell: str, way: Direction) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """W and R, ``(gates * units, inputs)`` and ``(gates * units, units)``, and B, ``(2 * gates * units,)``."""
        order, units = _GATES[cell], way.units

        def sorted_gates(array: np.ndarray) -> np.ndarray:
            gates = [array[..., gate * units : (gate + 1) * units] for gate in order]
            return np.concatenate(gates, axis=-1)

        return sorted_gates(way.kernel).T, sorted_gates(way.recurrent).T, sorted_gates(way.biases).ravel()


def graph_of(recipe: Recipe, networks: Sequence[Network], notes: Mapping[str, str]) -> bytes:
    """Write a recipe as an ONNX model.

    Args:
        recipe: The recipe to compute.
        networks: Those whose mean forecast is taken.
        notes: Metadata that the file carries, by name.
    """
    ops = OnnxOps(networks)
    found = recipe(ops, {one.name: Tensor(ops, one.name) for one in recipe.inputs})
    for name, tensor in found.items():
        ops.nodes.append(helper.make_node("Identity", [tensor.name], [name]))
    inputs = [helper.make_tensor_value_info(one.name, _KINDS[one.dtype], ["batch", *one.shape])
              for one in recipe.inputs]  # fmt: skip
    shape = ["batch", recipe.steps, len(recipe.card.context.targets)]
    outputs = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, shape) for name in recipe.outputs]
    graph = helper.make_graph(ops.nodes, "kseq", inputs, outputs, ops.values)
    model = helper.make_model(
        graph, producer_name="kseq", ir_version=IR, opset_imports=[helper.make_opsetid("", OPSET)]
    )
    helper.set_model_props(model, dict(notes))
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()
