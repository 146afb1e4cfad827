"""Invented alphabets for one-shot learning: each seed gives another alphabet.

The characters of an alphabet share a few strokes, so they are as easy to confuse as real ones.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glimpse.export.drawings.strokes import BASIS, CONTROLS, Character, Points, random_stroke, rotation

#: Alphabets from this seed on are never used in training.
HELD_OUT_SEED = 1 << 40
_GRID = np.stack(np.meshgrid(np.linspace(-1, 1, 11), np.linspace(-1, 1, 11)), -1).reshape(1, -1, 2)
# Two characters count as the same if the cosine of their coarse pictures is above this.
_ALIKE = 0.9


@dataclass(frozen=True)
class Alphabet:
    """A family of characters that share a few strokes.

    Attributes:
        seed: decides the alphabet; seeds from `HELD_OUT_SEED` on are never used in training.
        size: number of characters; fewer if too many would look alike.
    """

    seed: int
    size: int = 20

    @cached_property
    def characters(self) -> list[Character]:
        """The characters; the same seed always gives the same ones."""
        rng = np.random.default_rng([0x617, self.seed & 0xFFFFFFFF, self.seed >> 32])
        curviness = rng.uniform(0.2, 0.95)
        primitives = [random_stroke(rng, curviness) for _ in range(rng.integers(4, 9))]
        angles = rng.choice([2, 4, 8, 64])
        lengths = rng.uniform(0.5, 1.0), rng.uniform(1.0, 1.6)
        mean_strokes = rng.uniform(1.3, 3.4)
        characters: list[Character] = []
        pictures: list[Points] = []
        for attempt in range(30 * self.size):
            character = _compose(rng, primitives, int(angles), lengths, mean_strokes)
            picture = _coarse(character)
            # Two characters that look the same would be one character with two names.
            if attempt < 25 * self.size and any(picture @ other > _ALIKE for other in pictures):
                continue
            characters.append(character)
            pictures.append(picture)
            if len(characters) == self.size:
                break
        return characters


def _compose(
    rng: np.random.Generator,
    primitives: list[Points],
    angles: int,
    lengths: tuple[float, float],
    mean_strokes: float,
) -> Character:
    """Returns a character of one to five strokes, each free or attached to the start, middle or end of another."""
    count = int(np.clip(1 + rng.poisson(mean_strokes - 1), 1, 5))
    strokes: list[Points] = []
    for _ in range(count):
        stroke = primitives[rng.integers(len(primitives))]
        stroke = stroke @ rotation(2 * np.pi * rng.integers(angles) / angles).T * rng.uniform(*lengths)
        if rng.random() < 0.08:
            stroke = stroke * 0.15  # nearly a dot
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
    """Returns a blurred picture of a character on an 11 x 11 grid, (121,) of unit length, without its variation."""
    ink = np.einsum("tc,scj->stj", BASIS, character.strokes).reshape(-1, 1, 2)
    picture = np.exp(-((ink - _GRID) ** 2).sum(2) / (2 * 0.22**2)).max(0)
    return np.asarray(picture / np.linalg.norm(picture))
