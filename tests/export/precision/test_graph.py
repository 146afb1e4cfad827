"""Prepared graphs, their layers and their files."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto

from glimpse.export.errors import ExportError
from glimpse.export.precision import convert_precision
from glimpse.export.precision.compare import Reference
from glimpse.export.precision.graph import find_layers, prepare, save
from glimpse.export.precision.quantize import calibrate, quantize
from support.quantizable_graphs import PATCH, TOKENS, WIDTH, convolutions, pictures, transformer

INPUTS = {"images": pictures(8)}


def test_a_prepared_graph_is_the_graph(tmp_path: Path) -> None:
    graph = convolutions(tmp_path / "graph.onnx")
    file = save(prepare(graph, tmp_path), tmp_path / "saved.onnx")
    assert Reference(graph, [INPUTS]).min_cosine(file) > 0.999999


def test_batch_norms_are_folded_and_gemm_is_a_product(tmp_path: Path) -> None:
    found: Counter[str] = Counter()
    for graph in (convolutions(tmp_path / "a.onnx"), transformer(tmp_path / "b.onnx")):
        found.update(node.op_type for node in prepare(graph, tmp_path).graph.node)
    assert found["BatchNormalization"] == found["Gemm"] == 0


def test_every_node_has_a_name_of_its_own(tmp_path: Path) -> None:
    model = onnx.load(transformer(tmp_path / "graph.onnx"))
    for node in model.graph.node:
        node.name = ""
    onnx.save(model, tmp_path / "graph.onnx")
    names = [node.name for node in prepare(tmp_path / "graph.onnx", tmp_path).graph.node]
    assert all(names)
    assert len(set(names)) == len(names)


def test_only_the_domains_in_use_are_written_down(tmp_path: Path) -> None:
    model = prepare(transformer(tmp_path / "graph.onnx"), tmp_path)
    assert [entry.domain for entry in model.opset_import] == [""]


def test_old_operators_are_brought_to_those_with_a_scale_a_channel(tmp_path: Path) -> None:
    graph = convolutions(tmp_path / "graph.onnx", opset=11)
    lowered = convert_precision(graph, tmp_path / "out.onnx", "int8", [INPUTS], lambda _: None)
    assert lowered.min_cosine > 0.995


def test_work_is_counted_for_one_input(tmp_path: Path) -> None:
    model = prepare(transformer(tmp_path / "graph.onnx", depth=1), tmp_path)
    work = {layer.name: layer.work for layer in find_layers(model, tmp_path, INPUTS)}
    assert work["patches"] == TOKENS * WIDTH * 3 * PATCH * PATCH
    assert work["wide_0"] == TOKENS * WIDTH * 2 * WIDTH


def test_a_file_that_is_no_graph_is_an_error_of_the_export(tmp_path: Path) -> None:
    (tmp_path / "graph.onnx").write_bytes(b"nothing")
    with pytest.raises(ExportError, match="cannot run"):
        convert_precision(tmp_path / "graph.onnx", tmp_path / "out.onnx", "int8", [INPUTS], lambda _: None)


@pytest.mark.parametrize(("largest", "files"), [(10**9, ["saved.onnx"]), (1000, ["saved.onnx", "saved.onnx.data"])])
def test_weights_have_their_own_file_only_if_they_are_too_large(largest: int, files: list[str], tmp_path: Path) -> None:
    model = prepare(transformer(tmp_path / "graph.onnx"), tmp_path)
    (tmp_path / "out").mkdir()
    for _ in range(2):  # over an earlier one
        saved = save(model, tmp_path / "out" / "saved.onnx", largest)
    assert sorted(file.name for file in saved.parent.iterdir()) == files
    assert sum(file.stat().st_size for file in saved.parent.iterdir()) < 1.5 * model.ByteSize()
    assert Reference(tmp_path / "graph.onnx", [INPUTS]).min_cosine(saved) > 0.999999


def test_weights_next_to_the_graph_are_read(tmp_path: Path) -> None:
    model = onnx.load(transformer(tmp_path / "graph.onnx"))
    (tmp_path / "parted").mkdir()
    parted = save(model, tmp_path / "parted" / "image.onnx", largest=1000)
    assert convert_precision(parted, tmp_path / "out.onnx", "int8", [INPUTS], lambda _: None).min_cosine > 0.995


def test_a_convolution_held_in_float_between_others_is_computed_in_float(tmp_path: Path) -> None:
    """ONNX Runtime quantises such ones itself, with one scale for the whole weight, which ruins this one."""
    graph = convolutions(tmp_path / "graph.onnx", uneven=True)
    model = prepare(graph, tmp_path)
    layers = find_layers(model, tmp_path, INPUTS)
    ranges = calibrate(save(model, tmp_path / "prepared.onnx"), [INPUTS], "min-max")
    out = tmp_path / "out.onnx"
    quantize(model, [layer for layer in layers if layer.name != "second"], ranges, out)
    kept = [node for node in onnx.load(out).graph.node if node.name == "second"]
    assert len(kept) == 1
    assert Reference(graph, [INPUTS]).min_cosine(out) > 0.999


def test_values_read_by_a_convolution_and_a_product_are_quantised_once(tmp_path: Path) -> None:
    """The library gives the scales of both the same name."""
    model = onnx.load(convolutions(tmp_path / "graph.onnx"))
    graph = model.graph
    [relu] = [node for node in graph.node if node.op_type == "Conv" and node.name == "last"]
    weight = np.eye(pictures(1).shape[1], dtype=np.float32)
    graph.initializer.append(onnx.numpy_helper.from_array(weight, "eye"))
    [add] = [node for node in graph.node if node.op_type == "Add"]
    place = list(graph.node).index(add)
    graph.node.insert(place, onnx.helper.make_node("MatMul", [relu.input[0], "eye"], ["product"], name="product"))
    graph.node.insert(place + 1, onnx.helper.make_node("Add", [add.input[0], "product"], ["more"], name="more"))
    add.input[0] = "more"
    onnx.save(model, tmp_path / "graph.onnx")
    lowered = convert_precision(tmp_path / "graph.onnx", tmp_path / "out.onnx", "int8", [INPUTS], lambda _: None)
    assert lowered.notes[0].startswith("static: 0 matrix products")


def test_a_lowered_graph_runs_wherever_onnx_runtime_does(tmp_path: Path) -> None:
    """Standard operators only: none that a fusion made for one machine."""
    for precision in ("int8", "fp16"):
        out = tmp_path / "out.onnx"
        convert_precision(transformer(tmp_path / "graph.onnx"), out, precision, [INPUTS], lambda _: None)
        assert {node.domain for node in onnx.load(out).graph.node} == {""}
        [value] = ort.InferenceSession(str(out)).get_outputs()
        assert value.type == "tensor(float)"
        assert onnx.load(out).graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
