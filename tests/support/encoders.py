"""Plain ONNX image encoders as people have them: float input, any layout, a batch frozen at 1."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE, DIMENSION = 12, 5


def conv_encoder(
    file: Path,
    *,
    layout: str = "NCHW",
    batch: int | str = "batch",
    flatten_to: list[int] | None = None,
    outputs: tuple[str, ...] = ("features",),
    input_name: str = "x",
    element: int = TensorProto.FLOAT,
    opset: int = 17,
    size: int | str = SIZE,
) -> Path:
    """A convolution and a mean over the plane. Outputs (n, d, 1, 1), or reshaped to `flatten_to`."""
    dtype = helper.tensor_dtype_to_np_dtype(element)
    weights = np.random.default_rng(0).normal(0, 0.3, (DIMENSION, 3, 3, 3)).astype(dtype)
    nodes, value = [], input_name
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [input_name], ["planes"], perm=[0, 3, 1, 2]))
        value = "planes"
    nodes += [
        helper.make_node("Conv", [value, "weights"], ["mapped"]),
        helper.make_node("Relu", ["mapped"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled" if flatten_to else outputs[0]]),
    ]
    constants = [numpy_helper.from_array(weights, "weights")]
    if flatten_to:
        constants.append(numpy_helper.from_array(np.array(flatten_to, np.int64), "shape"))
        nodes.append(helper.make_node("Reshape", ["pooled", "shape"], [outputs[0]]))
    nodes += [helper.make_node("Neg", [outputs[0]], [name]) for name in outputs[1:]]
    shape = [batch, 3, size, size] if layout == "NCHW" else [batch, size, size, 3]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info(input_name, element, shape)],
        [helper.make_tensor_value_info(name, element, list("nd" if flatten_to else "ndhw")) for name in outputs],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.save(model, file)
    return file


def by_hand(file: Path, pixels: npt.NDArray[np.uint8], mean: float, std: float, layout: str = "NCHW") -> np.ndarray:
    """What the encoder says of uint8 (S, S, 3) pixels, normalised and brought to length 1 in NumPy."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    [given] = session.get_inputs()
    value = (pixels.astype(np.float64) / 255 - mean) / std
    value = value.transpose(2, 0, 1) if layout == "NCHW" else value
    dtype = np.float16 if "float16" in given.type else np.float32
    vector = np.asarray(session.run(None, {given.name: value[None].astype(dtype)})[0], np.float64).ravel()
    return vector / np.linalg.norm(vector)
