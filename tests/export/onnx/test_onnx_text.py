"""ONNX text encoders as bundles: equal to states pooled in NumPy, or refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from glimpse.backbone import Encoder, Tokenizer
from glimpse.export.errors import ExportError
from glimpse.export.graph.text_graph import Pooling
from glimpse.export.onnx.onnx_text import TextEncoderSource, wrap_text_encoder
from support.encoders import DIMENSION, states_by_hand, text_encoder, word_tokenizer

TEXTS = ["", "one", "two words", "a longer text of words one two three", "nobody knows"]
POOLED = {"mean": lambda states: states.mean(0), "cls": lambda states: states[0], "last": lambda states: states[-1]}


def wrapped(
    tmp_path: Path, pooling: Pooling, traits: dict[str, Any], **changes: Any
) -> tuple[Encoder, Tokenizer, Path]:
    file = text_encoder(tmp_path / "model.onnx", **traits)
    source = TextEncoderSource(word_tokenizer(tmp_path / "tok.json"), context_length=6, pooling=pooling, **changes)
    bundle = wrap_text_encoder(file, tmp_path / "bundle", source, name="words", license="MIT")
    assert bundle.manifest.modalities == ("text",)
    assert bundle.manifest.dimension == DIMENSION
    return Encoder(bundle, threads=1), Tokenizer.of(bundle), file


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize(
    "traits",
    [
        {},
        {"inputs": ("input_ids",)},
        {"inputs": ("tokens",)},
        {"inputs": ("input_ids", "attention_mask", "token_type_ids")},
        {"element": TensorProto.INT32},
        {"output": "embedding"},
        {"output": "attention_mask", "inputs": ("input_ids",)},
    ],
    ids=str,
)
def test_a_wrapped_encoder_is_the_encoder_pooled(tmp_path: Path, pooling: Pooling, traits: dict[str, Any]) -> None:
    encoder, tokenizer, file = wrapped(tmp_path, pooling, traits)
    ids = [tokenizer.encode(text).ids for text in TEXTS]
    vectors = encoder.encode_texts(*tokenizer.pad(ids))
    for vector, one in zip(vectors, ids, strict=True):
        wanted = POOLED[pooling](states_by_hand(file, one.tolist()))
        assert float(vector @ wanted / np.linalg.norm(wanted)) > 0.99999


def test_a_prefix_is_put_before_every_text(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    _, plain, _ = wrapped(tmp_path / "a", "mean", {})
    _, prefixed, _ = wrapped(tmp_path / "b", "mean", {}, prefix="text of ")
    assert prefixed.encode("two words").ids.tolist() == plain.encode("text of two words").ids.tolist()


def test_an_encoder_that_minds_padding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="a batch differs from its inputs one by one"):
        wrapped(tmp_path, "mean", {"inputs": ("input_ids",), "minds_padding": True})
    assert not (tmp_path / "bundle").exists()


def test_states_without_pooling_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"has shape|does not run"):
        wrapped(tmp_path, "none", {})


def test_inputs_that_a_bundle_cannot_provide_are_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="of which pixel_values cannot be filled"):
        wrapped(tmp_path, "mean", {"inputs": ("input_ids", "attention_mask", "pixel_values"), "output_of_all": True})


def test_a_missing_tokenizer_is_reported(tmp_path: Path) -> None:
    file = text_encoder(tmp_path / "model.onnx")
    (tmp_path / "broken.json").write_text("{}")
    for name, message in (("none.json", "there is no file"), ("broken.json", "is not a tokenizer.json")):
        with pytest.raises(ExportError, match=message):
            wrap_text_encoder(file, tmp_path / "bundle", TextEncoderSource(tmp_path / name, 6), name="words")
