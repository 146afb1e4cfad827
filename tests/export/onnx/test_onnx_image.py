"""ONNX image encoders as bundles: equal to the original with normalisation in NumPy, or refused."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from glimpse.backbone import BundleError, Encoder
from glimpse.export.errors import ExportError
from glimpse.export.onnx.onnx_image import ImageEncoderSource, wrap_image_encoder
from support.encoders import DIMENSION, SIZE, by_hand, conv_encoder

MEAN, STD = 0.4, 0.25


def source(**changes: Any) -> ImageEncoderSource:
    return ImageEncoderSource(**{"size": SIZE, "mean": [MEAN], "std": [STD], **changes})


@pytest.mark.parametrize(
    "traits",
    [
        {},
        {"layout": "NHWC"},
        {"batch": 1},
        {"batch": 1, "flatten_to": [1, DIMENSION]},  # as exporters freeze it
        {"flatten_to": [-1, DIMENSION]},
        {"batch": 1, "flatten_to": [1, DIMENSION], "constant_nodes": True},
        {"reshaped_weights": True},
        {"opset": 18},
        {"opset": 13},
        {"input_name": "images", "outputs": ("embedding",)},  # the bundle's own names
        {"input_name": "embedding", "outputs": ("images",)},
        {"size": "side"},
        {"element": TensorProto.FLOAT16},
    ],
    ids=str,
)
def test_a_wrapped_encoder_is_the_encoder(tmp_path: Path, traits: dict[str, Any]) -> None:
    file = conv_encoder(tmp_path / "model.onnx", **traits)
    layout = traits.get("layout", "NCHW")
    bundle = wrap_image_encoder(file, tmp_path / "bundle", source(layout=layout), name="conv", license="MIT")
    assert (bundle.manifest.dimension, bundle.manifest.license) == (DIMENSION, "MIT")
    pixels = np.random.default_rng(1).integers(0, 256, (4, SIZE, SIZE, 3), np.uint8)
    vectors = Encoder(bundle, threads=1).encode_images(pixels)
    wanted = np.stack([by_hand(file, one, MEAN, STD, layout) for one in pixels])
    assert (vectors * wanted).sum(1).min() > (0.9999 if "element" in traits else 0.999999)


def test_each_channel_has_its_own_mean(tmp_path: Path) -> None:
    file = conv_encoder(tmp_path / "model.onnx")
    means = [0.1, 0.5, 0.9]
    bundle = wrap_image_encoder(file, tmp_path / "bundle", source(mean=means), name="conv")
    flat = np.broadcast_to(np.array([0.1, 0.5, 0.9]) * 255, (SIZE, SIZE, 3)).round().astype(np.uint8)
    pixels = np.clip(flat.astype(int) + np.random.default_rng(0).integers(-9, 9, flat.shape), 0, 255).astype(np.uint8)
    wanted = by_hand(file, pixels, np.array(means), STD)  # type: ignore[arg-type]
    assert float(Encoder(bundle, threads=1).encode_images(pixels[None])[0] @ wanted) > 0.99999


def test_one_of_several_outputs_is_named(tmp_path: Path) -> None:
    file = conv_encoder(tmp_path / "model.onnx", outputs=("features", "logits"))
    with pytest.raises(ExportError, match="--output-name, one of: features, logits"):
        wrap_image_encoder(file, tmp_path / "bundle", source(), name="conv")
    with pytest.raises(ExportError, match="no output 'head'"):
        wrap_image_encoder(file, tmp_path / "bundle", source(output_name="head"), name="conv")
    bundle = wrap_image_encoder(file, tmp_path / "bundle", source(output_name="logits"), name="conv")
    graph = onnx.load(bundle.path / "image.onnx").graph
    assert [value.name for value in graph.output] == ["embedding"]


@pytest.mark.parametrize(
    ("traits", "changes", "message"),
    [
        ({}, {"size": 16}, "give --size 12"),
        ({}, {"layout": "NHWC"}, "try --layout NCHW"),
        ({"layout": "NHWC"}, {}, "try --layout NHWC"),
        ({}, {"mean": [1, 2]}, "--mean takes one number or three"),
        ({}, {"std": [0]}, "--std takes one number or three"),
        ({}, {"std": [-1]}, "--std takes one number or three"),
        ({}, {"mean": [float("nan")]}, "--mean takes one number or three"),
        ({}, {"mean": [127.0]}, "--mean is in units of 0 to 1"),
        ({}, {"std": [0.5, 58.4, 0.5]}, "--std is in units of 0 to 1"),
        ({"pooled": False}, {}, r"has shape \(1, 5, 10, 10\) for one picture"),
        ({"batch": 2}, {}, "takes batches of 2; export it for a batch of 1 or of any size"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_and_nothing_is_written(
    tmp_path: Path, traits: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    file = conv_encoder(tmp_path / "model.onnx", **traits)
    with pytest.raises(ExportError, match=message):
        wrap_image_encoder(file, tmp_path / "bundle", source(**changes), name="conv")
    assert not (tmp_path / "bundle").exists()


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="there is no file"):
        wrap_image_encoder(tmp_path / "none.onnx", tmp_path / "bundle", source(), name="conv")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ExportError, match="not a valid ONNX model"):
        wrap_image_encoder(tmp_path / "text.onnx", tmp_path / "bundle", source(), name="conv")


def test_a_name_that_cannot_be_is_refused(tmp_path: Path) -> None:
    file = conv_encoder(tmp_path / "model.onnx")
    with pytest.raises(BundleError, match="name"):
        wrap_image_encoder(file, tmp_path / "bundle", source(), name="No Name")
    assert not (tmp_path / "bundle").exists()


def test_a_real_network_of_eight_bit_weights(evaluation_data: Path, tmp_path: Path) -> None:
    """MobileNet V2, its batch frozen at 1: the bundle equals it run on the values its card asks for."""
    file = evaluation_data / "models" / "tf2_mobilenet_v2_1.0_224_ptq.onnx"
    if not file.is_file():
        pytest.skip(f"no model at {file}")
    mean, std = 127 / 255, 1 / (255 * 0.0078431)
    mobilenet = ImageEncoderSource(224, [mean], [std], output_name="embedding")
    bundle = wrap_image_encoder(file, tmp_path / "bundle", mobilenet, name="mobilenet-v2", license="Apache-2.0")
    assert bundle.manifest.dimension == 1280
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    vectors = Encoder(bundle, threads=2).encode_images(pixels)
    assert min(float(v @ by_hand(file, p, mean, std)) for v, p in zip(vectors, pixels, strict=True)) > 0.9999
