"""Strokes of invented scripts: lines, corners, boxes, arcs, hooks, loops, waves and dots.

Real letters are mostly upright: their lines are horizontal, vertical or diagonal, their arcs are quarters of a circle.
Strokes are curves of `POINTS` points, equally far apart along the curve, within [-0.5, 0.5].
"""

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]

#: Number of points of a stroke.
POINTS = 24

_TURNS = np.array([[[1, 0], [0, 1]], [[0, -1], [1, 0]], [[-1, 0], [0, -1]], [[0, 1], [-1, 0]]], np.float64)
# The sides of open and closed polygons; the y axis points down.
_CORNERS = [
    [(-0.5, -0.5), (-0.5, 0.5), (0.4, 0.5)],  # an L
    [(-0.4, -0.5), (-0.4, 0.5), (0.4, 0.5), (0.4, -0.5)],  # a U
    [(-0.4, -0.4), (0.4, -0.4), (0.4, 0.4), (-0.4, 0.4), (-0.4, -0.4)],  # a box
    [(-0.4, -0.5), (0, 0.5), (0.4, -0.5)],  # a V
    [(-0.45, 0.4), (0, -0.45), (0.45, 0.4), (-0.45, 0.4)],  # a triangle
    [(-0.4, -0.5), (0.4, -0.5), (-0.4, 0.5), (0.4, 0.5)],  # a Z
    [(-0.5, -0.3), (-0.17, 0.3), (0.17, -0.3), (0.5, 0.3)],  # a zigzag
    [(-0.4, -0.5), (0.3, -0.5), (0.3, 0.5), (-0.2, 0.5)],  # a bracket
    [(-0.4, -0.5), (0.4, 0), (-0.4, 0.5)],  # an angle
    [(0, -0.5), (0.4, 0), (0, 0.5), (-0.4, 0), (0, -0.5)],  # a rhombus
]


def resample(curve: Points) -> Points:
    """Returns POINTS points at equal distances along a polyline: (n, 2) to (POINTS, 2)."""
    steps = np.hypot(*np.diff(curve, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    places = np.linspace(0, along[-1], POINTS)
    return np.stack([np.interp(places, along, curve[:, axis]) for axis in (0, 1)], 1)


def random_primitive(rng: np.random.Generator, curviness: float) -> Points:
    """Returns a stroke, (POINTS, 2), of extent about 1.

    Args:
        rng: decides the stroke.
        curviness: in [0, 1]; the share of curved strokes.
    """
    curve = _curved(rng) if rng.random() < curviness else _straight(rng)
    curve = resample(curve) @ _TURNS[rng.integers(4)]
    if rng.random() < 0.5:
        curve = curve * [-1, 1]
    slant = rng.normal(0, 0.25) if rng.random() < 0.25 else 0.0
    curve = curve @ np.array([[1, 0], [slant, 1]])
    return np.asarray(curve * rng.uniform(0.7, 1.15, 2))


def _straight(rng: np.random.Generator) -> Points:
    kind = rng.random()
    if kind < 0.4:
        end = [(0.5, 0.0), (0.4, 0.4), (0.25, 0.0), (0.45, 0.2)][rng.choice(4, p=[0.5, 0.25, 0.15, 0.1])]
        return np.array([(-end[0], -end[1]), end])
    corners = np.array(_CORNERS[rng.integers(len(_CORNERS))])
    if kind > 0.85:  # a free polygon of three to five corners
        corners = rng.uniform(-0.5, 0.5, (rng.integers(3, 6), 2))
    return corners * rng.uniform(0.7, 1.1, 2)


def _curved(rng: np.random.Generator) -> Points:
    t = np.linspace(0, 1, 40)
    kind = rng.random()
    if kind < 0.4:  # an arc, a circle, an ellipse
        sweep = rng.choice([0.5, 1.0, 1.5, 2.0], p=[0.15, 0.35, 0.25, 0.25]) * np.pi * rng.uniform(0.9, 1.05)
        angle = sweep * t + np.pi * rng.choice([0, 0.25, 0.5])
        return 0.45 * np.stack([np.cos(angle), rng.uniform(0.55, 1.0) * np.sin(angle)], 1)
    if kind < 0.6:  # a hook: a line that ends in an arc or a loop
        angle = rng.uniform(0.8, 2.1) * np.pi * t
        radius = rng.uniform(0.12, 0.3)
        arc = np.stack([radius - radius * np.cos(angle), radius * np.sin(angle)], 1)
        return np.concatenate([[(0.0, -rng.uniform(0.3, 0.8))], arc])
    if kind < 0.75:  # an S or a wave
        periods = rng.choice([1.0, 1.5, 2.0, 2.5])
        return np.stack([t - 0.5, rng.uniform(0.12, 0.35) * np.sin(2 * np.pi * periods * t)], 1)
    if kind < 0.87:  # arches, as in m and w
        arches = rng.integers(2, 4)
        return np.stack([t - 0.5, 0.25 - rng.uniform(0.35, 0.7) * np.abs(np.sin(np.pi * arches * t))], 1)
    if kind < 0.94:  # a spiral
        angle = rng.uniform(2.2, 4.0) * np.pi * t
        return (0.08 + 0.4 * t)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    walk = np.cumsum(rng.normal(0, 0.3, (6, 2)), 0)
    smooth = np.stack([np.interp(t * 5, np.arange(6), walk[:, axis]) for axis in (0, 1)], 1)
    kernel = np.ones(9) / 9
    rounded = np.stack([np.convolve(np.pad(smooth[:, axis], 4, "edge"), kernel, "valid") for axis in (0, 1)], 1)
    return np.asarray(rounded - rounded.mean(0))


def dot(place: Points) -> Points:
    """Returns a dot at a place (2,): a stroke too short to see its direction."""
    return place + 0.012 * np.stack([np.cos(np.linspace(0, 6, POINTS)), np.sin(np.linspace(0, 6, POINTS))], 1)
