"""Tiny bundles with real ONNX graphs of random weights and a real tokenizer file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from glimpse.backbone import Bundle, write_bundle

_WORDS = [
    "a",
    "red",
    "green",
    "blue",
    "circle",
    "square",
    "triangle",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
]


def tiny_image_bundle(
    out: Path, name: str = "tiny-image", *, size: int = 16, dimension: int = 8, seed: int = 0
) -> Bundle:
    """Writes a bundle for images only: a random projection of the pixels."""
    work = _folder(out)
    _image_graph(work / "image.onnx", size, dimension, seed)
    return write_bundle(out, _fields(name, dimension, size=size), {"image.onnx": work / "image.onnx"})


def tiny_dual_bundle(
    out: Path,
    name: str = "tiny",
    *,
    size: int = 16,
    dimension: int = 8,
    context: int = 6,
    seed: int = 0,
    fixed: bool = False,
) -> Bundle:
    """Writes a bundle for images and texts: a random projection of pixels, and the sum of random word vectors.

    With `fixed` the text graph reads only the full context length, like SigLIP.
    """
    work = _folder(out)
    _image_graph(work / "image.onnx", size, dimension, seed)
    _tokenizer(work / "tokenizer.json")
    _text_graph(work / "text.onnx", len(_WORDS) + 2, dimension, seed, context if fixed else "t")
    fields = _fields(name, dimension, size=size, context=context)
    if fixed:
        fields["text"] = {"context_length": context, "padding": "context"}
    return write_bundle(out, fields, {f.name: f for f in work.iterdir()})


def child_bundle(parent: Bundle, out: Path, min_cosine: float, *, name: str | None = None) -> Bundle:
    """Writes a child of `parent` like one of lower precision: all weights differ slightly, and it names its parent."""
    rng, work = np.random.default_rng(7), _folder(out)
    contents = {file: parent.path / file for file in parent.manifest.files}
    for file in ("image.onnx", "text.onnx"):
        model = onnx.load(parent.path / file)
        for tensor in model.graph.initializer:
            values = numpy_helper.to_array(tensor)
            if values.dtype == np.float32 and values.ndim:
                noise = rng.normal(0, 1e-3 * values.std(), values.shape).astype(np.float32)
                tensor.CopyFrom(numpy_helper.from_array(values + noise, tensor.name))
        onnx.save(model, work / file)
        contents[file] = work / file
    fields = parent.manifest.model_dump(exclude={"files", "embedding_space", "parent"})
    lineage = {"embedding_space": parent.manifest.embedding_space, "min_cosine": min_cosine}
    changed = {"name": name or parent.manifest.name, "precision": "int8", "parent": lineage}
    return write_bundle(out, {**fields, **changed}, contents)


def _folder(out: Path) -> Path:
    work = out.with_name(f"{out.name}-parts")
    work.mkdir(parents=True)
    return work


def _fields(name: str, dimension: int, *, size: int, context: int | None = None) -> dict[str, object]:
    return {
        "name": name,
        "description": "random weights, for tests",
        "modalities": ("image", "text") if context else ("image",),
        "dimension": dimension,
        "image": {"size": size, "resize": "squash", "interpolation": "bilinear"},
        "text": {"context_length": context} if context else None,
        "logit_scale": 20.0 if context else None,
        "prompt_templates": ("{}", "a {}") if context else (),
        "license": "Apache-2.0",
        "provenance": {"made_by": "tests/support/bundles.py"},
    }


def _image_graph(file: Path, size: int, dimension: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 0.05, (size * size * 3, dimension)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["floats"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["projected"]),
        # Gives a black image a direction.
        helper.make_node("Add", ["projected", "bias"], ["shifted"]),
        helper.make_node("LpNormalization", ["shifted"], ["embedding"], axis=1, p=2),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", size, size, 3])
    constants = {"weights": weights, "bias": rng.normal(0, 1, dimension).astype(np.float32)}
    _save(file, nodes, [images], constants, dimension)


def _text_graph(file: Path, vocabulary: int, dimension: int, seed: int, length: int | str) -> None:
    rng = np.random.default_rng(seed + 1)
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["vectors"]),  # (N, T, d)
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),  # (N, T, 1)
        helper.make_node("Mul", ["vectors", "column"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "middle"], ["summed"], keepdims=0),
        helper.make_node("LpNormalization", ["summed"], ["embedding"], axis=1, p=2),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", length])
        for name in ("input_ids", "attention_mask")
    ]
    constants = {
        "words": rng.normal(0, 1, (vocabulary, dimension)).astype(np.float32),
        "last": np.array([2], np.int64),
        "middle": np.array([1], np.int64),
    }
    _save(file, nodes, inputs, constants, dimension)


def _save(
    file: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    constants: Mapping[str, Any],
    dimension: int,
) -> None:
    graph = helper.make_graph(
        nodes,
        file.stem,
        inputs,
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", dimension])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, file)


def _tokenizer(file: Path) -> None:
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", *_WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(file))
