"""Strokes and characters of invented alphabets; every drawing of a character differs slightly, as handwriting does.

A stroke is a curve through control points. A character is one to five strokes (after the motor programs of Lake et al.
2015). A drawing jitters the control points, the strokes and the whole character, then draws it with a pen. The random
generator decides everything.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Points = npt.NDArray[np.float64]

#: Number of control points of a stroke, and of points drawn along its curve.
CONTROLS, SAMPLES = 5, 28


def _spline_basis() -> Points:
    """Returns the weights of a Catmull-Rom spline through CONTROLS points at SAMPLES places: (SAMPLES, CONTROLS)."""
    basis = np.zeros((SAMPLES, CONTROLS))
    for row, t in enumerate(np.linspace(0, CONTROLS - 1, SAMPLES)):
        segment = min(int(t), CONTROLS - 2)
        u = t - segment
        weights = [
            -0.5 * u + u**2 - 0.5 * u**3,
            1 - 2.5 * u**2 + 1.5 * u**3,
            0.5 * u + 2 * u**2 - 1.5 * u**3,
            -0.5 * u**2 + 0.5 * u**3,
        ]
        for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
            basis[row, np.clip(segment + offset, 0, CONTROLS - 1)] += weight
    return basis


#: Spline weights, (SAMPLES, CONTROLS): curve = BASIS @ control points.
BASIS = _spline_basis()


def random_stroke(rng: np.random.Generator, curviness: float) -> Points:
    """Returns the control points of a stroke about the origin, of length about 1: (CONTROLS, 2).

    Args:
        rng: decides the stroke.
        curviness: in [0, 1]; the share of curved strokes.
    """
    t = np.linspace(-0.5, 0.5, CONTROLS)
    kind = rng.random()
    if kind > curviness:  # a line, perhaps with a corner
        stroke = np.stack([t, np.zeros(CONTROLS)], 1)
        if rng.random() < 0.4:
            corner = rng.integers(1, CONTROLS - 1)
            turn = rng.uniform(0.7, 2.3) * rng.choice([-1, 1])
            tail = stroke[corner:] - stroke[corner]
            stroke[corner:] = stroke[corner] + tail @ rotation(turn).T
    elif kind > 0.45 * curviness:  # an arc, up to a loop
        sweep = rng.uniform(0.8, 2 * np.pi * 1.05)
        angles = np.linspace(0, sweep, CONTROLS)
        radius = 1 / max(sweep, 1.6)
        stroke = radius * np.stack([np.cos(angles), rng.uniform(0.6, 1.4) * np.sin(angles)], 1)
    elif kind > 0.2 * curviness:  # an S, a hook, a wave
        stroke = np.stack([t, rng.uniform(0.1, 0.35) * np.sin(2 * np.pi * (t * rng.uniform(0.8, 2) + 0.25))], 1)
    else:  # a random walk
        stroke = np.cumsum(rng.normal(0, 0.3, (CONTROLS, 2)), 0)
    stroke = stroke - stroke.mean(0)
    return np.asarray(stroke @ rotation(rng.uniform(0, 2 * np.pi)).T)


def rotation(angle: float) -> Points:
    """Returns the matrix (2, 2) of a rotation by `angle` radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


@dataclass(frozen=True)
class Character:
    """A character.

    Attributes:
        strokes: control points of its strokes, (strokes, CONTROLS, 2), within [-1, 1].
    """

    strokes: Points

    def draw(self, rng: np.random.Generator, size: int = 105, *, plain: bool = True) -> Image.Image:
        """Draws the character once, with the variation of handwriting.

        Args:
            rng: decides the variation.
            size: side of the picture in pixels.
            plain: black on white; otherwise a random ink on a random paper.
        """
        lines = self._jittered(rng)  # (strokes, SAMPLES, 2) in [0, 1]
        ink, paper = ((0, 0, 0), (255, 255, 255)) if plain else _colours(rng)
        scale = 2  # draws at twice the size and reduces it, which smooths edges
        width = max(1, round(scale * size * rng.uniform(0.014, 0.042)))
        mask = Image.new("L", (size * scale, size * scale))
        pen = ImageDraw.Draw(mask)
        radius = width / 2
        for line in lines * (size * scale):
            pen.line(line.ravel().tolist(), fill=255, width=width, joint="curve")
            for x, y in line[[0, -1]]:
                pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        mask = mask.reduce(scale)
        picture = Image.new("RGB", (size, size), paper)
        picture.paste(ink, (0, 0, size, size), mask)
        return picture

    def _jittered(self, rng: np.random.Generator) -> Points:
        """Returns jittered strokes as curves: (strokes, SAMPLES, 2) within the unit square."""
        count = len(self.strokes)
        sloppiness = rng.uniform(0.4, 1.3)
        strokes = self.strokes + rng.normal(0, 0.035 * sloppiness, self.strokes.shape)
        centres = strokes.mean(1, keepdims=True)
        turned = np.einsum(
            "spi,sij->spj",
            (strokes - centres) * (1 + rng.normal(0, 0.10 * sloppiness, (count, 1, 2))),
            np.stack([rotation(angle) for angle in rng.normal(0, 0.10 * sloppiness, count)]),
        )
        strokes = turned + centres + rng.normal(0, 0.055 * sloppiness, (count, 1, 2))
        shear = np.array([[1, rng.normal(0, 0.12)], [rng.normal(0, 0.06), 1]])
        stretch = np.diag(np.exp(rng.normal(0, 0.12, 2)))
        curves = np.einsum("tc,scj->stj", BASIS, strokes @ (rotation(rng.normal(0, 0.12)) @ shear @ stretch))
        # Warp the whole sheet smoothly.
        waves = rng.uniform(0.5, 2.0, (2, 2))
        phase = rng.uniform(0, 2 * np.pi, 2)
        curves = curves + 0.06 * sloppiness * rng.normal(0, 1, 2) * np.sin(curves @ waves + phase)
        low, high = curves.min((0, 1)), curves.max((0, 1))
        extent = rng.uniform(0.45, 0.86)
        scale = extent / max((high - low).max(), 0.3)
        free = 1 - (high - low) * scale
        centre = 0.5 + np.clip(rng.normal(0, 0.3, 2), -0.9, 0.9) * np.maximum(free, 0.02) / 2
        return np.asarray((curves - (low + high) / 2) * scale + centre)


def _colours(rng: np.random.Generator) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Returns the colours of ink and paper, with enough contrast between them."""
    while True:
        pair = rng.integers(0, 256, (2, 3))
        if abs(pair[0].mean() - pair[1].mean()) > 60:
            ink, paper = (tuple(map(int, colour)) for colour in pair)
            return ink, paper  # type: ignore[return-value]
