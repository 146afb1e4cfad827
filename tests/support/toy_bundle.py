"""A backbone that is easy to understand: the vector of an image is its mean colour, that of a text its colour words."""

from pathlib import Path

import numpy as np
import onnx
import tokenizers
from onnx import TensorProto, helper, numpy_helper

from glimpse.backbone import write_bundle

SIZE, DIMENSION = 8, 4
COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220), "white": (250, 250, 250)}


def make_toy_bundle(out: Path) -> Path:
    """Writes the bundle. Its vectors are (r, g, b, 0.1) relative to grey, normalised to length 1."""
    work = out.parent / f"{out.name}-parts"
    work.mkdir()
    onnx.save(_image_graph(), work / "image.onnx")
    onnx.save(_text_graph(), work / "text.onnx")
    _tokenizer().save(str(work / "tokenizer.json"))
    fields = {
        "name": "toy",
        "description": "mean colours, for tests",
        "modalities": ("image", "text"),
        "dimension": DIMENSION,
        "image": {"size": SIZE, "resize": "squash", "interpolation": "bilinear"},
        "text": {"context_length": 8},
        "logit_scale": 20.0,
        "prompt_templates": ("a {} picture",),
        "decision": {"match_threshold": 0.8, "match_margin": 0.01},
        "license": "Apache-2.0",
    }
    write_bundle(out, fields, {name: work / name for name in ("image.onnx", "text.onnx", "tokenizer.json")})
    return out


def _constant(name: str, values: object, kind: type = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, kind), name)


def _image_graph() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "plane"], ["mean"], keepdims=0),  # (N, 3)
        helper.make_node("Div", ["mean", "scale"], ["unit"]),
        helper.make_node("Sub", ["unit", "half"], ["centred"]),
        helper.make_node("Pad", ["centred", "pads", "tenth"], ["raw"]),  # (N, 4)
        helper.make_node("LpNormalization", ["raw"], ["embedding"], axis=1, p=2),
    ]
    constants = [
        _constant("plane", [1, 2], np.int64),
        _constant("scale", 255),
        _constant("half", 0.5),
        _constant("pads", [0, 0, 0, 1], np.int64),
        _constant("tenth", 0.1),
    ]
    pixels = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", SIZE, SIZE, 3])
    return _model("image", nodes, [pixels], constants)


def _text_graph() -> onnx.ModelProto:
    table = np.zeros((len(COLOURS) + 1, 3), np.float32)
    table[1:] = np.array(list(COLOURS.values())) / 255 - 0.5
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),  # (N, T, 3)
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["masks"]),
        helper.make_node("Mul", ["words", "masks"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "tokens"], ["sum"], keepdims=0),
        helper.make_node("Pad", ["sum", "pads", "tenth"], ["raw"]),
        helper.make_node("LpNormalization", ["raw"], ["embedding"], axis=1, p=2),
    ]
    constants = [
        _constant("table", table),
        _constant("last", [2], np.int64),
        _constant("tokens", [1], np.int64),
        _constant("pads", [0, 0, 0, 1], np.int64),
        _constant("tenth", 0.1),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["N", "T"]) for name in ("input_ids", "attention_mask")
    ]
    return _model("text", nodes, inputs, constants)


def _model(
    name: str,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    constants: list[onnx.TensorProto],
) -> onnx.ModelProto:
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", DIMENSION])
    graph = helper.make_graph(nodes, name, inputs, [output], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _tokenizer() -> tokenizers.Tokenizer:
    vocabulary = {"[UNK]": 0, **{colour: i for i, colour in enumerate(COLOURS, 1)}}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return tokenizer
