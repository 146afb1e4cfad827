"""UNKNOWN with few examples, by a backbone that declares no cosine.

One shot: all of a set's labels but those held out have one example each. Six to eighteen examples: 3 or 4 labels of a
set have 2 to 5 examples each. Inputs out of distribution are caltech101's clutter, or the labels that are held out.
"Before" is the engine of 22 November 2026 on the same draws, with the cosine 0.5 and the margin 0.01 of its bundles.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.fewshot.draws import SEEDS, SETTINGS, draw
from bench.fewshot.figures import engine_numbers
from bench.fewshot.sets import NAMES, known_labels, load
from bench.report import Section, Target
from bench.vectors import Labelled, pictures
from glimpse.fewshot import Decision, DecisionSettings

_CLUTTER = "BACKGROUND_Google"
# Labels and shots.
_FEW = ((3, 2), (3, 3), (4, 3), (3, 5), (4, 4), (3, 6))
_DRAWS = 5
#: False rejects, caught and right among MATCH, in percent.
ONE_SHOT_BEFORE = {
    "caltech101, clutter": (13.9, 43.2, 72.8),
    "caltech101, a third of the labels": (16.4, 52.9, 76.8),
    "banking77, a third of the labels": (10.5, 28.5, 64.6),
}
#: False rejects and caught, in percent, by the number of examples left out.
FEW_BEFORE = {6: (22.8, 60.1), 9: (18.2, 53.9), 12: (17.4, 51.3), 15: (16.2, 50.4), 16: (16.7, 48.3), 18: (16.1, 49.5)}


def rejection(data: Path) -> tuple[list[Section], list[Target]]:
    """Returns the tables and targets."""
    one_shot: list[list[str]] = []
    targets: list[Target] = []
    for name, (false_rejects, caught, right) in one_shot_figures(data, SETTINGS).items():
        before = ONE_SHOT_BEFORE.get(name, (np.nan,) * 3)
        cells = zip(before, (false_rejects, caught, right), strict=True)
        one_shot.append([name, *(f"{figure:.1f}" for pair in cells for figure in pair)])
        targets.append(Target(f"one shot, {name}: false rejects, %", false_rejects, "<=", 5.0))
        targets.append(Target(f"one shot, {name}: caught, %", caught, ">=", 8.0))
    few: list[list[str]] = []
    for count, (false_rejects, caught) in few_figures(data, SETTINGS).items():
        old, limit = FEW_BEFORE.get(count, (np.nan,) * 2), 200 / (count + 1)
        figures = (limit / 2, old[0], false_rejects, old[1], caught)
        few.append([str(count), *("-" if np.isnan(figure) else f"{figure:.1f}" for figure in figures)])
        targets.append(Target(f"{count} examples left out: false rejects, %", false_rejects, "<=", limit))
    pair = ["false rejects, before", "now", "caught, before", "now"]
    return [
        ("One shot: % UNKNOWN", ["set", *pair, "MATCH right, before", "now"], one_shot),
        ("6 to 18 examples left out, mean of the sets: % UNKNOWN", ["examples", "stated rate", *pair], few),
    ], targets


def one_shot_figures(data: Path, terms: DecisionSettings) -> dict[str, tuple[float, float, float]]:
    """Returns false rejects, caught inputs and right answers among MATCH by set, in percent."""
    caltech = pictures(data, "caltech101")
    whole = {"caltech101, clutter": ((caltech, caltech), {_CLUTTER})}
    sets = whole | {
        f"{name}, a third of the labels": (load(data, name), set[str]()) for name in ("caltech101", "banking77")
    }
    result = {}
    for name, (data_set, held_out) in sets.items():
        labels = known_labels(data_set)
        figures = []
        for seed in range(SEEDS):
            third = np.random.default_rng(seed).permutation(labels)[: len(labels) // 3].tolist()
            drawn = (data_set, sorted(held_out or third), 1, seed, terms)
            figures.append(engine_numbers(f"rejection-{name}-1-{seed}", _figures, *drawn))
        result[name] = tuple(np.nanmean(figures, 0).tolist())
    return result


def few_figures(data: Path, terms: DecisionSettings) -> dict[int, tuple[float, float]]:
    """Returns false rejects and caught inputs by the number of examples, in percent, means of the sets."""
    result = {}
    for count, shots in _FEW:
        figures = []
        for name in NAMES:
            data_set = load(data, name)
            labels = known_labels(data_set)
            if len(labels) <= count:  # no label is left that could be out of distribution
                continue
            draws = []
            for seed in range(_DRAWS):
                held_out = np.random.default_rng(seed).permutation(labels)[count:].tolist()
                drawn = (data_set, held_out, shots, seed, terms)
                draws.append(engine_numbers(f"rejection-{name}-{count}x{shots}-{seed}", _figures, *drawn)[:2])
            figures.append(np.mean(draws, 0))
        result[count * shots] = tuple(np.mean(figures, 0).tolist())
    return result


def _figures(
    data: tuple[Labelled, Labelled], held_out: Sequence[str], shots: int, seed: int, terms: DecisionSettings
) -> tuple[float, float, float]:
    known = sorted(set(data[0].labels.tolist()) - set(held_out))
    drawn = draw(data, known, shots, seed)
    unknown = data[1].vectors[np.isin(data[1].labels, held_out)]
    inside, outside = drawn.ask(drawn.queries.vectors, terms=terms).predictions, drawn.ask(unknown, terms=terms)
    pairs = zip(inside, drawn.queries.labels, strict=True)
    right = [one.labels[0] == label for one, label in pairs if one.decision is Decision.MATCH]
    return (
        100 * float(np.mean([one.decision is Decision.UNKNOWN for one in inside])),
        100 * float(np.mean([one.decision is Decision.UNKNOWN for one in outside.predictions])),
        100 * float(np.mean(right)) if right else float("nan"),
    )
