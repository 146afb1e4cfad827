"""An exported bundle gets a background vocabulary, with rules measured on texts and drawings."""

from pathlib import Path

import numpy as np

from glimpse.backbone import Bundle, bundled, load_bundle
from glimpse.backbone.background import background_vectors, background_words
from glimpse.backbone.background_validation import check_background
from glimpse.export.background import make_background
from glimpse.export.onnx.onnx_image import ImageEncoderSource, wrap_image_encoder
from glimpse.export.word_vectors import export_vectors
from support.encoders import conv_encoder


def test_words_are_embedded_and_rules_are_measured(tmp_path: Path) -> None:
    fields, files = make_background(load_bundle(bundled()), tmp_path)
    check_background(files["background.npy"], 192)
    assert np.load(files["background.npy"]).shape == (len(background_words()), 192)
    rules = fields["background"]
    # Its own drawings, 0.7 from their captions, stand out from words that it cannot read.
    assert 0 < rules["image"]["log_weight"] < 20
    assert np.isfinite(rules["text"]["log_weight"])


def test_every_export_with_text_has_one(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_text("cat 1 0 0.5\ndog 0.9 0.3 0\nhouse 0 1 0.2\n")
    text: Bundle = export_vectors(tmp_path / "glove.txt", tmp_path / "text", name="glove")
    vectors = background_vectors(text)
    assert vectors is not None
    assert vectors.shape[1] == 3
    assert text.manifest.background
    assert text.manifest.background.image is None
    source = ImageEncoderSource(size=12, mean=[0.5], std=[0.25])
    image = wrap_image_encoder(conv_encoder(tmp_path / "model.onnx"), tmp_path / "image", source, name="conv")
    assert image.manifest.background is None
