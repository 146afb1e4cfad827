"""Quantised weights are stored as floats where ONNX Runtime would dequantise them in every run, and only there."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from bench.vectors import MOBILENET, MOBILENET_SOURCE
from glimpse.backbone import load_bundle
from glimpse.export.graph.dequantize_weights import dequantize_weights, dequantized_every_run
from glimpse.export.onnx.onnx_image import wrap_image_encoder
from glimpse.export.onnx.onnx_model import read_model, take_part

RNG = np.random.default_rng(3)
PICTURE = RNG.standard_normal((2, 3, 8, 8), np.float32)


def convolution(*, quantised_input: bool = False, axis: int = 0) -> ModelProto:
    """A convolution whose weight has 8 bits and a scale for each channel, and perhaps a quantised input."""
    weight = RNG.integers(-127, 128, (4, 3, 3, 3), np.int8)
    constants = {
        "w": weight,
        "w_scale": RNG.uniform(0.01, 0.02, (weight.shape[axis],)).astype(np.float32),
        "w_zero": RNG.integers(-5, 5, weight.shape[axis], np.int8),
        "x_scale": np.float32(0.05),
        "x_zero": np.uint8(128),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["w_float"], axis=axis),
        helper.make_node("Conv", ["x_float" if quantised_input else "x", "w_float"], ["y"]),
    ]
    if quantised_input:
        nodes.insert(0, helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["x_quantised"]))
        nodes.insert(1, helper.make_node("DequantizeLinear", ["x_quantised", "x_scale", "x_zero"], ["x_float"]))
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4, 6, 6])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items() if name in used],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def output(model: ModelProto) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": PICTURE})[0])


@pytest.mark.parametrize("axis", [0, 1])
def test_a_weight_beside_a_float_is_stored_as_floats(axis: int, tmp_path: Path) -> None:
    model = convolution(axis=axis)
    before = output(model)
    assert dequantize_weights(model, tmp_path) == 1
    assert [node.op_type for node in model.graph.node] == ["Conv"]
    assert [tensor.name for tensor in model.graph.initializer] == ["w_float"]
    np.testing.assert_allclose(output(model), before, atol=1e-5)
    assert not list(tmp_path.iterdir())


def test_a_weight_that_an_integer_operator_uses_stays(tmp_path: Path) -> None:
    model = convolution(quantised_input=True)
    before = model.SerializeToString()
    assert dequantize_weights(model, tmp_path) == 0
    assert model.SerializeToString() == before


def test_weights_in_another_file_are_read(tmp_path: Path) -> None:
    model = convolution()
    before = output(model)
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.onnx.data", size_threshold=0)
    model = onnx.load(tmp_path / "m.onnx", load_external_data=False)
    assert model.graph.initializer[0].data_location == TensorProto.EXTERNAL
    assert dequantize_weights(model, tmp_path) == 1
    np.testing.assert_allclose(output(model), before, atol=1e-5)


def test_weights_too_large_as_floats_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glimpse.export.graph.dequantize_weights._MOST_BYTES", 4 * 4 * 27 - 1)
    model = convolution()
    assert dequantize_weights(model, tmp_path) == 0
    assert len(dequantized_every_run(model)) == 1


def test_a_real_networks_bundle_dequantises_nothing(evaluation_data: Path, tmp_path: Path) -> None:
    model = evaluation_data / MOBILENET
    if not model.is_file():
        pytest.skip(f"no model at {model}")
    lines: list[str] = []
    assert len(dequantized_every_run(onnx.load(model))) == 53
    wrap_image_encoder(model, tmp_path / "bundle", MOBILENET_SOURCE, name="m", progress=lines.append)
    bundle = load_bundle(tmp_path / "bundle")
    assert not [node for node in onnx.load(bundle.path / "image.onnx").graph.node if "Dequantize" in node.op_type]
    assert bundle.manifest.provenance["dequantized_weights"] == 52  # that of the classifier is left out
    assert lines[0].startswith("storing 52 quantised weights as floats")


def test_quantised_weights_in_another_file_are_not_kept(tmp_path: Path) -> None:
    constants = {
        "w": RNG.integers(-127, 128, (64, 64), np.int8),
        "w_scale": np.float32(0.01),
        "plain": RNG.standard_normal((64, 64), np.float32),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "w_scale"], ["w_float"]),
        helper.make_node("MatMul", ["x", "w_float"], ["between"]),
        helper.make_node("MatMul", ["between", "plain"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "two",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 64])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    given = tmp_path / "given" / "m.onnx"
    given.parent.mkdir()
    onnx.save(model, given, save_as_external_data=True, location="weights", size_threshold=0)
    (tmp_path / "part").mkdir()
    part = take_part(read_model(given), given, "y", tmp_path / "part" / "image.onnx")
    assert part.dequantized == 1
    assert part.data.stat().st_size == constants["plain"].nbytes
    assert sorted(file.name for file in part.data.parent.iterdir()) == ["image.onnx", "image.onnx.data"]
    rows = RNG.standard_normal((3, 64), np.float32)
    session = ort.InferenceSession(str(part.file), providers=["CPUExecutionProvider"])
    expected = rows @ (np.asarray(constants["w"], np.float32) * 0.01) @ constants["plain"]
    np.testing.assert_allclose(session.run(None, {"x": rows})[0], expected, atol=1e-3)
