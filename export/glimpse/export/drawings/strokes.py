"""Characters of alphabets nobody wrote: stroke by stroke, each drawn anew by a slightly different hand.

An alphabet is a seed: a few primitive strokes that its characters share, so that they are confusable the way real
ones are. A character is one to four of them, placed or attached (after the motor programs of Lake et al. 2015). An
instance jitters control points, strokes and the whole, then draws with a pen. Everything follows from the generator
it is given.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Points = npt.NDArray[np.float64]

#: Alphabets from this seed on are never trained on.
HELD_OUT_SEED = 1 << 40
#: Control points of a primitive, and points drawn along its curve.
CONTROLS, SAMPLES = 5, 28


def _spline_basis() -> Points:
    """Catmull-Rom through CONTROLS points at SAMPLES places: (SAMPLES, CONTROLS)."""
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


_BASIS = _spline_basis()
_GRID = np.stack(np.meshgrid(np.linspace(-1, 1, 11), np.linspace(-1, 1, 11)), -1).reshape(1, -1, 2)
# The cosine of two coarse pictures from which on they are taken for the same character.
_ALIKE = 0.9


def _primitive(rng: np.random.Generator, curviness: float) -> Points:
    """One stroke about the origin, of length about 1: (CONTROLS, 2)."""
    t = np.linspace(-0.5, 0.5, CONTROLS)
    kind = rng.random()
    if kind > curviness:  # a line, or one with a corner
        stroke = np.stack([t, np.zeros(CONTROLS)], 1)
        if rng.random() < 0.4:
            corner = rng.integers(1, CONTROLS - 1)
            turn = rng.uniform(0.7, 2.3) * rng.choice([-1, 1])
            tail = stroke[corner:] - stroke[corner]
            stroke[corner:] = stroke[corner] + tail @ _rotation(turn).T
    elif kind > 0.45 * curviness:  # an arc, up to a loop
        sweep = rng.uniform(0.8, 2 * np.pi * 1.05)
        angles = np.linspace(0, sweep, CONTROLS)
        radius = 1 / max(sweep, 1.6)
        stroke = radius * np.stack([np.cos(angles), rng.uniform(0.6, 1.4) * np.sin(angles)], 1)
    elif kind > 0.2 * curviness:  # an S, a hook, a wave
        stroke = np.stack([t, rng.uniform(0.1, 0.35) * np.sin(2 * np.pi * (t * rng.uniform(0.8, 2) + 0.25))], 1)
    else:  # anything
        stroke = np.cumsum(rng.normal(0, 0.3, (CONTROLS, 2)), 0)
    stroke = stroke - stroke.mean(0)
    return np.asarray(stroke @ _rotation(rng.uniform(0, 2 * np.pi)).T)


def _rotation(angle: float) -> Points:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


@dataclass(frozen=True)
class Character:
    """The idea of a character: its strokes' control points, (strokes, CONTROLS, 2), within [-1, 1]."""

    strokes: Points

    def draw(self, rng: np.random.Generator, size: int = 105, *, plain: bool = True) -> Image.Image:
        """One instance, as somebody might write it. Plain: black on white; otherwise any ink on any paper."""
        lines = self._written(rng)  # (strokes, SAMPLES, 2) in [0, 1]
        ink, paper = ((0, 0, 0), (255, 255, 255)) if plain else _colours(rng)
        scale = 2  # drawn twice as large and reduced: smooth edges
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

    def _written(self, rng: np.random.Generator) -> Points:
        """Control points jittered by the hand, as curves: (strokes, SAMPLES, 2) within the unit square."""
        count = len(self.strokes)
        sloppiness = rng.uniform(0.4, 1.3)
        strokes = self.strokes + rng.normal(0, 0.035 * sloppiness, self.strokes.shape)
        centres = strokes.mean(1, keepdims=True)
        turned = np.einsum(
            "spi,sij->spj",
            (strokes - centres) * (1 + rng.normal(0, 0.10 * sloppiness, (count, 1, 2))),
            np.stack([_rotation(angle) for angle in rng.normal(0, 0.10 * sloppiness, count)]),
        )
        strokes = turned + centres + rng.normal(0, 0.055 * sloppiness, (count, 1, 2))
        shear = np.array([[1, rng.normal(0, 0.12)], [rng.normal(0, 0.06), 1]])
        stretch = np.diag(np.exp(rng.normal(0, 0.12, 2)))
        curves = np.einsum("tc,scj->stj", _BASIS, strokes @ (_rotation(rng.normal(0, 0.12)) @ shear @ stretch))
        # A smooth warp of the whole sheet.
        waves = rng.uniform(0.5, 2.0, (2, 2))
        phase = rng.uniform(0, 2 * np.pi, 2)
        curves = curves + 0.06 * sloppiness * rng.normal(0, 1, 2) * np.sin(curves @ waves + phase)
        low, high = curves.min((0, 1)), curves.max((0, 1))
        extent = rng.uniform(0.45, 0.86)
        scale = extent / max((high - low).max(), 0.3)
        free = 1 - (high - low) * scale
        centre = 0.5 + np.clip(rng.normal(0, 0.3, 2), -0.9, 0.9) * np.maximum(free, 0.02) / 2
        return np.asarray((curves - (low + high) / 2) * scale + centre)


@dataclass(frozen=True)
class Alphabet:
    """A family of characters that share primitive strokes."""

    seed: int
    size: int = 20

    @cached_property
    def characters(self) -> list[Character]:
        """Its characters, always the same for the same seed."""
        rng = np.random.default_rng([0x617, self.seed & 0xFFFFFFFF, self.seed >> 32])
        curviness = rng.uniform(0.2, 0.95)
        primitives = [_primitive(rng, curviness) for _ in range(rng.integers(4, 9))]
        angles = rng.choice([2, 4, 8, 64])
        lengths = rng.uniform(0.5, 1.0), rng.uniform(1.0, 1.6)
        mean_strokes = rng.uniform(1.3, 3.4)
        found: list[Character] = []
        pictures: list[Points] = []
        for attempt in range(30 * self.size):
            character = _compose(rng, primitives, int(angles), lengths, mean_strokes)
            picture = _coarse(character)
            # Two that a reader could not tell apart would be one character with two names.
            if attempt < 25 * self.size and any(picture @ other > _ALIKE for other in pictures):
                continue
            found.append(character)
            pictures.append(picture)
            if len(found) == self.size:
                break
        return found


def _compose(
    rng: np.random.Generator,
    primitives: list[Points],
    angles: int,
    lengths: tuple[float, float],
    mean_strokes: float,
) -> Character:
    """One to five primitives, each free or attached to the start, the course or the end of an earlier one."""
    count = int(np.clip(1 + rng.poisson(mean_strokes - 1), 1, 5))
    strokes: list[Points] = []
    for _ in range(count):
        stroke = primitives[rng.integers(len(primitives))]
        stroke = stroke @ _rotation(2 * np.pi * rng.integers(angles) / angles).T * rng.uniform(*lengths)
        if rng.random() < 0.08:
            stroke = stroke * 0.15  # a dot, nearly
        if strokes and rng.random() < 0.72:
            other = strokes[rng.integers(len(strokes))]
            place = other[rng.integers(CONTROLS)] + rng.normal(0, 0.03, 2)
            anchor = rng.choice([0, CONTROLS // 2, CONTROLS - 1], p=[0.5, 0.2, 0.3])
            stroke = stroke - stroke[anchor] + place
        else:
            stroke = stroke + rng.uniform(-0.6, 0.6, 2)
        strokes.append(stroke)
    points = np.stack(strokes)
    low, high = points.min((0, 1)), points.max((0, 1))
    return Character((points - (low + high) / 2) * (1.6 / max((high - low).max(), 0.4)))


def _coarse(character: Character) -> Points:
    """A blurred picture of a character on an 11 x 11 grid, of length 1: what is left when the hand is forgotten."""
    ink = np.einsum("tc,scj->stj", _BASIS, character.strokes).reshape(-1, 1, 2)
    picture = np.exp(-((ink - _GRID) ** 2).sum(2) / (2 * 0.22**2)).max(0)
    return np.asarray(picture / np.linalg.norm(picture))


def _colours(rng: np.random.Generator) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Ink and paper that can be told apart."""
    while True:
        pair = rng.integers(0, 256, (2, 3))
        if abs(pair[0].mean() - pair[1].mean()) > 60:
            ink, paper = (tuple(map(int, colour)) for colour in pair)
            return ink, paper  # type: ignore[return-value]
