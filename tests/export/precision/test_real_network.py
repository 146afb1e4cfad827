"""A trained network on real photographs: MobileNet V2, which is hard to quantise."""

from pathlib import Path

import numpy as np
import pytest

from bench.vectors import MOBILENET, MOBILENET_SOURCE
from glimpse.backbone import Bundle, decode_image
from glimpse.export.onnx.onnx_image import wrap_image_encoder
from glimpse.export.onnx.onnx_model import Inputs
from glimpse.export.precision import Precision, convert_precision
from glimpse.export.precision.compare import Reference


@pytest.fixture(scope="module")
def mobilenet(evaluation_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    model = evaluation_data / MOBILENET
    if not model.is_file():
        pytest.skip(f"no model at {model}")
    folder = tmp_path_factory.mktemp("mobilenet") / "bundle"
    return wrap_image_encoder(model, folder, MOBILENET_SOURCE, name="mobilenet")


def photographs(bundle: Bundle, data: Path, which: int) -> Inputs:
    """Four of Caltech-101, of four classes."""
    rule = bundle.manifest.image
    assert rule
    files = [sorted(folder.glob("*.jpg"))[which] for folder in sorted((data / "caltech101").iterdir())[::25]]
    return {"images": np.stack([decode_image(file.read_bytes(), rule) for file in files[:4]])}


@pytest.mark.parametrize(("precision", "gate"), [("int8", 0.99), ("fp16", 0.9999)])
def test_other_photographs_come_out_near_too(
    precision: Precision, gate: float, mobilenet: Bundle, evaluation_data: Path, tmp_path: Path
) -> None:
    graph, out = mobilenet.path / "image.onnx", tmp_path / "image.onnx"
    seen = [photographs(mobilenet, evaluation_data, which) for which in (0, 1, 2)]
    lowered = convert_precision(graph, out, precision, seen, lambda _: None)
    others = [photographs(mobilenet, evaluation_data, which) for which in (10, 11)]
    assert lowered.kept
    assert Reference(graph, others).min_cosine(out) >= gate
