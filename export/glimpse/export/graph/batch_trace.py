"""Follows the batch through a graph exported for a batch of 1, and frees it wherever it is fixed.

The graph runs once on one input, which gives the shape of every value. Then the batch axis is followed from operator to
operator: Transpose moves it, Reshape may join it with heads, Squeeze must keep it. An export compares the result with
the original, so an operator that is not followed here costs speed but not correctness.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper

from glimpse.export.graph.batch_axis import free_shapes
from glimpse.export.graph.operators import add_constant, opset_of
from glimpse.export.graph.subgraphs import replace
from glimpse.export.onnx.onnx_model import Inputs, quiet_session

_BATCH = "glimpse_batch"
#: Value of an axis: the batch exists, but the traced shape does not have it.
_BESIDE = -1


class NotFollowed(Exception):
    """Raised for an operator that the batch cannot be followed through."""


def free_traced(model: ModelProto, inputs: Inputs, probe: Path) -> None:
    """Frees the batch of a graph with one input.

    Args:
        model: changed in place.
        inputs: one input, a batch of 1.
        probe: a file to write next to the graph's weights.

    Raises:
        NotFollowed: the batch cannot be followed.
    """
    try:
        _Follower(model, _shapes(model, inputs, probe)).run()
    except (LookupError, ValueError, ArithmeticError) as error:  # attributes or ranks of an operator are unusual
        raise NotFollowed(str(error)) from error
    free_shapes(model)


def _shapes(model: ModelProto, inputs: Inputs, probe: Path) -> dict[str, list[int]]:
    """Runs the graph and returns the shape of every value of the outermost graph."""
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    names = [name for node in model.graph.node for name in node.output if name]
    exposed = ModelProto()
    exposed.CopyFrom(model)
    free_shapes(exposed)
    outputs = {value.name for value in exposed.graph.output}
    for name in names:
        if name not in outputs:
            exposed.graph.output.add().name = name
    try:
        onnx.save(exposed, probe)
        values = quiet_session(probe).run(names, dict(inputs))
    except Exception as error:  # the exceptions of protobuf and of ONNX Runtime have no common base
        raise NotFollowed(str(error)) from error
    shapes |= {name: list(value.shape) for name, value in inputs.items()}
    return shapes | {name: list(np.shape(value)) for name, value in zip(names, values, strict=True)}


class _Follower:
    """Walks over the outermost graph once.

    `_axes` has the batch axis of every value with a batch. `_minor` has the values in which other indices come before
    the batch within that axis, such as tokens in (tokens x batch, width); elsewhere the batch comes first, as in (batch
    x heads, ...).
    """

    def __init__(self, model: ModelProto, shapes: dict[str, list[int]]) -> None:
        self._model, self._shapes = model, shapes
        self._input = model.graph.input[0].name
        self._axes = {self._input: 0}
        self._minor: set[str] = set()
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                self._constants[node.output[0]] = node.attribute[0].t
        self._before: list[NodeProto] = []

    def run(self) -> None:
        """Changes the graph. Raises NotFollowed."""
        nodes: list[NodeProto] = []
        for node in self._model.graph.node:
            source = next((name for name in node.input if name in self._axes), None)
            self._before = []
            if source is not None and node.op_type not in ("Shape", "Size"):
                self._follow(node, source)
            nodes += [*self._before, node]
        axis = add_constant(self._model, f"{_BATCH}_axis", np.array([0], np.int64))
        first = [
            helper.make_node("Shape", [self._input], [f"{_BATCH}_shape"]),
            helper.make_node("Gather", [f"{_BATCH}_shape", axis], [_BATCH]),  # (1,)
        ]
        replace(self._model.graph.node, [*first, *nodes])

    def _follow(self, node: NodeProto, source: str) -> None:
        """Changes a node that reads the batch, if needed, and records the batch axis of its output."""
        axis = self._axes[source]
        if axis == _BESIDE and node.op_type != "Identity":
            raise NotFollowed(node.op_type)
        steps: dict[str, Callable[[NodeProto, int], int]] = {
            "Identity": lambda _, axis: axis,
            "Reshape": self._reshape,
            "Flatten": self._reshape,
            "Squeeze": self._squeeze,
            "Unsqueeze": self._unsqueeze,
            "Transpose": self._transpose,
            "Gather": self._gather,
            "Concat": self._concat,
        }
        if source in self._minor and node.op_type in steps.keys() - {"Identity", "Reshape", "Transpose"}:
            raise NotFollowed(node.op_type)
        if source in self._minor and node.op_type != "Reshape":
            self._minor.update(node.output)
        if node.op_type in steps:
            self._axes[node.output[0]] = steps[node.op_type](node, axis)
            return
        if node.op_type.startswith("Reduce"):
            self._axes[node.output[0]] = self._reduce(node, axis)
            return
        for name in filter(None, node.output):  # broadcasting aligns shapes at their ends
            place = len(self._shapes[name]) - len(self._shapes[source]) + axis
            if place < 0:
                raise NotFollowed(node.op_type)
            self._axes[name] = place

    def _reshape(self, node: NodeProto, axis: int) -> int:
        """Puts -1 at the axis before which as many numbers come as before the batch; all other sizes are known."""
        sizes, shape = self._shapes[node.input[0]], list(self._shapes[node.output[0]])
        before = math.prod(sizes[: axis + (node.input[0] in self._minor)])
        places = [i for i in range(len(shape) + 1) if math.prod(shape[:i]) == before]
        if not places:
            raise NotFollowed("Reshape")
        own = [i for i in places if i < len(shape) and shape[i] == 1]
        place, result = (own or places)[0], (own or places)[0]
        if not own and shape == [math.prod(sizes)] and before == sizes[axis] == 1:
            shape, result = [1, *shape], _BESIDE  # a vector without a batch
        elif not own and place and (len(shape) == 2 or shape[place:] == sizes[len(sizes) - len(shape) + place :]):
            # The width stays, or the result is rows for Gemm: (tokens, batch, width) to (tokens x batch, width).
            place = result = place - 1
            self._minor.add(node.output[0])
        elif place == len(shape):
            raise NotFollowed("Reshape")
        shape[place] = -1
        constant = add_constant(self._model, f"glimpse_shape_of_{node.output[0]}", np.array(shape, np.int64))
        node.CopyFrom(helper.make_node("Reshape", [node.input[0], constant], [node.output[0]]))
        return result

    def _squeeze(self, node: NodeProto, axis: int) -> int:
        """Removes the axes without the batch's, by a Reshape with explicit sizes."""
        shape = self._shapes[node.input[0]]
        listed = self._axes_of(node)
        axes = [i for i, size in enumerate(shape) if size == 1] if listed is None else [i % len(shape) for i in listed]
        kept = [i for i in axes if i != axis]
        left = [-1 if i == axis else size for i, size in enumerate(shape) if i not in kept]
        constant = add_constant(self._model, f"glimpse_shape_of_{node.output[0]}", np.array(left, np.int64))
        node.CopyFrom(helper.make_node("Reshape", [node.input[0], constant], [node.output[0]]))
        if len(kept) == len(axes):
            return axis - sum(i < axis for i in kept)
        return _BESIDE

    def _unsqueeze(self, node: NodeProto, axis: int) -> int:
        rank = len(self._shapes[node.output[0]])
        added = [i % rank for i in self._axes_of(node) or ()]
        return [i for i in range(rank) if i not in added][axis]

    def _transpose(self, node: NodeProto, axis: int) -> int:
        rank = len(self._shapes[node.input[0]])
        return (_ints(node, "perm") or [*range(rank)][::-1]).index(axis)

    def _gather(self, node: NodeProto, axis: int) -> int:
        shape, rank = self._shapes[node.input[0]], len(self._shapes[node.input[1]])
        gathered = (_ints(node, "axis") or [0])[0] % len(shape)
        if node.input[0] not in self._axes:
            return gathered + axis  # rows of a table
        if gathered == axis:
            if rank or shape[axis] != 1:
                raise NotFollowed("Gather")
            node.CopyFrom(helper.make_node("Identity", [node.input[0]], [node.output[0]]))  # the only row
            return _BESIDE
        return axis + (rank - 1 if gathered < axis else 0)

    def _reduce(self, node: NodeProto, axis: int) -> int:
        rank = len(self._shapes[node.input[0]])
        axes = [i % rank for i in self._axes_of(node) or ()]
        if not axes or axis in axes:
            raise NotFollowed(node.op_type)
        kept = (_ints(node, "keepdims") or [1])[0]
        return axis if kept else axis - sum(i < axis for i in axes)

    def _concat(self, node: NodeProto, axis: int) -> int:
        """Repeats one row of constants, such as a class token, for every row of the batch."""
        rank = len(self._shapes[node.output[0]])
        if _ints(node, "axis")[0] % rank == axis or opset_of(self._model) < 8:  # Expand exists since opset 8
            raise NotFollowed("Concat")
        for i, name in enumerate(node.input):
            if name in self._axes:
                continue
            result = f"glimpse_row_{i}_of_{node.output[0]}"
            ones = add_constant(self._model, f"{result}_ones", np.ones(rank - axis - 1, np.int64))
            pieces = [_BATCH, ones] if rank - axis - 1 else [_BATCH]
            self._before.append(helper.make_node("Concat", pieces, [f"{result}_shape"], axis=0))
            self._before.append(helper.make_node("Expand", [name, f"{result}_shape"], [result]))
            node.input[i] = result
        return axis

    def _axes_of(self, node: NodeProto) -> Sequence[int] | None:
        """Returns an operator's axes, from its attribute or a constant; None if it has none."""
        if len(node.input) > 1 and node.input[1]:
            if node.input[1] not in self._constants:
                raise NotFollowed(node.op_type)
            axes: list[int] = onnx.numpy_helper.to_array(self._constants[node.input[1]]).reshape(-1).tolist()
            return axes
        return _ints(node, "axes") or None


def _ints(node: NodeProto, name: str) -> list[int]:
    """Returns an attribute's integer or integers; [] if the node does not have it."""
    return next(([*attribute.ints] or [attribute.i] for attribute in node.attribute if attribute.name == name), [])
