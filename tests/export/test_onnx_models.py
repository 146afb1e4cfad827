"""ONNX models as people have them: each is exported with vectors equal to its own, or refused with what to do."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto

from glimpse.backbone import Encoder, Tokenizer
from glimpse.export.onnx_image import ImageEncoderSource, wrap_image_encoder
from glimpse.export.onnx_text import TextEncoderSource, wrap_text_encoder
from glimpse.export.text_graph import Pooling
from support.encoders import word_tokenizer
from support.plain_onnx import SIDE, TOKENS, WIDTH, clip_model, image_model, saved, text_model

OPSETS = range(7, 25)
MEAN, STD = 0.4, 0.25
TYPES = {"float": np.float32, "float16": np.float16, "double": np.float64, "uint8": np.uint8, "int64": np.int64,
         "int32": np.int32, "bool": np.bool_}  # fmt: skip
TEXTS = ["", "one", "two words", "a longer text of words one two three", "nobody knows"]


def run(file: Path, output: str, values: dict[str, Any]) -> np.ndarray:
    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    types = {one.name: TYPES[one.type.removeprefix("tensor(").removesuffix(")")] for one in session.get_inputs()}
    given: Any = {name: np.asarray(value, types[name]) for name, value in values.items() if name in types}
    found: np.ndarray = np.asarray(session.run([output], given)[0], np.float64)
    return found


def cosines(found: np.ndarray, wanted: list[np.ndarray]) -> np.ndarray:
    rows = np.stack([one.ravel() for one in wanted])
    similar: np.ndarray = (found * rows).sum(1) / np.linalg.norm(rows, axis=1)
    return similar


def assert_image_equal(model: ModelProto, folder: Path, **source: Any) -> dict[str, Any]:
    """Exports a model; batches of 1 and 5 give what it gives for each picture. Returns the bundle's provenance."""
    file = saved(model, folder / "model.onnx")
    uint8 = model.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    scale: Any = {} if uint8 else {"mean": [MEAN], "std": [STD]}
    bundle = wrap_image_encoder(file, folder / "out", ImageEncoderSource(SIDE, **scale, **source), name="model")
    assert bundle.manifest.dimension == WIDTH
    pixels = np.random.default_rng(1).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)
    values = (pixels if uint8 else (pixels / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
    name = source.get("output_name") or "features"
    inputs = {"pixel_values", "pixels"}
    unused = {"input_ids": [[1]], "attention_mask": [[1]]}
    wanted = [run(file, name, {**unused, **dict.fromkeys(inputs, one[None])}) for one in values]
    encoder = Encoder(bundle, threads=1)
    together = encoder.encode_images(pixels)
    singly = np.concatenate([encoder.encode_images(one[None]) for one in pixels])
    assert cosines(together, wanted).min() > 0.99999
    np.testing.assert_allclose(together, singly, atol=1e-5)
    return bundle.manifest.provenance


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("batch", ["n", 1])
def test_images_in_every_opset(opset: int, batch: int | str, tmp_path: Path) -> None:
    model = image_model(
        opset=opset, batch=batch, head="fixed" if batch == 1 else "mean", body="if" if batch == 1 else ""
    )
    assert_image_equal(model, tmp_path)


@pytest.mark.parametrize(
    "traits",
    [
        {"ir": 3, "opset": 8, "weights_are_inputs": True},
        {"ir": 3, "opset": 7, "weights_are_inputs": True, "batch": 1, "head": "fixed"},
        {"ir": 14, "opset": 24},
        {"element": TensorProto.DOUBLE, "head": "mean"},
        {"element": TensorProto.FLOAT16},
        {"element": TensorProto.UINT8},
        {"body": "if"},
        {"body": "loop"},
        {"body": "loop", "opset": 9, "batch": 1, "head": "fixed"},
    ],
    ids=str,
)
def test_images_of_every_kind(traits: dict[str, Any], tmp_path: Path) -> None:
    assert "batches" not in assert_image_equal(image_model(**traits), tmp_path)


@pytest.mark.parametrize(
    ("traits", "looped"),
    [
        ({"head": "fixed"}, False),
        ({"head": "value_ints"}, False),
        ({"head": "concat"}, False),
        ({"head": "squeeze 0"}, False),
        ({"head": "squeeze 0", "opset": 11}, False),
        ({"head": "squeeze only 0"}, False),
        ({"head": "squeeze all"}, True),
        ({"head": "first"}, True),
        ({"body": "token"}, False),
        ({"body": "heads"}, True),
        ({"body": "heads", "opset": 7}, True),
        ({"body": "heads", "opset": 24, "element": TensorProto.FLOAT16}, True),
        ({"body": "heads", "element": TensorProto.UINT8}, True),
    ],
    ids=str,
)
def test_a_batch_that_is_fixed_at_1(traits: dict[str, Any], looped: bool, tmp_path: Path) -> None:
    """It is freed where exporters usually fix it, and else its rows run one after the other."""
    assert ("batches" in assert_image_equal(image_model(batch=1, **traits), tmp_path)) == looped


def assert_text_equal(model: ModelProto, folder: Path, pooling: Pooling, length: int = 0, **source: Any) -> Any:
    """Exports a model; batches of 1 and 5 give what it gives for each text, padded to `length` where it is fixed."""
    file = saved(model, folder / "model.onnx")
    given = TextEncoderSource(word_tokenizer(folder / "tok.json"), pooling=pooling, **source)
    bundle = wrap_text_encoder(file, folder / "out", given, name="model")
    assert bundle.manifest.dimension == WIDTH
    tokenizer, encoder = Tokenizer.of(bundle), Encoder(bundle, threads=1)
    ids = [tokenizer.encode(text).ids for text in TEXTS]
    output = source.get("output_name") or "states"
    wanted = []
    for one in ids:
        mask = np.ones_like(one)
        padded, mask = (np.pad(value, (0, max(0, length - len(one)))) for value in (one, mask))
        names = {"tokens": padded, "input_ids": padded, "input_ids:0": padded, "input_word_ids": padded}
        others = {"attention_mask": mask, "input_mask": mask, "token_type_ids": 0 * mask, "input_type_ids": 0 * mask}
        values = {name: value[None] for name, value in {**names, **others}.items()}
        raw = run(file, output, {**values, "pixel_values": np.zeros((1, 3, SIDE, SIDE))})
        if pooling != "none":
            states = raw[0][: len(one)]
            raw = {"mean": states.mean(0), "cls": states[0], "last": states[-1]}[pooling]
        wanted.append(raw)
    together = encoder.encode_texts(*tokenizer.pad(ids))
    singly = np.concatenate([encoder.encode_texts(*tokenizer.pad([one])) for one in ids])
    assert cosines(together, wanted).min() > 0.99999
    np.testing.assert_allclose(together, singly, atol=1e-5)
    return bundle.manifest


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_texts_in_every_opset(opset: int, pooling: Pooling, tmp_path: Path) -> None:
    assert_text_equal(text_model(opset=opset), tmp_path, pooling, context_length=6)


BERT = ("input_ids", "attention_mask", "token_type_ids")


@pytest.mark.parametrize(
    ("traits", "pooling"),
    [
        ({"opset": 7}, "cls"),
        ({"pooled": True}, "none"),
        ({"pooled": True, "batch": 1}, "none"),
        ({"inputs": ("tokens",)}, "mean"),
        ({"inputs": BERT, "elements": dict.fromkeys(BERT, TensorProto.INT32)}, "mean"),
        ({"inputs": ("input_ids", "attention_mask"), "elements": {"attention_mask": TensorProto.FLOAT}}, "mean"),
        ({"inputs": ("input_ids", "attention_mask"), "elements": {"attention_mask": TensorProto.BOOL}}, "last"),
        ({"inputs": ("input_word_ids", "input_mask", "input_type_ids")}, "cls"),
        ({"batch": 1}, "mean"),
    ],
    ids=str,
)
def test_texts_of_every_kind(traits: dict[str, Any], pooling: Pooling, tmp_path: Path) -> None:
    assert_text_equal(text_model(**traits), tmp_path, pooling, context_length=6)


@pytest.mark.parametrize("batch", ["n", 1])
@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_texts_of_a_fixed_length(batch: int | str, pooling: Pooling, tmp_path: Path) -> None:
    model = text_model(length=TOKENS, batch=batch, inner_length=TOKENS)
    manifest = assert_text_equal(model, tmp_path, pooling, TOKENS)
    assert (manifest.text.context_length, manifest.text.padding) == (TOKENS, "context")


def test_texts_of_a_fixed_length_that_the_model_does_not_declare(tmp_path: Path) -> None:
    manifest = assert_text_equal(text_model(inner_length=TOKENS), tmp_path, "mean", TOKENS, context_length=TOKENS)
    assert manifest.text.padding == "context"


def test_a_clip_in_one_file_gives_each_of_its_towers(tmp_path: Path) -> None:
    for folder in ("image", "text"):
        (tmp_path / folder).mkdir()
    assert_image_equal(clip_model(), tmp_path / "image", output_name="image_embeds")
    assert_text_equal(clip_model(), tmp_path / "text", "none", context_length=6, output_name="text_embeds")
