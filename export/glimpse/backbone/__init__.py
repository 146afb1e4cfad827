"""A backbone as a folder: manifest, ONNX graphs, tokenizer; and what runs it. docs/bundle.md has the format.

    bundle = load_bundle(bundled())
    encoder = Encoder(bundle, threads=2)
    pixels = decode_image(Path("a.png").read_bytes(), bundle.manifest.image)
    vector = encoder.encode_images(pixels[None])[0]

No torch, no gRPC.
"""

import os

# ONNX Runtime reports its use to its makers unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from glimpse.backbone.bundle import Bundle, bundled, load_bundle, write_bundle
from glimpse.backbone.encoder import Encoder
from glimpse.backbone.errors import BundleError, InputError
from glimpse.backbone.manifest import FORMAT_VERSION, DecisionRule, ImageRule, Manifest, TextRule
from glimpse.backbone.preprocess import ImageLimits, decode_image
from glimpse.backbone.prompts import name_as_prompt, with_templates
from glimpse.backbone.reader import MINI, Kind, Prepared, Reader, cores, open_bundle
from glimpse.backbone.scaled_decode import scaled_decode_cosine
from glimpse.backbone.tokenizer import Tokenizer, Tokens

__all__ = [
    "FORMAT_VERSION",
    "MINI",
    "Bundle",
    "BundleError",
    "DecisionRule",
    "Encoder",
    "ImageLimits",
    "ImageRule",
    "InputError",
    "Kind",
    "Manifest",
    "Prepared",
    "Reader",
    "TextRule",
    "Tokenizer",
    "Tokens",
    "bundled",
    "cores",
    "decode_image",
    "load_bundle",
    "name_as_prompt",
    "open_bundle",
    "scaled_decode_cosine",
    "with_templates",
    "write_bundle",
]
