"""Images of every format, and damaged copies of them."""

import random
import struct
from pathlib import Path

import numpy as np
from PIL import Image

from support.pictures import encoded

_NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def originals(real: Path | None) -> list[bytes]:
    """Returns small images in all formats and modes, and some of the evaluation data's if it is there."""
    noise = Image.fromarray(np.random.default_rng(3).integers(0, 256, (48, 64, 3), np.uint8))
    grey, deep = noise.convert("L"), Image.fromarray(np.full((20, 30), 40_000, np.uint16))
    turned = Image.Exif()
    turned[0x0112], turned[0x010E] = 6, "x" * 200
    made = [
        *(encoded(noise, format) for format in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM")),
        encoded(noise, "JPEG", exif=turned, icc_profile=b"\0" * 300, progressive=True),
        encoded(noise.convert("CMYK"), "JPEG"),
        encoded(noise.convert("CMYK"), "TIFF", compression="tiff_lzw"),
        encoded(noise.convert("RGBA"), "PNG", icc_profile=b"\0" * 300),
        encoded(noise.convert("RGBA"), "WEBP", lossless=True),
        encoded(noise.quantize(), "PNG", transparency=3),
        encoded(noise.quantize(), "GIF", save_all=True, append_images=[noise.quantize()] * 3),
        encoded(noise, "WEBP", save_all=True, append_images=[noise] * 2),
        encoded(noise, "TIFF", save_all=True, append_images=[grey], compression="jpeg"),
        encoded(noise, "TIFF", compression="tiff_deflate"),
        encoded(deep, "PNG"),
        encoded(deep, "TIFF"),
        encoded(grey.convert("1"), "TIFF", compression="group4"),
        encoded(grey.convert("1"), "PNG"),
        encoded(grey.convert("F"), "TIFF"),
        encoded(grey, "BMP"),
    ]
    return made + [file.read_bytes() for file in _some(real)]


def _some(real: Path | None) -> list[Path]:
    if real is None:
        return []
    folders = [real / "caltech101" / name for name in ("accordion", "panda", "BACKGROUND_Google")]
    return [file for folder in folders if folder.is_dir() for file in sorted(folder.glob("*.jp*g"))[:3]]


def damage(content: bytes, seed: int) -> bytes:
    """Flips bits, overwrites numbers, removes or repeats pieces, or cuts off the end."""
    chosen, made = random.Random(seed), bytearray(content)
    for _ in range(chosen.choice((1, 1, 2, 5, 20))):
        near = min(len(made), chosen.choice((64, 600, len(made))))
        place, kind = chosen.randrange(near) if near else 0, chosen.randrange(7)
        if kind <= 1 and made:
            made[place] ^= 1 << chosen.randrange(8)
        elif kind == 2 and made:
            made[place] = chosen.randrange(256)
        elif kind == 3:
            form = chosen.choice("<>") + chosen.choice("HI")
            size = struct.calcsize(form)
            made[place : place + size] = struct.pack(form, chosen.choice(_NUMBERS) & (1 << 8 * size) - 1)
        elif kind == 4:
            piece = made[place : place + chosen.randrange(1, 64)]
            made[place:place] = piece
        elif kind == 5:
            del made[place : place + chosen.randrange(1, 64)]
        elif chosen.random() < 0.2:
            del made[place:]
    return bytes(made)
