"""The models of the comparison as bundles, made once and kept in build/bench, and real photographs."""

from pathlib import Path

from bench.precision import from_open_clip
from bench.vectors import CACHE, DATA, MOBILENET, MOBILENET_SOURCE
from glimpse.backbone import Bundle, cores, load_bundle
from glimpse.export.onnx.onnx_image import wrap_image_encoder

_PICTURES = 256


def bundles() -> dict[str, Bundle]:
    """Returns MobileNet V2, and ViT-B/32 in fp32 and int8 (random weights, which do not affect the speed)."""
    folder = CACHE / "peers"
    if not (folder / "int8").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        from_open_clip(folder, cores())
    mobilenet = folder / "mobilenet-v2"
    if not mobilenet.is_dir():
        wrap_image_encoder(DATA / MOBILENET, mobilenet, MOBILENET_SOURCE, name="mobilenet-v2", license="Apache-2.0")
    return {
        "MobileNet V2": load_bundle(mobilenet),
        "ViT-B/32 int8": load_bundle(folder / "int8"),
        "ViT-B/32 fp32": load_bundle(folder / "fp32"),
    }


def photographs() -> list[Path]:
    """Returns photographs of Caltech-101, evenly chosen."""
    files = sorted((DATA / "caltech101").rglob("*.jpg"))
    return [files[number * len(files) // _PICTURES] for number in range(_PICTURES)]
