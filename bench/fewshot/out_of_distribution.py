"""Queries out of distribution: caltech101's clutter, and a held-out third of banking77's intents.

The columns are the AUROC of the p-value, of the cosine to the nearest class mean and of softmax over these cosines;
false rejects for a target of 5 %; the share of these queries that is rejected, and the share that the collection
expects from leaving out labels; and how often the prediction set holds the right label, for a target of 90 %.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.fewshot.draws import SEEDS, SETTINGS, Draw, draw
from bench.fewshot.figures import engine_numbers
from bench.report import Section, Target
from bench.vectors import Array, Labelled, pictures, texts
from glimpse.evaluate.figures.metrics import auroc
from glimpse.fewshot import Decision
from glimpse.fewshot.decision import EXAMPLE_SCALE, softmax
from glimpse.fewshot.heads.class_mean import ClassMeanHead


def out_of_distribution(data: Path) -> tuple[list[Section], list[Target]]:
    caltech, banking = pictures(data, "caltech101"), texts(data, "banking77")
    clutter = {"BACKGROUND_Google"}

    def third(seed: int) -> set[str]:
        labels = sorted(set(banking[0].labels))
        return set(np.random.default_rng(seed).permutation(labels)[: len(labels) // 3].tolist())

    sections, targets = [], []
    sets: dict[str, tuple[tuple[Labelled, Labelled], Callable[[int], set[str]]]] = {
        "caltech101, clutter": ((caltech, caltech), lambda _: clutter),
        "banking77, a third of the intents": (banking, third),
    }
    columns = ["shots", "AUROC", "cosine", "softmax", "false rejects %", "rejected %", "expected %", "set holds %"]
    for name, (data_set, held_out) in sets.items():
        lines = []
        for shots in (4, 8, 16):
            draws = [
                engine_numbers(
                    f"outside-{name}-{shots}-{seed}", _rejection_figures, data_set, held_out(seed), shots, seed
                )
                for seed in range(SEEDS)
            ]
            figures = np.mean(draws, 0)
            lines.append([str(shots), *(f"{x:.3f}" for x in figures[:3]), *(f"{100 * x:.1f}" for x in figures[3:])])
            title = f"{name}, {shots} shots"
            best = float(max(figures[1:3]))
            targets.append(Target(f"{title}: AUROC - the better of cosine and softmax", figures[0] - best, ">=", 0.0))
            targets.append(Target(f"{title}: false rejects for a target of 5 %", 100 * figures[3], "<=", 10.0))
        sections.append((name, columns, lines))
    return sections, targets


def _rejection_figures(data: tuple[Labelled, Labelled], held_out: set[str], shots: int, seed: int) -> list[float]:
    known = sorted(set(data[0].labels) - held_out)
    drawn = draw(data, known, shots, seed)
    unknown = data[1].vectors[np.isin(data[1].labels, sorted(held_out))]
    inside, outside = drawn.ask(drawn.queries.vectors, len(known)), drawn.ask(unknown)
    evaluation = drawn.engine.evaluation(inside.kind)
    assert evaluation is not None
    least = evaluation.typicality.min_fit(SETTINGS.policy.false_reject, None)
    pairs = zip(drawn.queries.labels, inside.predictions, strict=True)
    holds = [label in prediction.labels[: prediction.set_size] for label, prediction in pairs]
    return [
        auroc(
            *(np.array([prediction.p_value or 0.0 for prediction in part.predictions]) for part in (inside, outside))
        ),
        *_baselines(drawn, unknown),
        float(np.mean([prediction.decision is Decision.UNKNOWN for prediction in inside.predictions])),
        float(np.mean([prediction.decision is Decision.UNKNOWN for prediction in outside.predictions])),
        float((evaluation.typicality.label_left_out < (least if least is not None else -np.inf)).mean()),
        float(np.mean(holds)),
    ]


def _baselines(drawn: Draw, unknown: Array) -> list[float]:
    """Returns the AUROC of the cosine to the nearest class mean, and of the largest softmax over these cosines."""
    mean = ClassMeanHead(drawn.engine.lda.moments)
    asked = (drawn.span.coordinates(vectors) for vectors in (drawn.queries.vectors, unknown))
    parts = [mean.scores(vectors, centred=False) for vectors in asked]
    probable = [softmax(part, EXAMPLE_SCALE).max(1) for part in parts]
    return [auroc(*(part.max(1).astype(np.float64) for part in parts)), auroc(*probable)]
