"""Emulates an fp16 graph of a GPU on a processor.

ONNX Runtime computes fp16 nodes in fp32 on a processor, and removes the casts between its kernels, so neither rounding
nor overflow shows. Here every value is rounded as it would be stored.
"""

from collections.abc import Collection

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from glimpse.export.graph.subgraphs import replace
from glimpse.export.precision.fp16_convert import FLOAT, HALF, bound_to_subgraphs, floats_of, half_constant


def emulate_fp16(model: ModelProto, single: Collection[str]) -> ModelProto:
    """Returns the graph in fp32 that rounds wherever `convert_nodes(model, single)` stores fp16."""
    emulated = ModelProto()
    emulated.CopyFrom(model)
    graph = emulated.graph
    kept = {*single, *bound_to_subgraphs(graph)}
    floats = floats_of(graph)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    rounded = set[str]()  # values that are rounded already
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.name in kept:
            nodes.append(node)
            continue
        for place, name in enumerate(node.input):
            if name not in floats or name in rounded:
                continue
            own = node.input[place] = f"{name}_rounded"
            if own not in rounded:
                rounded.add(own)
                if name in constants:
                    values = half_constant(numpy_helper.to_array(constants[name])).astype(np.float32)
                    graph.initializer.append(numpy_helper.from_array(values, own))
                else:
                    nodes += _rounding(name, own)
        nodes.append(node)
        for place, name in enumerate(node.output):
            if name in floats:
                rounded.add(name)
                node.output[place] = f"{name}_exact"
                nodes += _rounding(node.output[place], name)
    replace(graph.node, nodes)
    return emulated


def _rounding(source: str, target: str) -> list[NodeProto]:
    stored = f"{target}_stored"
    return [
        helper.make_node("Cast", [source], [stored], name=f"{stored}_cast", to=HALF),
        helper.make_node("Cast", [stored], [target], name=f"{target}_cast", to=FLOAT),
    ]
