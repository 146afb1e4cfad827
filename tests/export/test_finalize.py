"""The last steps of every export: precision, scaled decoding, parent, comparison."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glimpse.backbone import Bundle
from glimpse.export.errors import ExportError
from glimpse.export.finalize import ExportOptions
from glimpse.export.onnx.onnx_image import ImageEncoderSource, wrap_image_encoder
from glimpse.export.tolerance import MIN_COSINES, Check, raise_for_failures, smallest_cosine
from support.encoders import conv_encoder

SOURCE = ImageEncoderSource(size=12, mean=[0.5], std=[0.25])


def photograph(seed: int, side: int = 512) -> bytes:
    """A smooth JPEG, as large as to be worth decoding at a part of its size."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(file, "JPEG", quality=95)
    return file.getvalue()


def exported(folder: Path, options: ExportOptions, out: str = "out") -> Bundle:
    model = conv_encoder(folder / "model.onnx")
    return wrap_image_encoder(model, folder / out, SOURCE, name="conv", options=options)


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_a_lower_precision_declares_its_parent(precision: str, tmp_path: Path) -> None:
    exact = exported(tmp_path, ExportOptions(), "exact").manifest
    lowered = exported(tmp_path, ExportOptions(precision=precision)).manifest  # type: ignore[arg-type]
    assert lowered.precision == precision
    assert lowered.embedding_space != exact.embedding_space
    assert lowered.parent
    assert lowered.parent.embedding_space == exact.embedding_space
    assert MIN_COSINES[precision] <= lowered.parent.min_cosine <= 1
    assert {check["part"] for check in lowered.provenance["proof"]} == {
        "image.onnx on the calibration inputs: smallest cosine",
        "image.onnx against fp32: smallest cosine",
        "image graph: smallest cosine",
    }


def test_fp32_has_no_parent(tmp_path: Path) -> None:
    manifest = exported(tmp_path, ExportOptions()).manifest
    assert manifest.parent is None
    assert manifest.image
    assert not manifest.image.scaled_decode


def test_scaled_decoding_is_tried_on_photographs(tmp_path: Path) -> None:
    manifest = exported(tmp_path, ExportOptions(photographs=[photograph(seed) for seed in range(4)])).manifest
    assert manifest.provenance["scaled_decode"]["photographs"] == 4
    assert manifest.provenance["scaled_decode"]["min_cosine"] >= 0.999
    assert manifest.image
    assert manifest.image.scaled_decode
    assert manifest.parent


def test_scaled_decoding_stays_off_where_nothing_was_compared(tmp_path: Path) -> None:
    manifest = exported(tmp_path, ExportOptions(photographs=[photograph(0, side=12)])).manifest
    assert manifest.provenance["scaled_decode"]["min_cosine"] is None
    assert manifest.image
    assert not manifest.image.scaled_decode
    assert manifest.parent is None


def test_scaled_decoding_stays_off_where_vectors_differ(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    noise[::2] = 255 - noise[1::2]  # what averages to nothing at a smaller scale
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", quality=95, subsampling=0)
    manifest = exported(tmp_path, ExportOptions(photographs=[file.getvalue()])).manifest
    measured = manifest.provenance["scaled_decode"]["min_cosine"]
    assert manifest.image
    assert manifest.image.scaled_decode == (measured >= 0.999)


def test_every_failed_check_is_named() -> None:
    good = Check("texts", 1.0, ">=", 0.99)
    with pytest.raises(ExportError, match=r"not written: pictures: 0\.5, wanted <= 0\.1; graph: nan"):
        raise_for_failures([good, Check("pictures", 0.5, "<=", 0.1), Check("graph", float("nan"), ">=", 0.99)])
    raise_for_failures([good])


def test_a_cosine_that_is_no_number_is_never_the_smallest_left_out() -> None:
    row = np.array([[1.0, 0.0]])
    assert np.isnan(smallest_cosine([row, row * np.nan, row], row))


def test_vectors_of_another_size_are_not_compared() -> None:
    with pytest.raises(ExportError, match="cannot be compared"):
        smallest_cosine([np.ones((2, 3))], np.ones((2, 4)))
