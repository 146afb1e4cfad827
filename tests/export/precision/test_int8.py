"""int8: matrix products and convolutions in 8 bits, layers kept in float, and refusals."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from glimpse.export.errors import ExportError
from glimpse.export.onnx.onnx_model import Inputs
from glimpse.export.precision import ConvertedGraph, convert_precision
from support.quantizable_graphs import (
    VOCABULARY,
    WIDTH,
    convolutions,
    mean_colour,
    one_product,
    pictures,
    texts,
    transformer,
)

IMAGES: list[Inputs] = [{"images": pictures(8, seed)} for seed in range(3)]
TEXTS: list[Inputs] = [texts(8, seed) for seed in range(3)]


def int8(graph: Path, inputs: list[Inputs] = IMAGES) -> tuple[ConvertedGraph, Path]:
    out = graph.with_name("out.onnx")
    return convert_precision(graph, out, "int8", inputs, lambda _: None), out


def operators(file: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(file).graph.node)


def run_by_hand(file: Path, inputs: Inputs) -> np.ndarray:
    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["embedding"], dict(inputs))[0])


def smallest_by_hand(graph: Path, out: Path, inputs: list[Inputs]) -> float:
    return min(float((run_by_hand(graph, one) * run_by_hand(out, one)).sum(1).min()) for one in inputs)


@pytest.mark.parametrize(
    ("build", "inputs"),
    [
        (transformer, IMAGES),
        (lambda file: transformer(file, text=True), TEXTS),
        (lambda file: transformer(file, opset=18), IMAGES),
        (convolutions, IMAGES),
        (lambda file: convolutions(file, head=True), IMAGES),
        (lambda file: convolutions(file, uneven=True), IMAGES),
    ],
    ids=["transformer", "text", "opset 18", "convolutions", "mixed", "uneven weights"],
)
def test_the_embedding_stays_near_and_the_reported_cosine_is_the_measured_one(
    build: Callable[[Path], Path], inputs: list[Inputs], tmp_path: Path
) -> None:
    graph = build(tmp_path / "graph.onnx")
    lowered, out = int8(graph, inputs)
    assert lowered.min_cosine >= 0.995
    assert lowered.kept == ()
    assert smallest_by_hand(graph, out, inputs) == pytest.approx(lowered.min_cosine, abs=1e-6)


def test_products_with_weights_are_quantised_as_they_run_and_a_few_convolutions_left(tmp_path: Path) -> None:
    lowered, out = int8(transformer(tmp_path / "graph.onnx"))
    found = operators(out)
    assert (found["MatMulInteger"], found["Conv"], found["QuantizeLinear"]) == (3 * 6 + 1, 1, 0)
    assert lowered.notes[0].startswith("dynamic: 19 matrix products")


def test_convolutions_that_dominate_are_quantised_by_calibrated_ranges(tmp_path: Path) -> None:
    lowered, out = int8(convolutions(tmp_path / "graph.onnx"))
    model = onnx.load(out)
    made = {node.output[0]: node.op_type for node in model.graph.node}
    convolved = [node for node in model.graph.node if node.op_type == "Conv"]
    assert {made[node.input[i]] for node in convolved for i in (0, 1)} == {"DequantizeLinear"}
    assert lowered.notes == (
        "static: 0 matrix products quantised at run time, 5 convolutions by calibrated ranges",
        "calibrated by percentile 99.999",
    )


def test_convolutions_and_products_are_both_quantised_if_both_matter(tmp_path: Path) -> None:
    lowered, out = int8(convolutions(tmp_path / "graph.onnx", head=True))
    assert lowered.notes[0].startswith("mixed: 5 matrix products quantised at run time, 5 convolutions")
    assert operators(out)["MatMulInteger"] == 5


def test_weights_are_signed_with_a_scale_for_every_channel(tmp_path: Path) -> None:
    _, out = int8(transformer(tmp_path / "graph.onnx"))
    model = onnx.load(out)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type == "MatMulInteger"]
    assert all(tensors[node.input[1]].data_type == onnx.TensorProto.INT8 for node in products)
    assert all(tensors[node.input[3]].dims[0] == tensors[node.input[1]].dims[1] for node in products)


def test_words_stay_in_float(tmp_path: Path) -> None:
    _, out = int8(transformer(tmp_path / "graph.onnx", text=True), TEXTS)
    shapes = [list(tensor.dims) for tensor in onnx.load(out).graph.initializer if tensor.data_type == 1]
    assert [VOCABULARY, WIDTH] in shapes


def test_a_layer_that_eight_bits_ruin_stays_in_float_and_no_other(tmp_path: Path) -> None:
    graph = transformer(tmp_path / "graph.onnx", trouble="row")
    lowered, out = int8(graph)
    assert lowered.kept == ("hard",)
    assert smallest_by_hand(graph, out, IMAGES) >= 0.995
    assert operators(out)["MatMulInteger"] == 18


def test_a_convolution_that_eight_bits_ruin_stays_in_float_with_the_one_that_writes_for_it(tmp_path: Path) -> None:
    graph = convolutions(tmp_path / "graph.onnx", hard=True)
    lowered, out = int8(graph)
    assert set(lowered.kept) == {"hard", "before"}
    assert smallest_by_hand(graph, out, IMAGES) >= 0.995


def test_large_columns_are_smoothed_away(tmp_path: Path) -> None:
    lowered, out = int8(transformer(tmp_path / "graph.onnx", trouble="column"))
    assert lowered.kept == ()
    assert "matrix products smoothed" in lowered.notes
    assert operators(out)["MatMulInteger"] == 19


def test_smoothing_changes_nothing_but_the_rounding(tmp_path: Path) -> None:
    """Checks that the smoothed graph gives the same vectors."""
    from glimpse.export.precision.graph import find_layers, prepare, save
    from glimpse.export.precision.smoothquant import smooth

    graph = transformer(tmp_path / "graph.onnx", trouble="column")
    model = prepare(graph, tmp_path)
    smoothed, layers = smooth(model, find_layers(model, tmp_path, IMAGES[0]), IMAGES, tmp_path)
    file = save(smoothed, tmp_path / "smoothed.onnx")
    assert smallest_by_hand(graph, file, IMAGES) > 0.99999
    assert all(layer.activation.endswith("_smoothed") for layer in layers if layer.operator == "MatMul")


def test_weights_stored_in_eight_bits_are_lowered_like_floats(tmp_path: Path) -> None:
    lowered, _ = int8(convolutions(tmp_path / "graph.onnx", stored_in_eight_bits=True))
    assert "5 convolutions" in lowered.notes[0]


def test_an_unreachable_goal_is_an_error_that_lists_the_attempts(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"0\.8\d+ with 1 layers in 8 bits .* with the 0 costliest .* fp16"):
        int8(one_product(tmp_path / "graph.onnx"))


def test_a_graph_without_weights_to_quantise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="nothing to quantise"):
        int8(mean_colour(tmp_path / "graph.onnx"))


def test_every_attempt_is_reported(tmp_path: Path) -> None:
    lines: list[str] = []
    graph = transformer(tmp_path / "graph.onnx", trouble="row")
    convert_precision(graph, tmp_path / "out.onnx", "int8", IMAGES, lines.append)
    assert "smoothing the matrix products" in lines
    assert lines[-1].startswith("int8 with 1 of 19 layers in float: smallest cosine 0.99")


def test_fp32_is_the_graph_as_it_was(tmp_path: Path) -> None:
    graph = transformer(tmp_path / "graph.onnx")
    out = tmp_path / "out.onnx"
    assert convert_precision(graph, out, "fp32", IMAGES, lambda _: None) == ConvertedGraph(
        1.0, (), ("the graph as it was",)
    )
    assert onnx.load(out) == onnx.load(graph)
