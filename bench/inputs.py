"""Pictures to send: drawings, which the bundled backbone is trained on, and files with the size of a photograph."""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

_COUNT = 16


def drawings() -> list[bytes]:
    """Returns line drawings, PNG, 105 x 105."""
    files = []
    for seed in range(_COUNT):
        rng = np.random.default_rng(seed)
        image = Image.new("L", (105, 105), 255)
        points = rng.uniform(10, 95, (6, 2)).ravel().tolist()
        ImageDraw.Draw(image).line(points, fill=0, width=3, joint="curve")
        files.append(_encoded(image, "PNG"))
    return files


def photographs() -> list[bytes]:
    """Returns blurred noise with grain, JPEG, 320 x 240. It has about 20 KB and decodes as slowly as a photograph."""
    files = []
    for seed in range(_COUNT):
        rng = np.random.default_rng(seed)
        noise = rng.integers(0, 256, (240, 320, 3), np.uint8)
        blurred = np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(6)), np.float32)
        contrast = (blurred - 127) * 8 + 127 + rng.normal(0, 6, blurred.shape)
        files.append(_encoded(Image.fromarray(np.clip(contrast, 0, 255).astype(np.uint8)), "JPEG", quality=88))
    return files


def _encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
