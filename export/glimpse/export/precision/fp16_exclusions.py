"""Which nodes stay in single precision where the others are halved."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from onnx import ModelProto, NodeProto, TensorProto

from glimpse.export.graph.graph_editing import EMBEDDING

# Normalisations and what older exports spell them with, softmax, and sums over many values.
_SENSITIVE = {
    "LayerNormalization", "SimplifiedLayerNormalization", "RMSNormalization", "GroupNormalization",
    "InstanceNormalization", "LpNormalization", "Softmax", "LogSoftmax", "Pow", "Sqrt", "Reciprocal",
    "ReduceMean", "ReduceSum", "ReduceL2", "ReduceSumSquare", "CumSum",
}  # fmt: skip
# Operators of which some input must be single, or that no provider has in half.
_BOUND = {"Resize", "Upsample", "Range", "RoiAlign", "TopK", "QuantizeLinear", "DequantizeLinear"}
_ARITHMETIC = {"Add", "Sub", "Mul", "Div"}
# ONNX Runtime moves transposes into the middle of a norm.
_ONWARD = _ARITHMETIC | {"Transpose"}
# What a bundle's graph begins with, up to the first layer, and what it ends in, from the pooled states on.
_BEGINNING = _ARITHMETIC | {"Cast", "Transpose", "Reshape"}
_ENDING = _SENSITIVE | {"Sub", "Mul", "Div", "Cast", "Clip", "Expand", "Flatten", "Max", "Squeeze"}


def find_exclusions(model: ModelProto, kept: Collection[str] = ()) -> list[str]:
    """The names of these nodes; `kept` are among them.

    Scaling of the pixels; normalisations, also where they are spelled out; softmax; sums; and the last
    normalisation with all between it and the pooled states.
    """
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    constants = {tensor.name for tensor in graph.initializer}
    found = {node.name for node in graph.node if node.name in kept or node.op_type in _SENSITIVE | _BOUND}
    found |= {node.name for node in _ending(makers, [EMBEDDING])}
    pixels = {value.name for value in graph.input if value.type.tensor_type.elem_type == TensorProto.UINT8}
    for node in graph.node:  # in the order of their running
        read = [name for name in node.input if name and name not in constants]
        if node.op_type in _BEGINNING and read and pixels.issuperset(read):
            pixels.update(node.output)
            found.add(node.name)
        sources = [makers[name] for name in read if name in makers]
        # x - mean(x), and var + a little that half precision would take for 0; then what goes on from there.
        of_mean = any(source.op_type == "ReduceMean" for source in sources) and node.op_type in _ARITHMETIC
        onward = sources and all(source.name in found for source in sources) and node.op_type in _ONWARD
        if of_mean or onward:
            found.add(node.name)
    return [node.name for node in graph.node if node.name in found]


def _ending(makers: Mapping[str, NodeProto], names: Iterable[str]) -> Iterator[NodeProto]:
    for name in names:
        node = makers.get(name)
        if node is not None and node.op_type in _ENDING:
            yield node
            yield from _ending(makers, node.input)
