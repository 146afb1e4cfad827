"""LDA, the nearest class mean and the selected head: percent right on banking77's test file and on sign_digits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.fewshot.draws import best_labels, draw, seeds
from bench.fewshot.figures import engine_numbers
from bench.report import Section, Target
from bench.vectors import Labelled, pictures, texts
from glimpse.fewshot import HeadKind


def heads(data: Path) -> tuple[list[Section], list[Target]]:
    least_gains = {2: -0.5, 4: 1.0, 8: 1.5, 16: 3.0}
    sets = {"banking77": texts(data, "banking77"), "sign_digits": (pictures(data, "sign_digits"),) * 2}
    sections, targets = [], []
    for name, data_set in sets.items():
        known, lines = sorted(set(data_set[0].labels)), []
        for shots, least in least_gains.items():
            figures = {}
            for pinned in (HeadKind.CLASS_MEAN, HeadKind.LDA, None):
                head = pinned.value if pinned else "ladder"
                right = [
                    engine_numbers(f"heads-{name}-{shots}-{seed}-{head}", _right, data_set, known, shots, seed, pinned)
                    for seed in seeds(known)
                ]
                figures[pinned] = 100 * float(np.mean(right))
            gain = figures[HeadKind.LDA] - figures[HeadKind.CLASS_MEAN]
            lines.append([str(shots), *(f"{figure:.1f}" for figure in figures.values()), f"{gain:+.1f}"])
            targets.append(Target(f"{name}, {shots} shots: LDA - class mean, points", gain, ">=", least))
        sections.append((f"{name}: % right", ["shots", "class mean", "LDA", "ladder", "LDA - class mean"], lines))
    return sections, targets


def _right(
    data_set: tuple[Labelled, Labelled], known: Sequence[str], shots: int, seed: int, pinned: HeadKind | None
) -> list[float]:
    drawn = draw(data_set, known, shots, seed, pinned=pinned)
    return [float(np.mean(np.array(best_labels(drawn.ask(drawn.queries.vectors))) == drawn.queries.labels))]
