"""Drawings of coloured shapes, which glimpse-mini knows as images and as words."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from glimpse.export.drawings.rendering import render_scene
from glimpse.export.drawings.scenes import COUNTS, FILLS, SIZES, Scene

#: A domain is a size.
DOMAINS = {"near": "large", "far": "small"}
LABELS = ("blue square", "green star", "red circle")


def draw_shapes(folder: Path, labels: Iterable[str] = LABELS, count: int = 6, seed: int = 0) -> Path:
    """Writes `DOMAIN/LABEL/NUMBER.png`, `count` of each."""
    rng = np.random.default_rng(seed)
    for domain, size in DOMAINS.items():
        for label in labels:
            colour, shape = label.split()
            below = folder / domain / label
            below.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                scene = Scene(colour, shape, size=size, fill="solid")
                render_scene(scene, rng).save(below / f"{number}.png")
    return folder


def draw_varied(folder: Path, labels: Iterable[str] = LABELS, count: int = 8, seed: int = 0) -> Path:
    """Writes `LABEL/NUMBER.png`, `count` of each, which differ in size, fill and number: no two are near copies."""
    rng = np.random.default_rng(seed)
    kinds = [(size, fill, number) for number in COUNTS[:3] for size in SIZES for fill in FILLS]
    for label in labels:
        colour, shape = label.split()
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number, kind in enumerate(rng.permutation(len(kinds))[:count]):
            size, fill, shown = kinds[kind]
            scene = Scene(colour, shape, size=size, fill=fill, count=shown)
            render_scene(scene, rng).save(folder / label / f"{number}.png")
    return folder
