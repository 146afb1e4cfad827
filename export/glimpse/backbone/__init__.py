"""Reads and runs backbones: a backbone is a folder (a bundle) with a manifest, ONNX graphs and a tokenizer.

    bundle = load_bundle(bundled())
    encoder = Encoder(bundle, threads=2)
    pixels = decode_image(Path("a.png").read_bytes(), bundle.manifest.image)
    vector = encoder.encode_images(pixels[None])[0]

The package imports neither torch nor gRPC. docs/bundle.md describes the format.
"""

import os

# ONNX Runtime sends usage data to its makers unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glimpse.backbone.bundle import Bundle, bundled, load_bundle, write_bundle
    from glimpse.backbone.embedder import MINI, Embedder, Kind, Prepared, open_bundle
    from glimpse.backbone.errors import BundleError, InputError, LargeImage
    from glimpse.backbone.images.decoder_pool import DecoderPool
    from glimpse.backbone.images.jpeg_scaling import scaled_decode_cosine
    from glimpse.backbone.images.limits import ImageLimits
    from glimpse.backbone.images.preprocess import decode_image
    from glimpse.backbone.images.regions import decode_regions
    from glimpse.backbone.images.resize import Crop, Thumbnail
    from glimpse.backbone.inference.encoder import Encoder
    from glimpse.backbone.manifest import FORMAT_VERSION, DecisionRule, ImageRule, Manifest, TextRule
    from glimpse.backbone.processors import cores, limit_libraries
    from glimpse.backbone.prompts import name_as_prompt, with_templates
    from glimpse.backbone.region import Region
    from glimpse.backbone.tokenizer import Tokenizer, Tokens

__all__ = [
    "FORMAT_VERSION",
    "MINI",
    "Bundle",
    "BundleError",
    "Crop",
    "DecisionRule",
    "DecoderPool",
    "Embedder",
    "Encoder",
    "ImageLimits",
    "ImageRule",
    "InputError",
    "Kind",
    "LargeImage",
    "Manifest",
    "Prepared",
    "Region",
    "TextRule",
    "Thumbnail",
    "Tokenizer",
    "Tokens",
    "bundled",
    "cores",
    "decode_image",
    "decode_regions",
    "limit_libraries",
    "load_bundle",
    "name_as_prompt",
    "open_bundle",
    "scaled_decode_cosine",
    "with_templates",
    "write_bundle",
]

# Modules are imported on first use: a process that only decodes needs neither ONNX Runtime nor tokenizers (50 MB).
_MODULES = {
    "bundle": ("Bundle", "bundled", "load_bundle", "write_bundle"),
    "inference.encoder": ("Encoder",),
    "images.decoder_pool": ("DecoderPool",),
    "errors": ("BundleError", "InputError", "LargeImage"),
    "manifest": ("DecisionRule", "FORMAT_VERSION", "ImageRule", "Manifest", "TextRule"),
    "images.limits": ("ImageLimits",),
    "images.preprocess": ("decode_image",),
    "images.regions": ("decode_regions",),
    "images.resize": ("Crop", "Thumbnail"),
    "prompts": ("name_as_prompt", "with_templates"),
    "region": ("Region",),
    "processors": ("cores", "limit_libraries"),
    "embedder": ("Kind", "MINI", "Prepared", "Embedder", "open_bundle"),
    "images.jpeg_scaling": ("scaled_decode_cosine",),
    "tokenizer": ("Tokenizer", "Tokens"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Imports a name of `__all__` from its module."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    return value
