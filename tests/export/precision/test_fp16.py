"""fp16: nodes that are converted, nodes that stay in fp32, and values too large for fp16."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from glimpse.export.onnx.onnx_model import Inputs
from glimpse.export.precision import ConvertedGraph, convert_precision
from glimpse.export.precision.fp16_convert import convert_nodes
from support.quantizable_graphs import convolutions, pictures, texts, transformer

IMAGES: list[Inputs] = [{"images": pictures(8, seed)} for seed in range(2)]
SUMS = {"Pow", "Sqrt", "ReduceMean", "ReduceSum", "ReduceL2", "Max"}
NORMS = {"LayerNormalization", "Softmax"}


def fp16(graph: Path, inputs: list[Inputs] = IMAGES) -> tuple[ConvertedGraph, onnx.ModelProto]:
    out = graph.with_name("out.onnx")
    lowered = convert_precision(graph, out, "fp16", inputs, lambda _: None)
    return lowered, onnx.load(out)


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    found = {tensor.name: tensor.data_type for tensor in inferred.initializer}
    for value in [*inferred.value_info, *inferred.input, *inferred.output]:
        found[value.name] = value.type.tensor_type.elem_type
    return found


@pytest.fixture(params=[(17, False), (17, True), (18, False), (18, True)], ids=str)
def halved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[ConvertedGraph, onnx.ModelProto]:
    opset, spelled_out = request.param
    return fp16(transformer(tmp_path / "graph.onnx", opset=opset, spelled_out=spelled_out))


def test_the_embedding_stays_near(halved: tuple[ConvertedGraph, onnx.ModelProto]) -> None:
    assert halved[0].min_cosine >= 0.9999
    assert halved[0].kept == ()


def test_inputs_and_outputs_keep_their_types(halved: tuple[ConvertedGraph, onnx.ModelProto]) -> None:
    graph = halved[1].graph
    types = [value.type.tensor_type.elem_type for value in [*graph.input, *graph.output]]
    assert types == [TensorProto.UINT8, TensorProto.FLOAT]


def test_layers_are_half(halved: tuple[ConvertedGraph, onnx.ModelProto]) -> None:
    types = element_types(halved[1])
    products = [node for node in halved[1].graph.node if node.op_type in ("MatMul", "Conv")]
    assert len(products) == 3 * 8 + 2
    assert {types[name] for node in products for name in [*node.input, *node.output]} == {TensorProto.FLOAT16}


def test_sums_are_single(halved: tuple[ConvertedGraph, onnx.ModelProto]) -> None:
    types = element_types(halved[1])
    nodes = [node for node in halved[1].graph.node if node.op_type in SUMS]
    assert {types[node.output[0]] for node in nodes} == {TensorProto.FLOAT}


def test_norms_and_softmax_are_half_so_that_no_casts_stand_between_layers(tmp_path: Path) -> None:
    converted, model = fp16(transformer(tmp_path / "graph.onnx"))
    types = element_types(model)
    norms = [node for node in model.graph.node if node.op_type in NORMS]
    assert len(norms) == 7 + 3
    assert {types[node.output[0]] for node in norms} == {TensorProto.FLOAT16}
    assert converted.notes == ("fp16; in fp32: scaling of pictures, sums",)
    # After the scaling of pixels, before and after the mean of the states, and before the last norm.
    assert sum(node.op_type == "Cast" and node.input[0] != "images" for node in model.graph.node) == 4


def test_norms_and_softmax_are_single_where_half_would_change_the_vectors(tmp_path: Path) -> None:
    converted, model = fp16(transformer(tmp_path / "graph.onnx", loud=300))
    types = element_types(model)
    norms = [node for node in model.graph.node if node.op_type in NORMS]
    assert {types[node.output[0]] for node in norms} == {TensorProto.FLOAT}
    assert converted.notes == ("fp16; in fp32: scaling of pictures, normalisations, softmax, sums",)


def test_the_operators_of_a_norm_stay_in_fp32(tmp_path: Path) -> None:
    # From opset 17 on, ONNX Runtime spells them in one word.
    _, model = fp16(transformer(tmp_path / "graph.onnx", spelled_out=True, opset=13))
    types = element_types(model)
    arithmetic = [node for node in model.graph.node if node.op_type in ("Sub", "Div")]
    assert len(arithmetic) == 2 * 7 + 2  # seven norms, the pixels' shift, the last length
    assert {types[node.output[0]] for node in arithmetic} == {TensorProto.FLOAT}


def test_pixels_are_scaled_in_single(tmp_path: Path) -> None:
    _, model = fp16(transformer(tmp_path / "graph.onnx"))
    types = element_types(model)
    assert {types[name] for name in ("floats", "scaled", "shifted", "planes")} == {TensorProto.FLOAT}


def test_the_last_norm_is_single_from_the_pooled_states_on(tmp_path: Path) -> None:
    _, model = fp16(transformer(tmp_path / "graph.onnx"))
    types = element_types(model)
    [last] = [node for node in model.graph.node if "embedding" in node.output]
    assert last.op_type == "Div"
    assert {types[name] for name in last.input} == {TensorProto.FLOAT}


@pytest.mark.parametrize(
    ("build", "inputs"),
    [(lambda file: transformer(file, text=True), [texts(8)]), (convolutions, IMAGES)],
    ids=["text", "convolutions"],
)
def test_texts_and_convolutions_too(build: Callable[[Path], Path], inputs: list[Inputs], tmp_path: Path) -> None:
    lowered, _ = fp16(build(tmp_path / "graph.onnx"), inputs)
    assert lowered.min_cosine >= 0.9999


def test_nodes_of_values_too_large_for_half_stay_in_single(tmp_path: Path) -> None:
    lowered, model = fp16(transformer(tmp_path / "graph.onnx", loud=300))
    types = element_types(model)
    assert lowered.kept
    assert lowered.min_cosine >= 0.9999
    assert {types[node.output[0]] for node in model.graph.node if node.name in lowered.kept} == {TensorProto.FLOAT}


def test_overflow_is_seen_though_processors_compute_in_single(tmp_path: Path) -> None:
    lines: list[str] = []
    graph = transformer(tmp_path / "graph.onnx", loud=300)
    convert_precision(graph, tmp_path / "out.onnx", "fp16", IMAGES, lines.append)
    assert lines[0] == "fp16 with 0 more nodes in float: smallest cosine -1.000000"


def test_constants_too_large_for_half_become_its_largest() -> None:
    nodes = [helper.make_node("Add", ["x", "mask"], ["y"], name="add")]
    model = _model(nodes, {"mask": floats([-3.4e38, 0])})
    halved = convert_nodes(model, [])
    [mask] = [numpy_helper.to_array(tensor) for tensor in halved.graph.initializer]
    assert mask.tolist() == [-65504, 0]


def test_a_constant_that_both_read_is_there_twice() -> None:
    nodes = [
        helper.make_node("Add", ["x", "c"], ["between"], name="half"),
        helper.make_node("Mul", ["between", "c"], ["y"], name="single"),
    ]
    halved = convert_nodes(_model(nodes, {"c": floats([1, 2])}), ["single"])
    assert sorted(tensor.data_type for tensor in halved.graph.initializer) == [TensorProto.FLOAT, TensorProto.FLOAT16]
    assert _run(halved).tolist() == [1, 4]


def test_values_that_an_inner_graph_reads_stay_in_fp32() -> None:
    inner = helper.make_graph(
        [helper.make_node("Mul", ["between", "between"], ["squared"])],
        "inner",
        [],
        [helper.make_tensor_value_info("squared", TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("Add", ["x", "c"], ["between"], name="before"),
        helper.make_node("If", ["always"], ["chosen"], name="if", then_branch=inner, else_branch=inner),
        helper.make_node("Add", ["chosen", "c"], ["y"], name="after"),
    ]
    halved = convert_nodes(_model(nodes, {"c": floats([1, 2]), "always": np.array(True)}), [])
    assert _run(halved).tolist() == [2, 6]
    assert element_types(halved)["y_half"] == TensorProto.FLOAT16


def floats(values: list[float]) -> np.ndarray:
    return np.array(values, np.float32)


def _model(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "graph", values[:1], values[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)


def _run(model: onnx.ModelProto) -> np.ndarray:
    import onnxruntime as ort

    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["y"], {"x": np.zeros(2, np.float32)})[0])
