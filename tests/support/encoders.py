"""Plain ONNX encoders as they occur in practice: float images in any layout, a batch fixed at 1; ids and masks."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

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
    pooled: bool = True,
    constant_nodes: bool = False,
    reshaped_weights: bool = False,
) -> Path:
    """Writes a convolution and a mean over the plane. The output is (n, d, 1, 1), or reshaped to `flatten_to`.

    `reshaped_weights`: the bias comes of a Reshape to (1, d, 1, 1), as exporters write normalisation layers.
    """
    dtype = helper.tensor_dtype_to_np_dtype(element)
    weights = np.random.default_rng(0).normal(0, 0.3, (DIMENSION, 3, 3, 3)).astype(dtype)
    nodes, value = [], input_name
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [input_name], ["planes"], perm=[0, 3, 1, 2]))
        value = "planes"
    nodes += [
        helper.make_node("Conv", [value, "weights"], ["mapped"]),
        helper.make_node("Relu", ["mapped"], ["positive"]),
    ]
    constants = [numpy_helper.from_array(weights, "weights")]
    if reshaped_weights:
        constants.append(numpy_helper.from_array(np.array([1, DIMENSION, 1, 1], np.int64), "bias_shape"))
        constants.append(numpy_helper.from_array(np.full(DIMENSION, 0.1, dtype), "flat_bias"))
        nodes[-1:] = [
            helper.make_node("Reshape", ["flat_bias", "bias_shape"], ["bias"]),
            helper.make_node("Add", ["mapped", "bias"], ["shifted"]),
            helper.make_node("Relu", ["shifted"], ["positive"]),
        ]
    last = "pooled" if flatten_to else outputs[0]
    nodes.append(helper.make_node("GlobalAveragePool" if pooled else "Identity", ["positive"], [last]))
    if flatten_to:
        shape_tensor = numpy_helper.from_array(np.array(flatten_to, np.int64), "shape")
        if constant_nodes:
            nodes.append(helper.make_node("Constant", [], ["shape"], value=shape_tensor))
        else:
            constants.append(shape_tensor)
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


def dequantizing_encoder(file: Path) -> Path:
    """Writes `conv_encoder` with weights of 8 bits, which it dequantises."""
    model = onnx.load(conv_encoder(file))
    [weights] = model.graph.initializer
    quantised = (numpy_helper.to_array(weights) / 0.01).clip(-127, 127).astype(np.int8)
    del model.graph.initializer[:]
    model.graph.initializer.extend(
        [numpy_helper.from_array(quantised, "quantised"), numpy_helper.from_array(np.array(0.01, np.float32), "scale")]
    )
    model.graph.node.insert(0, helper.make_node("DequantizeLinear", ["quantised", "scale"], ["weights"]))
    onnx.save(model, file)
    return file


def by_hand(file: Path, pixels: npt.NDArray[np.uint8], mean: float, std: float, layout: str = "NCHW") -> np.ndarray:
    """Computes in NumPy the encoder's vector of uint8 (S, S, 3) pixels, normalised to length 1."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    [given] = session.get_inputs()
    value = (pixels.astype(np.float64) / 255 - mean) / std
    value = value.transpose(2, 0, 1) if layout == "NCHW" else value
    dtype = np.float16 if "float16" in given.type else np.float32
    vector = np.asarray(session.run(None, {given.name: value[None].astype(dtype)})[0], np.float64).ravel()
    return vector / np.linalg.norm(vector)


WORDS = ("[PAD]", "[UNK]", "one", "two", "three", "a", "text", "of", "words", "longer")


def word_tokenizer(file: Path, *, pad: bool = True) -> Path:
    """Writes a tokenizer of whole words; [PAD] is 0."""
    vocabulary = {word: i for i, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if pad:
        tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    tokenizer.save(str(file))
    return file


def text_encoder(
    file: Path,
    *,
    inputs: tuple[str, ...] = ("input_ids", "attention_mask"),
    element: int = TensorProto.INT64,
    output: str = "last_hidden_state",
    minds_padding: bool = False,
    output_of_all: bool = False,
) -> Path:
    """Writes an encoder with states (n, t, d): each word's vector times a curve over places, plus segment vectors.

    `minds_padding`: adds the mean over all tokens, padding too, as towers without a mask do. `output_of_all`: is
    computed from every input, whatever its name is.
    """
    rng = np.random.default_rng(0)
    constants: dict[str, npt.NDArray[Any]] = {
        "words": rng.normal(0, 1, (len(WORDS), DIMENSION)).astype(np.float32),
        "segments": rng.normal(0, 1, (2, DIMENSION)).astype(np.float32),
        "middle": np.array([1], np.int64),
    }
    nodes = [helper.make_node("Gather", ["words", inputs[0]], ["looked_up"])]
    value = "looked_up"
    if "attention_mask" in inputs:  # read as attention does, without effect if every value is 1
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["mask_float"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["mask_float", "last"], ["mask_column"]),
            helper.make_node("Mul", [value, "mask_column"], ["masked"]),
        ]
        constants["last"] = np.array([2], np.int64)
        value = "masked"
    if "token_type_ids" in inputs:
        nodes += [
            helper.make_node("Gather", ["segments", "token_type_ids"], ["segment"]),
            helper.make_node("Add", [value, "segment"], ["segmented"]),
        ]
        value = "segmented"
    if minds_padding:
        nodes += [
            helper.make_node("ReduceMean", [value], ["over_all"], axes=[1], keepdims=1),
            helper.make_node("Add", [value, "over_all"], ["mixed"]),
        ]
        value = "mixed"
    if output_of_all:
        nodes += [
            helper.make_node("Cast", [inputs[-1]], ["last_float"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["last_float", "last"], ["last_column"]),
            helper.make_node("Add", [value, "last_column"], ["of_all"]),
        ]
        value = "of_all"
    nodes.append(helper.make_node("Identity", [value], [output]))
    graph = helper.make_graph(
        nodes,
        "text",
        [helper.make_tensor_value_info(name, element, ["n", "t"]) for name in inputs],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", "t", DIMENSION])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)
    return file


def states_by_hand(file: Path, ids: list[int]) -> np.ndarray:
    """Computes the encoder's states of one text, (t, d)."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    given = {}
    for value in session.get_inputs():
        dtype = np.int32 if "int32" in value.type else np.int64
        fill = np.zeros if value.name == "token_type_ids" else np.ones
        given[value.name] = np.array([ids], dtype) if value.name not in _FILLED else fill((1, len(ids)), dtype)
    return np.asarray(session.run(None, given)[0][0])


_FILLED = ("attention_mask", "token_type_ids")
