"""The logit scale of a model of images and texts: from its graph, from its family, from the user, or unknown."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from glimpse.export.foreign.options import ForeignOptions
from glimpse.export.foreign.wrap import draft_bundle
from support.foreign import clip_of_one_file, immich, sentence_transformer, write_json

UNCHECKED = ForeignOptions("mine", unchecked=True)


def with_weights(folder: Path, **values: float) -> Path:
    """Adds weights to the graph of both towers, named as torch names them, and makes the logits depend on them."""
    file = folder / "onnx" / "model.onnx"
    model = onnx.load(file)
    model.graph.node[-1].output[0] = "cosines"
    for name, value in values.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), f"clip_model.{name}"))
    model.graph.node.append(helper.make_node("Exp", ["clip_model.logit_scale"], ["factor"]))
    model.graph.node.append(helper.make_node("Mul", ["cosines", "factor"], ["logits_per_image"]))
    onnx.save(model, file)
    return folder


def family(folder: Path, **config: Any) -> Path:
    """Changes the settings of a model."""
    file = folder / "config.json"
    write_json(file, json.loads(file.read_text()) | config)
    return folder


@pytest.mark.parametrize(
    ("change", "scale", "bias", "source"),
    [
        (lambda folder: with_weights(folder, logit_scale=3.0), np.exp(3), None, "onnx/model.onnx has them"),
        (lambda folder: folder, 100, None, "CLIP's training ends at 100"),
        (
            lambda folder: family(with_weights(folder, logit_scale=4.76, logit_bias=-12.5), model_type="siglip"),
            np.exp(4.76),
            -12.5,
            "onnx/model.onnx has them",
        ),
        (lambda folder: family(folder, model_type="siglip"), None, None, "give --logit-scale and --logit-bias"),
        (lambda folder: family(folder, model_type="align"), None, None, "no value is known for the family"),
        # A factor instead of its logarithm is nothing that this graph says.
        (
            lambda folder: family(with_weights(folder, logit_scale=100.0), model_type="align"),
            *(None, None, "no value is known for the family"),
        ),
    ],
)
def test_the_logit_scale(change: Any, scale: float | None, bias: float | None, source: str, tmp_path: Path) -> None:
    bundle, _ = draft_bundle(change(clip_of_one_file(tmp_path / "in")), made(tmp_path / "work"), UNCHECKED)
    manifest = bundle.manifest
    assert manifest.logit_scale == (None if scale is None else pytest.approx(scale, abs=1e-3))
    assert manifest.logit_bias == bias
    assert source in manifest.provenance["logit_scale"]


@pytest.mark.parametrize(("init", "scale"), [({}, 100), ({"init_logit_bias": -10, "init_logit_scale": 2.3}, None)])
def test_the_logit_scale_in_layouts_of_open_clip(init: dict[str, float], scale: float | None, tmp_path: Path) -> None:
    """The settings have what the training began with, which says of a SigLIP that it is one, and no more."""
    folder = family(immich(tmp_path / "in"), **init)
    assert draft_bundle(folder, made(tmp_path / "work"), UNCHECKED)[0].manifest.logit_scale == scale


def test_a_stated_logit_scale_comes_first(tmp_path: Path) -> None:
    folder = with_weights(clip_of_one_file(tmp_path / "in"), logit_scale=3.0)
    options = replace(UNCHECKED, logit_scale=112.3, logit_bias=-16.5)
    manifest = draft_bundle(folder, made(tmp_path / "work"), options)[0].manifest
    assert (manifest.logit_scale, manifest.logit_bias) == (112.3, -16.5)
    assert manifest.provenance["logit_scale"] == "--logit-scale"


def test_a_sentence_encoder_has_no_logit_scale(tmp_path: Path) -> None:
    manifest = draft_bundle(sentence_transformer(tmp_path / "in"), made(tmp_path / "work"), UNCHECKED)[0].manifest
    assert manifest.logit_scale is None
    assert "logit_scale" not in manifest.provenance


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder
