"""Outlines of the shapes that scenes are made of."""

import math
from collections.abc import Callable

import numpy as np

Outline = list[tuple[float, float]]

# Number of sides, and the angle of the first corner from the top in radians.
_REGULAR = {"triangle": (3, 0.0), "pentagon": (5, 0.0), "hexagon": (6, math.pi / 6)}
_POLYGONS: dict[str, Outline] = {
    "square": [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)],
    "rectangle": [(-1, -0.5), (1, -0.5), (1, 0.5), (-1, 0.5)],
    "diamond": [(0, -1), (0.68, 0), (0, 1), (-0.68, 0)],
    "cross": [
        (-0.32, -0.95), (0.32, -0.95), (0.32, -0.32), (0.95, -0.32), (0.95, 0.32), (0.32, 0.32),
        (0.32, 0.95), (-0.32, 0.95), (-0.32, 0.32), (-0.95, 0.32), (-0.95, -0.32), (-0.32, -0.32),
    ],
    "arrow": [(-1, -0.28), (0.15, -0.28), (0.15, -0.8), (1, 0), (0.15, 0.8), (0.15, 0.28), (-1, 0.28)],
    "bolt": [(0.2, -1), (-0.65, 0.2), (-0.08, 0.2), (-0.3, 1), (0.65, -0.25), (0.05, -0.25)],
}  # fmt: skip


def outline_of(shape: str) -> Outline:
    """Returns the corners of a shape's outline, (x, y) within [-1, 1]; y grows downwards."""
    if shape in _CURVES:
        return _CURVES[shape]()
    if shape in _REGULAR:
        sides, start = _REGULAR[shape]
        angles = [start + 2 * math.pi * i / sides for i in range(sides)]
        return [(math.sin(angle), -math.cos(angle)) for angle in angles]
    return _POLYGONS[shape]


def _circle(radius: float, height: float) -> Outline:
    return [(radius * math.cos(a), height * math.sin(a)) for a in np.linspace(0, 2 * math.pi, 48, endpoint=False)]


def _heart() -> Outline:
    return [
        (
            math.sin(a) ** 3,
            -(13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a)) / 16,
        )
        for a in np.linspace(0, 2 * math.pi, 48, endpoint=False)
    ]


def _crescent() -> Outline:
    outer = np.linspace(0.25 * math.pi, 1.75 * math.pi, 30)
    inner = np.linspace(1.65 * math.pi, 0.35 * math.pi, 24)
    return [
        *((math.cos(a), math.sin(a)) for a in outer),
        *((0.35 + 0.75 * math.cos(a), 0.75 * math.sin(a)) for a in inner),
    ]


def _drop() -> Outline:
    angles = np.linspace(-0.15 * math.pi, 1.15 * math.pi, 30)
    return [(0.0, -1.0), *((0.68 * math.cos(a), 0.3 + 0.68 * math.sin(a)) for a in angles)]


def _star() -> Outline:
    radii = [1 if i % 2 == 0 else 0.42 for i in range(10)]
    return [(math.sin(i * math.pi / 5) * r, -math.cos(i * math.pi / 5) * r) for i, r in enumerate(radii)]


_CURVES: dict[str, Callable[[], Outline]] = {
    "circle": lambda: _circle(0.95, 0.95),
    "ring": lambda: _circle(0.8, 0.8),
    "oval": lambda: _circle(1, 0.55),
    "heart": _heart,
    "crescent": _crescent,
    "drop": _drop,
    "star": _star,
}
