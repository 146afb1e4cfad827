"""Makes several views of one photograph: jittered crops, which MobileNet V2 embeds.

Their vectors are stored in build/ for the next run.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from bench.vectors import Array, cached, mobilenet
from glimpse.backbone import Encoder
from glimpse.backbone.images.resize import fit

_BATCH = 8


@dataclass(frozen=True)
class Jitter:
    """The difference of a view from its photograph. The mirror image is as likely as the photograph itself.

    Attributes:
        name: The strength.
        least: The least part of the photograph's area that a crop has.
        most: The greatest part.
        aspect: The greatest ratio of the crop's shape to the photograph's, either way.
        light: The greatest change of brightness and of contrast, as a part of 1.
    """

    name: str
    least: float
    most: float
    aspect: float = 4 / 3
    light: float = 0.2


#: The strengths. The targets are those of MEDIUM, which was named before anything was measured.
LIGHT, MEDIUM, STRONG = Jitter("light", 0.5, 1.0), Jitter("medium", 0.2, 0.6), Jitter("strong", 0.1, 0.3)


def view(image: Image.Image, jitter: Jitter, rng: np.random.Generator) -> Image.Image:
    """Returns a random view of a photograph."""
    area, shape = rng.uniform(jitter.least, jitter.most), np.exp(rng.uniform(-1, 1) * np.log(jitter.aspect))
    width, height = min(1.0, (area * shape) ** 0.5), min(1.0, (area / shape) ** 0.5)
    left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    box = (left * image.width, top * image.height, (left + width) * image.width, (top + height) * image.height)
    crop = image.crop(tuple(round(edge) for edge in box))
    if rng.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast):
        crop = enhance(crop).enhance(rng.uniform(1 - jitter.light, 1 + jitter.light))
    return crop


def views(data: Path, files: list[Path], jitter: Jitter, count: int, *, seed: int = 0) -> Array:
    """Returns the embeddings of `count` views of each photograph, `(n, count, d)`."""
    made = cached(
        f"views-{jitter.name}-{len(files)}-{count}-{seed}", lambda: _embedded(data, files, jitter, count, seed)
    )
    return made.reshape(len(files), count, -1)


def _embedded(data: Path, files: list[Path], jitter: Jitter, count: int, seed: int) -> Array:
    bundle, rng = mobilenet(data), np.random.default_rng(seed)
    rule = bundle.manifest.image
    assert rule is not None
    encoder, parts = Encoder(bundle, threads=2), []
    for start in range(0, len(files), _BATCH):
        images = [Image.open(file).convert("RGB") for file in files[start : start + _BATCH]]
        pixels = [np.asarray(fit(view(image, jitter, rng), rule)) for image in images for _ in range(count)]
        parts.append(encoder.encode_images(np.stack(pixels)))
    return np.concatenate(parts)
