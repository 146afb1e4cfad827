"""Writes a character by many hands: each hand moves, bends and joins its strokes differently, with its own pen."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from recipes.mini.pictures.strokes import POINTS, Points

# Slow waves along a stroke: a hand misses the curve smoothly, not at every point by itself.
_T = np.linspace(0, 1, POINTS)
_WAVES = np.stack([np.cos(np.pi * k * _T) / k for k in (1, 2, 3, 4)])  # (4, POINTS)
_TREMOR = np.stack([np.cos(np.pi * k * _T) for k in range(6, 14)])  # (8, POINTS)


def _cut(reach: int) -> Points:
    """Returns a moving average over 2 `reach` + 1 points that leaves both ends of a stroke: (POINTS, POINTS)."""
    apart = np.abs(np.subtract.outer(np.arange(POINTS), np.arange(POINTS)))
    ends = np.minimum(np.arange(POINTS), np.arange(POINTS)[::-1])
    near = (apart <= np.minimum(reach, ends)[:, None]).astype(float)
    return np.asarray(near / near.sum(1, keepdims=True))


_CUTS = [_cut(reach) for reach in (0, 0, 1, 2, 3, 4)]


@dataclass(frozen=True)
class Glyph:
    """A character of an invented script.

    Attributes:
        strokes: its strokes, (s, POINTS, 2).
        dotted: whether it is made of dots alone, whose size means nothing.
    """

    strokes: Points
    dotted: bool = False

    def draw(self, rng: np.random.Generator, size: int = 64) -> Image.Image:
        """Writes the character once, in black on white: a picture of mode L, `size` pixels on each side."""
        canvas = int(rng.choice([84, 105, 105, 128, 168]))
        lines = write(self.strokes, rng, dotted=self.dotted) * canvas  # (s, POINTS, 2)
        width = max(1, round(canvas * rng.uniform(0.015, 0.038)))
        picture = Image.new("L", (canvas, canvas), 255)
        pen = ImageDraw.Draw(picture)
        blob = width / 2 * rng.choice([1.0, rng.uniform(1.0, 4.0)]) if self.dotted else width / 2
        for line in lines:
            if len(line) and np.ptp(line, axis=0).max() < 0.05 * canvas:
                x, y = line.mean(0)
                reach = blob * rng.uniform(1.0, 1.35, 2)
                pen.ellipse((x - reach[0], y - reach[1], x + reach[0], y + reach[1]), fill=0)
                continue
            pen.line(line.ravel().tolist(), fill=0, width=width, joint="curve")
            for x, y in line[[0, -1]]:
                pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=0)
        return picture.resize((size, size), Image.Resampling.BICUBIC)


def write(strokes: Points, rng: np.random.Generator, *, dotted: bool = False) -> Points:
    """Returns the strokes as one hand writes them, (s, POINTS, 2), within the unit square.

    Args:
        strokes: the character, (s, POINTS, 2).
        rng: decides the hand.
        dotted: whether it is made of dots alone.
    """
    low, high = strokes.min((0, 1)), strokes.max((0, 1))
    curves = (strokes - (low + high) / 2) * (1.6 / max((high - low).max(), 0.3))  # within [-0.8, 0.8]
    sloppiness = rng.uniform(0.3, 1.3)
    if not dotted:
        curves = _proportions(_rounded(_with_serifs(curves, rng), rng), sloppiness, rng)
    curves = _strokes_of_a_hand(curves, sloppiness, rng)
    curves = curves @ _sheet(rng)
    waves, phase = rng.uniform(0.5, 2.2, (2, 2)), rng.uniform(0, 2 * np.pi, 2)
    curves = curves + 0.07 * sloppiness * rng.normal(0, 1, 2) * np.sin(curves @ waves + phase)
    low, high = curves.min((0, 1)), curves.max((0, 1))
    extent = rng.uniform(0.15, 0.85) if dotted else rng.uniform(0.35, 0.92)
    scale = extent / max((high - low).max(), 0.3)
    free = 1 - (high - low) * scale
    centre = 0.5 + np.clip(rng.normal(0, 0.3, 2), -0.9, 0.9) * np.maximum(free, 0.02) / 2
    return np.asarray((curves - (low + high) / 2) * scale + centre)


def _with_serifs(curves: Points, rng: np.random.Generator) -> Points:
    """Returns strokes of which some start or end with a short hook."""
    if rng.random() < 0.7:
        return curves
    hooked = curves.copy()
    for stroke in hooked:
        if rng.random() < 0.5 and np.ptp(stroke, axis=0).max() > 0.2:
            end, rest = (slice(0, 2), 2) if rng.random() < 0.5 else (slice(-2, None), -3)
            stroke[end] = stroke[rest] + rng.normal(0, 0.09, 2) * np.array([[0.5], [1.0]])
    return hooked


def _rounded(curves: Points, rng: np.random.Generator) -> Points:
    """Returns strokes with corners as sharp as they are, or cut a little or a lot; some hands write no corner."""
    return _CUTS[rng.integers(len(_CUTS))] @ curves


def _proportions(curves: Points, sloppiness: float, rng: np.random.Generator) -> Points:
    """Returns strokes of which some parts are longer and others shorter: a high stem, a wide bowl.

    Each axis is mapped by x + a sin(w x + p), which keeps the order of places because |a w| < 1.
    """
    waves = rng.uniform(1.2, 4.0, 2)
    heights = np.clip(rng.normal(0, 0.45 * sloppiness, 2), -0.75, 0.75) / waves
    return np.asarray(curves + heights * np.sin(waves * curves + rng.uniform(0, 2 * np.pi, 2)))


def _strokes_of_a_hand(curves: Points, sloppiness: float, rng: np.random.Generator) -> Points:
    """Returns each stroke bent, stretched, turned and moved by itself."""
    count = len(curves)
    centres = curves.mean(1, keepdims=True)
    extents = np.ptp(curves, axis=1)[:, None].max(2, keepdims=True)  # (s, 1, 1)
    bends = np.einsum("skj,kt->stj", rng.normal(0, 0.05 * sloppiness, (count, 4, 2)), _WAVES)
    shakes = np.einsum("skj,kt->stj", rng.normal(0, rng.choice([0.002, 0.006]), (count, 8, 2)), _TREMOR)
    angles = rng.normal(0, 0.09 * sloppiness, count)
    turns = np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]]).transpose(2, 0, 1)
    stretched = (curves - centres) * (1 + rng.normal(0, 0.11 * sloppiness, (count, 1, 2)))
    moved = centres + rng.normal(0, 0.05 * sloppiness, (count, 1, 2))
    # Short strokes are bent less, so that a dot stays a dot.
    return np.asarray(stretched @ turns + moved + (bends + shakes) * np.minimum(extents, 1.0))


def _sheet(rng: np.random.Generator) -> Points:
    """Returns the slant, stretch and rotation of the whole character: (2, 2)."""
    angle = rng.normal(0, 0.11)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array([[1, rng.normal(0, 0.13)], [rng.normal(0, 0.07), 1]])
    return np.asarray(turn @ shear @ np.diag(np.exp(rng.normal(0, 0.14, 2))))
