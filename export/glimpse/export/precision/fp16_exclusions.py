"""Selects the nodes that stay in fp32 when a graph is converted to fp16."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from onnx import ModelProto, NodeProto, TensorProto

from glimpse.export.graph.graph_editing import EMBEDDING

# Operators that CUDA's kernels compute in fp32 inside, also if they read and write fp16.
_EXACT_INSIDE = {"LayerNormalization", "Softmax"}
# Normalisations and the operators that older exports build them from, softmax, and sums over many values.
_SENSITIVE = _EXACT_INSIDE | {
    "SimplifiedLayerNormalization", "RMSNormalization", "GroupNormalization",
    "InstanceNormalization", "LpNormalization", "LogSoftmax", "Pow", "Sqrt", "Reciprocal",
    "ReduceMean", "ReduceSum", "ReduceL2", "ReduceSumSquare", "CumSum",
}  # fmt: skip
# Operators with an input that must be fp32, or without an fp16 kernel in any provider.
_BOUND = {"Resize", "Upsample", "Range", "RoiAlign", "TopK", "QuantizeLinear", "DequantizeLinear"}
_ARITHMETIC = {"Add", "Sub", "Mul", "Div"}
# ONNX Runtime moves transposes into a normalisation.
_ONWARD = _ARITHMETIC | {"Transpose"}
# Operators before the first layer of a bundle's graph, and those after the pooled states.
_BEGINNING = _ARITHMETIC | {"Cast", "Transpose", "Reshape"}
_ENDING = _SENSITIVE | {"Sub", "Mul", "Div", "Cast", "Clip", "Expand", "Flatten", "Max", "Squeeze"}


def find_exclusions(model: ModelProto, kept: Collection[str] = (), *, half_norms: bool = False) -> list[str]:
    """Returns the names of the nodes that stay in fp32; `kept` are among them.

    These are the scaling of pixels, normalisations (also if built from simpler operators), softmax, sums, and the final
    normalisation with all nodes between it and the pooled states.

    Args:
        model: a model with named nodes.
        kept: names of further nodes.
        half_norms: whether layer normalisation and softmax, where they are one operator, read and write fp16.
    """
    sensitive = _SENSITIVE - _EXACT_INSIDE if half_norms else _SENSITIVE
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    constants = {tensor.name for tensor in graph.initializer}
    excluded = {node.name for node in graph.node if node.name in kept or node.op_type in sensitive | _BOUND}
    excluded |= {node.name for node in _ending(makers, [EMBEDDING])}
    pixels = {value.name for value in graph.input if value.type.tensor_type.elem_type == TensorProto.UINT8}
    for node in graph.node:  # nodes are in execution order
        read = [name for name in node.input if name and name not in constants]
        if node.op_type in _BEGINNING and read and pixels.issuperset(read):
            pixels.update(node.output)
            excluded.add(node.name)
        sources = [makers[name] for name in read if name in makers]
        # x - mean(x), and var + epsilon, which fp16 would round to 0; then the operators that follow.
        of_mean = any(source.op_type == "ReduceMean" for source in sources) and node.op_type in _ARITHMETIC
        onward = sources and all(source.name in excluded for source in sources) and node.op_type in _ONWARD
        if of_mean or onward:
            excluded.add(node.name)
    return [node.name for node in graph.node if node.name in excluded]


def _ending(makers: Mapping[str, NodeProto], names: Iterable[str]) -> Iterator[NodeProto]:
    for name in names:
        node = makers.get(name)
        if node is not None and node.op_type in _ENDING:
            yield node
            yield from _ending(makers, node.input)
