"""Tests labels that are composed of others: their probabilities, their rank, and that nothing else changes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from glimpse.fewshot import (
    ComposedLabels,
    Composition,
    Decision,
    DecisionSettings,
    Examples,
    FewShotClassifier,
    NearestSimilarities,
    Policy,
    Predictions,
    fit,
    normalize,
    predict,
)

Array = npt.NDArray[np.float32]
NAMES = ("red", "blue", "green", "circle", "square", "star")
CENTRES = np.random.default_rng(23).normal(size=(6, 24))
SETTINGS = DecisionSettings(Policy(), 10.0, independent=True)


def things(seed: int, pairs: Sequence[tuple[int, int]], each: int = 4) -> Array:
    """Returns `each` vectors of each pair of a colour and a shape."""
    noise = np.random.default_rng(seed).normal(size=(len(pairs) * each, 24))
    clean = np.array([CENTRES[a] + CENTRES[b] for a, b in pairs for _ in range(each)])
    return normalize((clean + 0.5 * noise).astype(np.float32))


def taught(*, fitted: bool = True) -> FewShotClassifier:
    """Returns a classifier that knows every colour and every shape, but no red star, blue square or green circle."""
    pairs = [(0, 3), (0, 4), (1, 3), (1, 5), (2, 4), (2, 5)]
    vectors, rows = np.repeat(things(1, pairs), 2, axis=0), np.repeat(np.array(pairs), 4, axis=0).ravel()
    engine = FewShotClassifier(24)
    engine.add([NAMES[row] for row in rows], vectors)
    if fitted:
        examples = Examples(vectors, rows, NAMES, contents=np.arange(len(rows)) // 2)
        engine.adopt(fit(examples, independent=True), engine.begin())
    return engine


def ask(
    engine: FewShotClassifier,
    queries: Array,
    *compositions: Composition,
    top_k: int = 20,
    candidates: npt.NDArray[np.intp] | None = None,
) -> Predictions:
    settings = replace(SETTINGS, composed=ComposedLabels.of(compositions) if compositions else None)
    return predict(engine, queries, NearestSimilarities.none(len(queries)), settings, top_k, candidates)


RED_STAR = Composition("red star", ("red", "star"))
BLUE_SQUARE = Composition("blue square", ("blue", "square"), ("circle", "star"))
GREEN_CIRCLE = Composition("green circle", ("green", "circle"))
NEVER_SEEN = ((0, 5), (1, 4), (2, 3))


def test_the_probability_is_the_product_of_the_parts() -> None:
    for one in ask(taught(), things(2, NEVER_SEEN), RED_STAR, BLUE_SQUARE).predictions:
        found = dict(zip(one.labels, one.probabilities, strict=True))
        assert found["red star"] == pytest.approx(found["red"] * found["star"], rel=1e-12)
        others = (1 - found["circle"]) * (1 - found["star"])
        assert found["blue square"] == pytest.approx(found["blue"] * found["square"] * others, rel=1e-12)
        assert dict(zip(one.labels, one.scores, strict=True))["red star"] == found["red star"]
        assert list(one.probabilities) == sorted(one.probabilities, reverse=True)


def test_things_never_enrolled_are_recognised_by_their_attributes() -> None:
    composed = (RED_STAR, BLUE_SQUARE, GREEN_CIRCLE)
    answers = ask(taught(), things(3, NEVER_SEEN, each=20), *composed).predictions
    names = [each.label for each in composed]
    best = [next(label for label in one.labels if label in names) for one in answers]
    truth = np.repeat(names, 20)
    assert (np.array(best) == truth).mean() >= 0.95
    held = [set(names).intersection(one.labels[: one.set_size]) for one in answers]
    assert np.mean([holds == {name} for holds, name in zip(held, truth, strict=True)]) >= 0.6
    assert all(holds <= {name} for holds, name in zip(held, truth, strict=True))


@pytest.mark.parametrize("fitted", [True, False])
def test_other_labels_and_the_decision_stay_as_they_are(fitted: bool) -> None:
    queries = things(4, [*NEVER_SEEN, (0, 3)])
    plain = ask(taught(fitted=fitted), queries).predictions
    with_composed = ask(taught(fitted=fitted), queries, RED_STAR, BLUE_SQUARE, GREEN_CIRCLE).predictions
    for one, other in zip(plain, with_composed, strict=True):
        assert one.decision is other.decision
        assert (one.labels[0], one.margin, one.similarity, one.p_value) == (
            other.labels[0],
            other.margin,
            other.similarity,
            other.p_value,
        )
        kept = [line for line in zip(other.labels, other.scores, other.probabilities, strict=True) if line[0] in NAMES]
        assert kept == list(zip(one.labels, one.scores, one.probabilities, strict=True))


def test_the_set_counts_composed_labels_that_hold() -> None:
    for one in ask(taught(), things(5, [*NEVER_SEEN, (1, 5)]), RED_STAR, GREEN_CIRCLE).predictions:
        assert one.set_size == sum(probability >= 0.5 for probability in one.probabilities)
        assert (one.decision is Decision.MATCH) == bool(one.set_size)
    sizes = [one.set_size for one in ask(taught(), things(5, [(0, 5)]), RED_STAR).predictions]
    assert max(sizes) == 3


def test_a_composed_label_without_a_known_part_is_not_answered() -> None:
    unknown = Composition("red ring", ("red", "ring"))
    [one] = ask(taught(), things(6, [(0, 5)], each=1), unknown, RED_STAR).predictions
    assert "red ring" not in one.labels
    assert "red star" in one.labels
    [alone] = ask(taught(), things(6, [(0, 5)], each=1), unknown).predictions
    assert set(alone.labels) == set(NAMES)


def test_the_best_labels_of_both_kinds_are_returned() -> None:
    queries = things(7, [(0, 5)])
    every = ask(taught(), queries, RED_STAR, BLUE_SQUARE, GREEN_CIRCLE).predictions
    few = ask(taught(), queries, RED_STAR, BLUE_SQUARE, GREEN_CIRCLE, top_k=2).predictions
    assert [list(one.labels) for one in few] == [list(one.labels[:2]) for one in every]


def test_a_query_without_a_candidate_has_no_composed_label() -> None:
    queries = things(8, [(0, 5)])
    answers = ask(taught(fitted=False), queries, RED_STAR, candidates=np.full((len(queries), 1), -1)).predictions
    assert {(one.decision, tuple(one.labels)) for one in answers} == {(Decision.UNKNOWN, ())}


def test_parts_outside_the_candidates_count() -> None:
    """LDA scores candidates alone where there are more labels than are scored at once. No part is among them here."""
    engine, queries = taught(fitted=False), things(8, [(0, 5)])
    row = engine.lda.moments.row("circle")
    assert row is not None
    answers = ask(engine, queries, RED_STAR, candidates=np.full((len(queries), 1), row)).predictions
    for one, whole in zip(answers, ask(engine, queries, RED_STAR).predictions, strict=True):
        both = [dict(zip(each.labels, each.probabilities, strict=True))["red star"] for each in (one, whole)]
        assert both[0] == pytest.approx(both[1], rel=1e-5)
