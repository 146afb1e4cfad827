"""Makes the pictures of the tutorial on photographs: `python docs/tutorials/make_parts.py FOLDER`.

Each picture shows a small metal part on a belt, from one camera: place, turn, light and noise differ. They stand for
photographs, so that the tutorial runs anywhere without a download.
"""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = 160
Point = tuple[float, float]


def main(folder: Path) -> None:
    """Writes FOLDER/enroll/PART (6 pictures each), FOLDER/new (2 of each part) and FOLDER/other (6 of other things)."""
    random = np.random.default_rng(7)
    for name, draw in PARTS.items():
        for number in range(1, 7):
            _save(folder / "enroll" / name / f"{number}.jpg", draw, random)
        for number in range(1, 3):
            _save(folder / "new" / f"{name}-{number}.jpg", draw, random)
    for number in range(1, 7):
        _save(folder / "other" / f"{number}.jpg", _crumbs, random)


def _save(
    path: Path,
    draw: Callable[[ImageDraw.ImageDraw, Callable[[float, float], Point]], None],
    random: np.random.Generator,
) -> None:
    turn, scale = random.uniform(0, 2 * math.pi), random.uniform(0.9, 1.1)
    centre = random.uniform(-8, 8, 2) + SIZE / 2

    def place(x: float, y: float) -> Point:
        """Returns where a point of the part, in units of its size, lies in the picture."""
        cos, sin = 50 * scale * math.cos(turn), 50 * scale * math.sin(turn)
        return float(centre[0] + x * cos - y * sin), float(centre[1] + x * sin + y * cos)

    belt = Image.new("L", (SIZE, SIZE), int(random.uniform(60, 80)))
    draw(ImageDraw.Draw(belt), place)
    pixels = np.asarray(belt.filter(ImageFilter.GaussianBlur(0.8)), np.float32)
    slope = np.linspace(-1, 1, SIZE, dtype=np.float32)
    light = 1 + random.uniform(-0.15, 0.15) * slope[:, None] + random.uniform(-0.15, 0.15) * slope[None]
    noisy = pixels * light + random.normal(0, 3, pixels.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).convert("RGB").save(path, quality=88)


def _polygon(
    draw: ImageDraw.ImageDraw, place: Callable[[float, float], Point], points: list[Point], shade: int
) -> None:
    draw.polygon([place(*point) for point in points], fill=shade)


def _round(radius: float, corners: int = 40) -> list[Point]:
    angles = [2 * math.pi * number / corners for number in range(corners)]
    return [(radius * math.cos(angle), radius * math.sin(angle)) for angle in angles]


def _washer(draw: ImageDraw.ImageDraw, place: Callable[[float, float], Point]) -> None:
    _polygon(draw, place, _round(0.9), 200)
    _polygon(draw, place, _round(0.45), 70)


def _nut(draw: ImageDraw.ImageDraw, place: Callable[[float, float], Point]) -> None:
    _polygon(draw, place, _round(0.9, 6), 190)
    _polygon(draw, place, _round(0.4), 70)


def _screw(draw: ImageDraw.ImageDraw, place: Callable[[float, float], Point]) -> None:
    _polygon(draw, place, [(-1.0, -0.45), (-0.65, -0.45), (-0.65, 0.45), (-1.0, 0.45)], 205)
    _polygon(draw, place, [(-0.65, -0.2), (0.8, -0.2), (1.1, 0), (0.8, 0.2), (-0.65, 0.2)], 170)
    for step in range(8):
        x = -0.5 + 0.18 * step
        draw.line([place(x, -0.2), place(x + 0.08, 0.2)], fill=110, width=2)


def _pin(draw: ImageDraw.ImageDraw, place: Callable[[float, float], Point]) -> None:
    _polygon(draw, place, [(-1.1, -0.14), (1.1, -0.14), (1.1, 0.14), (-1.1, 0.14)], 210)


def _crumbs(draw: ImageDraw.ImageDraw, place: Callable[[float, float], Point]) -> None:
    for x, y in ((-0.7, -0.5), (-0.1, 0.6), (0.5, -0.2), (0.8, 0.7), (-0.6, 0.4)):
        _polygon(draw, place, [(x, y), (x + 0.25, y + 0.05), (x + 0.1, y + 0.3)], 150)


PARTS = {"washer": _washer, "nut": _nut, "screw": _screw, "pin": _pin}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
