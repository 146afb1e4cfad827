"""Measures labels that are composed of attributes: things that were never enrolled, recognised by their attributes.

    python -m bench.attributes [--draws N] [--set NAME ...] [--data DIR] [--out DIR]

A draw holds out some things, enrolls examples of the attributes from other things, composes a label for each held out
thing, and asks about their pictures or texts (bench/attributes_sets.py). A collection is taught in three ways:

- fewest: as few examples as give each attribute 4, each enrolled under all attributes that it has;
- each: 4 examples that are chosen for each attribute, each enrolled under all attributes that it has;
- one: the same examples, each enrolled under the attribute alone that it was chosen for.

Right is the part of the queries whose own composed label is the most probable one of the held out things. Holds is the
part whose own composed label has at least 1/2, and false holds the number of others that have. ECE is that of the most
probable composed label. Loss is the log-loss of the attributes. The rivals are kernel ridge without the additive model,
the cosine to the sum of the attributes' means, and LDA of 4 examples of each held out thing itself.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from bench.attributes_sets import Rows, Things, all_scenes, animals, questions, scenes
from bench.report import Section, Target, page_head, write_tables
from bench.vectors import DATA, Array
from glimpse.evaluate.figures.metrics import calibration_error, reliability
from glimpse.fewshot import (
    ComposedLabels,
    Composition,
    DecisionSettings,
    Examples,
    FewShotClassifier,
    NearestSimilarities,
    Policy,
    fit,
    normalize,
    predict,
)
from glimpse.fewshot.decision import EXAMPLE_SCALE

_DRAWS, _SHOTS, _QUERIES = 10, 4, 10
_SETS: dict[str, Callable[[Path], Things]] = {
    "scenes": scenes,
    "all scenes": all_scenes,
    "questions": questions,
    "animals": animals,
}
_COLUMNS = ["set", "held out", "taught", "examples", "right %", "holds %", "false holds", "ECE %", "loss"]
_COLUMNS += ["ridge: right %", "holds %", "loss", "means: right %", "own: right %"]


Floats = np.typing.NDArray[np.float64]


class Taught(NamedTuple):
    """Enrolled examples: places of vectors, and `(n, A)`, the attributes that each is enrolled under."""

    places: Rows
    holds: np.typing.NDArray[np.bool_]


class Figures(NamedTuple):
    """The figures of one draw."""

    examples: float
    right: float
    holds: float
    false_holds: float
    ece: float
    loss: float
    ridge_right: float
    ridge_holds: float
    ridge_loss: float
    means: float
    own: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=_DRAWS)
    parser.add_argument("--set", nargs="+", choices=_SETS, default=list(_SETS), dest="sets")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    rows, record, targets = [], dict[str, Any](), list[Target]()
    with threadpool_limits(1):
        for name in options.sets:
            things = _SETS[name](options.data)
            for way, teach in (("fewest", _fewest), ("each", _each), ("one", _one)):
                drawn = [_draw(things, teach, np.random.default_rng([23, seed])) for seed in range(options.draws)]
                mean = Figures(*np.mean(drawn, 0))
                error = Figures(*(np.std(drawn, 0, ddof=1) / len(drawn) ** 0.5))
                rows.append(_row(name, way, len(things.hold_out(np.random.default_rng(0)).asked), mean, error))
                record[f"{name}, {way}"] = {"mean": mean._asdict(), "error": error._asdict()}
                if way != "one" and "scenes" in name:
                    title = f"{name}, taught {way}: held out compositions right among 20, %"
                    targets.append(Target(title, 100 * mean.right, ">=", 90.0))
    section: Section = (f"4 examples an attribute, mean of {options.draws} draws and standard error", _COLUMNS, rows)
    head = page_head("Labels composed of attributes", "bench.attributes")
    write_tables(options.out / "attributes", head, [section], ("Targets", targets), {"figures": record}, {})


def _draw(
    things: Things, teach: Callable[[Things, Rows, np.random.Generator], Taught], rng: np.random.Generator
) -> Figures:
    asked, never = things.hold_out(rng)
    taught = teach(things, rng.permutation(np.flatnonzero(~np.isin(things.thing, never))), rng)
    groups = [rng.permutation(np.flatnonzero(things.thing == thing)) for thing in asked]
    # What the rival learns of a held out thing is not asked.
    own = np.concatenate([group[: min(_SHOTS, len(group) // 2)] for group in groups])
    queries = np.concatenate([group[min(_SHOTS, len(group) // 2) :][:_QUERIES] for group in groups])
    column = {thing: number for number, thing in enumerate(asked.tolist())}
    truth = np.array([column[thing] for thing in things.thing[queries].tolist()])
    vectors, each = things.vectors[queries], np.arange(len(queries))
    composed, loss = _ask(things, taught, asked, vectors, things.thing[queries])
    rival, rival_loss = _ask(things, taught, asked, vectors, things.thing[queries], are_attributes=False)
    best, holding = composed.argmax(1), composed >= 0.5
    return Figures(
        len(np.unique(taught.places)),
        float((best == truth).mean()),
        float(holding[each, truth].mean()),
        float(holding.sum(1).mean() - holding[each, truth].mean()),
        calibration_error(reliability(composed[each, best], best == truth)),
        loss,
        float((rival.argmax(1) == truth).mean()),
        float((rival[each, truth] >= 0.5).mean()),
        rival_loss,
        float((_by_means(things, taught, asked, vectors).argmax(1) == truth).mean()),
        float((_by_own(things, own, column, vectors) == truth).mean()),
    )


def _fewest(things: Things, pool: Rows, rng: np.random.Generator) -> Taught:
    """Takes examples, each with all its attributes, that show the most attributes which still lack examples."""
    described = things.described[things.thing[pool]]
    lack, chosen = np.full(len(things.attributes), _SHOTS), list[int]()
    lack[~described.any(0)] = 0
    while (lack > 0).any():
        gain = (described * (lack > 0)).sum(1).astype(float) + rng.random(len(pool)) / 2
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
        lack -= described[chosen[-1]]
    return Taught(pool[chosen], described[chosen])


def _each(things: Things, pool: Rows, rng: np.random.Generator) -> Taught:
    """Takes the examples of `_one`, and enrolls each under all its attributes."""
    places = _one(things, pool, rng).places
    return Taught(places, things.described[things.thing[places]])


def _one(things: Things, pool: Rows, _: np.random.Generator) -> Taught:
    """Takes four examples of each attribute and enrolls each under that attribute alone."""
    described, used = things.described[things.thing[pool]], np.zeros(len(pool), bool)
    places, holds = list[int](), list[Rows]()
    for attribute in range(len(things.attributes)):
        free = np.flatnonzero(described[:, attribute] & ~used)[:_SHOTS]
        used[free] = True
        places += pool[free].tolist()
        holds += [np.arange(len(things.attributes)) == attribute] * len(free)
    return Taught(np.array(places), np.array(holds))


def _ask(
    things: Things, taught: Taught, asked: Rows, queries: Array, shown: Rows, *, are_attributes: bool = True
) -> tuple[Floats, float]:
    """Returns the probability of the composed label of each thing asked about, and the log-loss of the attributes.

    Args:
        things: The set.
        taught: The enrolled examples.
        asked: `(K,)`, the things asked about.
        queries: `(n, d)`.
        shown: `(n,)`, the thing that each query shows.
        are_attributes: Whether the fit is that of a collection with composed labels.

    Returns:
        `(n, K)`, and the log-loss.
    """
    contents, rows = (part.astype(np.intp) for part in np.nonzero(taught.holds))
    vectors = things.vectors[taught.places[contents]]
    classifier = FewShotClassifier(vectors.shape[1])
    classifier.add([things.attributes[row] for row in rows.tolist()], vectors)
    token = classifier.begin()
    examples = Examples(vectors, rows, things.attributes, contents=contents, are_attributes=are_attributes)
    classifier.adopt(fit(examples, independent=True), token)
    composed = ComposedLabels.of([_composition(things, thing) for thing in asked.tolist()])
    settings = DecisionSettings(Policy(), EXAMPLE_SCALE, independent=True, composed=composed)
    count = len(things.attributes) + len(asked)
    answers = predict(classifier, queries, NearestSimilarities.none(len(queries)), settings, count).predictions
    found = [dict(zip(one.labels, one.probabilities, strict=True)) for one in answers]
    attributes = np.array([[one[name] for name in things.attributes] for one in found])
    of_truth = np.where(things.described[shown], attributes, 1 - attributes)
    composed_labels = np.array([[one[str(thing)] for thing in asked.tolist()] for one in found])
    return composed_labels, float(-np.log(np.maximum(of_truth, 1e-9)).mean())


def _composition(things: Things, thing: int) -> Composition:
    def names(held: bool) -> Sequence[str]:
        return [name for name, has in zip(things.attributes, things.described[thing], strict=True) if has == held]

    return Composition(str(thing), names(True), names(False) if things.exclude else ())


def _by_means(things: Things, taught: Taught, asked: Rows, queries: Array) -> Array:
    """Scores by the cosine to the sum of the attributes' means: `(n, d)` → `(n, K)`."""
    vectors = things.vectors[taught.places]
    means = normalize((taught.holds.T @ vectors).astype(np.float32) / np.maximum(taught.holds.sum(0), 1)[:, None])
    return queries @ normalize((things.described[asked] @ means).astype(np.float32)).T


def _by_own(things: Things, own: Rows, column: dict[int, int], queries: Array) -> Rows:
    """Predicts by LDA of examples of the held out things themselves: `(n, d)` → `(n,)`."""
    vectors, labels = things.vectors[own], [str(column[thing]) for thing in things.thing[own].tolist()]
    classifier = FewShotClassifier(vectors.shape[1])
    classifier.add(labels, vectors)
    names = sorted(set(labels), key=int)
    token = classifier.begin()
    classifier.adopt(fit(Examples(vectors, np.array(labels, np.intp), names)), token)
    settings = DecisionSettings(Policy(), EXAMPLE_SCALE)
    answers = predict(classifier, queries, NearestSimilarities.none(len(queries)), settings, 1).predictions
    return np.array([int(one.labels[0]) for one in answers])


def _row(name: str, way: str, held_out: int, mean: Figures, error: Figures) -> list[str]:
    def cell(figure: str, scale: float = 100) -> str:
        return f"{scale * getattr(mean, figure):.1f} ± {scale * getattr(error, figure):.1f}"

    ours = [cell("right"), cell("holds"), f"{mean.false_holds:.2f}", f"{100 * mean.ece:.1f}", f"{mean.loss:.3f}"]
    ridge = [cell("ridge_right"), cell("ridge_holds"), f"{mean.ridge_loss:.3f}"]
    return [name, str(held_out), way, f"{mean.examples:.0f}", *ours, *ridge, cell("means"), cell("own")]


if __name__ == "__main__":
    main()
