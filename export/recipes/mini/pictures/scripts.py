"""Invented scripts: sets of characters that are as easy to confuse as those of real scripts.

A script has a few strokes that its characters share, and habits: a bar over every character, one unbroken line, marks
(dots, bars, small circles) that are the only difference of two characters, turned or mirrored copies, or nothing but
dots on a grid. Each seed gives another script. No character is copied from a real script.
"""

from functools import cached_property

import numpy as np
from recipes.mini.pictures.handwriting import Glyph
from recipes.mini.pictures.strokes import POINTS, Points, dot, random_primitive

_GRID = np.stack(np.meshgrid(np.linspace(-1, 1, 15), np.linspace(-1, 1, 15)), -1).reshape(1, -1, 2)
# Two characters count as the same if the cosine of their coarse pictures is above this.
_ALIKE = 0.955
_QUARTER = np.array([[0.0, -1.0], [1.0, 0.0]])


class Script:
    """A set of characters with shared strokes and habits.

    Args:
        seed: decides the script.
        size: number of characters; fewer if too many would look alike.
    """

    def __init__(self, seed: int, size: int = 16) -> None:
        self._rng = rng = np.random.default_rng([0x5C1, seed])
        self._size = size
        curviness = rng.uniform(0.05, 0.95)
        self._primitives = [random_primitive(rng, curviness) for _ in range(rng.integers(3, 9))]
        self._cursive = rng.choice([0.05, 0.4, 0.9], p=[0.55, 0.25, 0.2])
        # Cursive characters are long chains of arches, hooks and loops.
        self._mean_strokes = rng.uniform(2.5, 4.5) if self._cursive > 0.5 else rng.uniform(1.2, 3.6)
        self._related = rng.uniform(0.0, 0.7)
        self._turning = rng.random() < 0.2
        self._bar = rng.random() < 0.12
        self._dotted = rng.random() < 0.14

    @cached_property
    def characters(self) -> list[Glyph]:
        """The characters; the same seed always gives the same ones."""
        if self._dotted:
            return self._dots()
        found: list[list[Points]] = []
        pictures: list[Points] = []
        for _ in range(12 * self._size):
            if found and self._rng.random() < self._related:
                strokes = self._relative(found[self._rng.integers(len(found))])
            else:
                strokes = self._compose()
            picture = coarse(np.stack(strokes))
            # Two characters that look the same would be one character with two names.
            if any(picture @ other > _ALIKE for other in pictures):
                continue
            found.append(strokes)
            pictures.append(picture)
            if len(found) == self._size:
                break
        return [Glyph(np.stack(strokes)) for strokes in found]

    def _compose(self) -> list[Points]:
        """Returns the strokes of a new character."""
        rng = self._rng
        strokes: list[Points] = []
        for _ in range(int(np.clip(1 + rng.poisson(self._mean_strokes - 1), 1, 6))):
            stroke = self._stroke()
            if not strokes:
                strokes.append(stroke)
            elif rng.random() < self._cursive:
                # The pen stays on the paper and moves to the right.
                stroke = stroke if stroke[-1, 0] >= stroke[0, 0] else stroke[::-1]
                strokes.append(stroke - stroke[0] + strokes[-1][-1])
            else:
                ink = np.concatenate(strokes)
                places = [self._attached(stroke, strokes) for _ in range(3)]
                # Writers keep strokes apart: ink upon ink cannot be read.
                strokes.append(max(places, key=lambda place: _distance(place, ink)))
        if self._bar:
            points = np.concatenate(strokes)
            (left, top), right = points.min(0), points[:, 0].max()
            line = np.linspace((left - 0.1, top), (right + 0.1, top), POINTS)
            strokes.append(line)
        return strokes

    def _stroke(self) -> Points:
        """Returns one of the script's strokes, perhaps turned or mirrored, in one of a few sizes."""
        rng = self._rng
        stroke = self._primitives[rng.integers(len(self._primitives))]
        if rng.random() < 0.4:
            stroke = stroke @ np.linalg.matrix_power(_QUARTER, int(rng.integers(1, 4)))
        if rng.random() < 0.2:
            stroke = stroke * [-1, 1]
        return np.asarray(stroke * rng.choice([0.5, 0.75, 1.0], p=[0.2, 0.3, 0.5]))

    def _attached(self, stroke: Points, strokes: list[Points]) -> Points:
        """Returns the stroke moved: it touches another one, stands beside it, or is free."""
        rng = self._rng
        other = strokes[rng.integers(len(strokes))]
        kind = rng.random()
        if kind < 0.65:
            place = other[rng.choice([0, POINTS // 4, POINTS // 2, 3 * POINTS // 4, POINTS - 1])]
            anchor = rng.choice([0, POINTS // 2, POINTS - 1], p=[0.5, 0.2, 0.3])
            return stroke - stroke[anchor] + place
        direction = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)][rng.integers(5)])
        if kind < 0.9:
            half = (np.ptp(other, axis=0) + np.ptp(stroke, axis=0)) / 2 + 0.15
            return np.asarray(stroke - stroke.mean(0) + other.mean(0) + direction * half)
        return self._mark(strokes)[0]

    def _mark(self, strokes: list[Points]) -> list[Points]:
        """Returns a mark beside the strokes: one to three dots, a short bar, or a small circle."""
        rng = self._rng
        points = np.concatenate(strokes)
        low, high = points.min(0), points.max(0)
        side = np.array([(0, -1), (0, 1), (1, 0), (-1, 0), (0, 0)][rng.choice(5, p=[0.3, 0.25, 0.15, 0.1, 0.2])])
        place = (low + high) / 2 + side * ((high - low) / 2 + 0.18) + rng.uniform(-0.1, 0.1, 2)
        kind = rng.random()
        if kind < 0.7:
            count = int(rng.integers(1, 4))
            offsets = np.array([(0, 0), (0.22, 0), (0.11, -0.2)])[:count]
            return [dot(place + offset) for offset in offsets - offsets.mean(0)]
        if kind < 0.85:
            return [place + np.linspace(-0.12, 0.12, POINTS)[:, None] * [1, 0]]
        angle = np.linspace(0, 2 * np.pi, POINTS)
        return [place + 0.1 * np.stack([np.cos(angle), np.sin(angle)], 1)]

    def _relative(self, strokes: list[Points]) -> list[Points]:
        """Returns a character that differs from another in one respect."""
        rng = self._rng
        if self._turning and rng.random() < 0.7:
            turn = np.linalg.matrix_power(_QUARTER, int(rng.integers(1, 4)))
            mirror = np.array([-1.0, 1.0]) if rng.random() < 0.4 else np.ones(2)
            return [stroke @ turn * mirror for stroke in strokes]
        kind = rng.random()
        if kind < 0.3:
            return [*strokes, *self._mark(strokes)]
        if kind < 0.5:
            return [*strokes, self._attached(self._stroke(), strokes)]
        place = int(rng.integers(len(strokes)))
        others = [stroke for i, stroke in enumerate(strokes) if i != place]
        if kind < 0.6 and others:
            return others
        return [*others, self._changed(strokes[place])]

    def _changed(self, stroke: Points) -> Points:
        """Returns another stroke in the place of one, or the same one longer, shorter, mirrored or moved."""
        rng = self._rng
        kind = rng.random()
        if kind < 0.3:
            changed = self._stroke()
            return changed - changed[0] + stroke[0]
        if kind < 0.6:
            anchor = stroke[[0, -1][rng.integers(2)]]
            return np.asarray(anchor + (stroke - anchor) * rng.choice([0.5, 1.7]))
        if kind < 0.8:
            anchor = stroke[[0, POINTS // 2, -1][rng.integers(3)]]
            return np.asarray(anchor + (stroke - anchor) * [(-1, 1), (1, -1)][rng.integers(2)])
        return np.asarray(stroke + np.array([(1, 0), (-1, 0), (0, 1), (0, -1)][rng.integers(4)]) * 0.4)

    def _dots(self) -> list[Glyph]:
        """Returns characters of dots on a grid, each in another place; two that differ by a shift are one."""
        rng = self._rng
        columns, rows = ((2, 3), (3, 3), (2, 2), (2, 4))[rng.choice(4, p=[0.5, 0.3, 0.1, 0.1])]
        found: dict[bytes, Glyph] = {}
        for _ in range(12 * self._size):
            cells = np.argwhere(rng.random((columns, rows)) < rng.uniform(0.25, 0.75))
            if not len(cells):
                continue
            cells = cells - cells.min(0)
            place = cells * [0.5, 0.5]
            found.setdefault(cells.tobytes(), Glyph(np.stack([dot(p) for p in place]), dotted=True))
            if len(found) == self._size:
                break
        return list(found.values())


def _distance(stroke: Points, ink: Points) -> float:
    """Returns the mean squared distance of a stroke's points (POINTS, 2) from the nearest points of `ink` (n, 2)."""
    return float(((stroke[::3, None] - ink[None, ::2]) ** 2).sum(2).min(1).mean())


def coarse(strokes: Points) -> Points:
    """Returns a blurred picture of strokes (s, POINTS, 2) on a 15 x 15 grid: (225,), of unit length."""
    low, high = strokes.min((0, 1)), strokes.max((0, 1))
    ink = ((strokes - (low + high) / 2) * (1.6 / max((high - low).max(), 0.3)))[:, ::2].reshape(-1, 1, 2)
    picture = np.exp(-((ink - _GRID) ** 2).sum(2) / (2 * 0.15**2)).max(0)
    return np.asarray(picture / np.linalg.norm(picture))
