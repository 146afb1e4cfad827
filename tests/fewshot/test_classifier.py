"""Tests the classifier: examples are added and removed, fits are adopted, and predictions are right at every step."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glimpse.fewshot import (
    Decision,
    DecisionSettings,
    DomainVectors,
    Examples,
    FewShotClassifier,
    HeadKind,
    NearestSimilarities,
    Policy,
    Predictions,
    fit,
    normalize,
    predict,
)
from glimpse.fewshot.calibration.open_set import nearest_similarities
from glimpse.fewshot.decision import softmax
from glimpse.fewshot.fit import _Candidate as Candidate
from glimpse.fewshot.fit import _choose as choose_head
from glimpse.fewshot.heads.batch_heads import turns_of
from glimpse.fewshot.heads.joined_heads import JoinedHeads

Array = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]
TERMS = DecisionSettings(Policy(default_threshold=0.5), 10.0)
NAMES = [f"l{i}" for i in range(5)]
CENTRES = np.random.default_rng(99).normal(size=(12, 24))


def blobs(seed: int, rows: list[int], noise: float = 0.5) -> Array:
    rng = np.random.default_rng(seed)
    return normalize((CENTRES[rows] + noise * rng.normal(size=(len(rows), 24))).astype(np.float32))


def fitted(
    engine: FewShotClassifier, examples: Examples, pinned: HeadKind | None = None, independent: bool = False
) -> FewShotClassifier:
    token = engine.begin()
    engine.adopt(fit(examples, pinned, independent=independent), token)
    return engine


def engine_of(vectors: Array, rows: list[int], texts: dict[str, Array] | None = None) -> FewShotClassifier:
    engine = FewShotClassifier(24)
    for label, text in (texts or {}).items():
        engine.set_text(label, text)
    engine.add([NAMES[row] for row in rows], vectors)
    return engine


def ask(
    engine: FewShotClassifier, queries: Array, examples: Array, terms: DecisionSettings = TERMS, top_k: int = 5
) -> Predictions:
    near = nearest_similarities(queries, examples)
    return predict(engine, queries, NearestSimilarities(near, np.full(len(queries), -1.0)), terms, top_k)


def scores_of(engine: FewShotClassifier, queries: Array) -> dict[str, list[float]]:
    kind = engine.head().kind
    return dict(zip(engine.labels, engine.scores(kind, queries).T.tolist(), strict=True))


SHOTS = [row for row in range(5) for _ in range(8)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1_000), st.permutations(range(40)), st.integers(3, 40))
def test_a_deleted_example_leaves_no_trace(seed: int, order: list[int], kept: int) -> None:
    """Holds with or without a fit in between, to 1e-5 of the scores' size."""
    vectors = blobs(seed, SHOTS)
    engine = engine_of(vectors, SHOTS)
    fitted(engine, Examples(vectors, np.array(SHOTS, np.intp), NAMES))
    for i in order[kept:]:
        engine.remove([NAMES[SHOTS[i]]], vectors[i : i + 1])
    rest = sorted(order[:kept])
    labels = sorted({SHOTS[i] for i in rest})
    examples = Examples(
        vectors[rest], np.array([labels.index(SHOTS[i]) for i in rest], np.intp), [NAMES[i] for i in labels]
    )
    never = fitted(engine_of(vectors[rest], [SHOTS[i] for i in rest]), examples)
    fitted(engine, examples)
    found, wanted = scores_of(engine, vectors[:5]), scores_of(never, vectors[:5])
    assert found.keys() == wanted.keys()
    for label, scores in wanted.items():
        assert found[label] == pytest.approx(scores, rel=1e-5, abs=1e-5)


def test_the_head_by_shots_and_text() -> None:
    texts = dict(zip(NAMES, blobs(1, list(range(5)), 0.8), strict=True))
    queries, truth = blobs(2, list(range(5)) * 4), [NAMES[row] for row in list(range(5)) * 4]
    engine = FewShotClassifier(24)
    assert engine.head().kind is HeadKind.NONE
    assert ask(engine, queries[:1], queries[:0]).predictions[0].decision is Decision.UNKNOWN
    for label, text in texts.items():
        engine.set_text(label, text)
    steps = [
        ([], HeadKind.PROMPTS),
        (list(range(5)), HeadKind.CLASS_MEAN_AND_PROMPTS),
        (SHOTS, HeadKind.LDA_AND_PROMPTS),
    ]
    vectors = np.empty((0, 24), np.float32)
    rows: list[int] = []
    for more, kind in steps:
        if more:
            new = blobs(len(more), more)
            engine.add([NAMES[row] for row in more], new)
            vectors, rows = np.concatenate([vectors, new]), rows + more
            fitted(engine, Examples(vectors, np.array(rows, np.intp), NAMES, texts))
        found = ask(engine, queries, vectors)
        assert found.kind is kind
        assert len(found.reason) > 5
        assert np.mean([one.labels[0] == label for one, label in zip(found.predictions, truth, strict=True)]) > 0.9
    assert found.calibrated


def test_one_example_a_label_is_not_calibrated() -> None:
    vectors = blobs(0, list(range(5)))
    engine = fitted(engine_of(vectors, list(range(5))), Examples(vectors, np.arange(5), NAMES))
    found = ask(engine, vectors, vectors)
    assert (found.kind, found.calibrated) == (HeadKind.CLASS_MEAN, False)
    assert [one.labels[0] for one in found.predictions] == NAMES
    assert all(one.p_value is None and one.set_size == 0 for one in found.predictions)


def test_changes_during_a_fit_are_not_lost() -> None:
    vectors = blobs(0, SHOTS)
    engine = engine_of(vectors, SHOTS)
    token = engine.begin()
    of_then = fit(Examples(vectors, np.array(SHOTS, np.intp), NAMES))
    new = blobs(1, [7, 7])
    engine.add(["new", "new"], new)
    engine.remove(["l0"], vectors[:1])
    engine.drop("l4")
    engine.adopt(of_then, token)
    assert not engine.is_current
    assert (engine.count("new"), engine.count("l0"), engine.can_score("l4")) == (2, 7, False)
    found = ask(engine, np.concatenate([new, vectors[2:3]]), vectors)
    assert [one.labels[0] for one in found.predictions] == ["new", "new", "l0"]


@pytest.mark.parametrize(
    "pinned", [HeadKind.CLASS_MEAN, HeadKind.LDA, HeadKind.KERNEL_RIDGE, HeadKind.PROJECTED_RIDGE, HeadKind.NEIGHBORS]
)
def test_a_pinned_head_answers_and_is_calibrated(pinned: HeadKind) -> None:
    vectors = blobs(0, SHOTS)
    # The order differs from that in which the labels were added; columns still belong to the right labels.
    order = np.random.default_rng(0).permutation(len(SHOTS))
    engine = engine_of(vectors[order], [SHOTS[i] for i in order])
    fitted(engine, Examples(vectors, np.array(SHOTS, np.intp), NAMES), pinned)
    found = ask(engine, vectors, vectors)
    assert (found.kind, found.calibrated) == (pinned, True)
    assert np.mean([one.labels[0] == NAMES[row] for one, row in zip(found.predictions, SHOTS, strict=True)]) > 0.9
    engine.add(["l0"], vectors[:1])
    if pinned not in (HeadKind.CLASS_MEAN, HeadKind.LDA):
        assert engine.head().kind is HeadKind.LDA  # until the next fit
    else:
        assert engine.head().kind is pinned


def test_prompts_answer_only_where_they_are_clearly_better_than_text_and_examples_together() -> None:
    rng, rows = np.random.default_rng(0), np.tile(np.arange(5), 8)
    noise = rng.normal(size=(40, 5))

    def candidate(kind: HeadKind, signal: float, count: int) -> Candidate:
        scores = signal * np.eye(5)[rows[:count]] + noise[:count]
        return Candidate(kind, scores, scores, lambda queries: queries)

    for signal, count, better in ((4.0, 40, True), (1.2, 40, False), (4.0, 10, False)):
        candidates = {
            HeadKind.PROMPTS: candidate(HeadKind.PROMPTS, signal, count),
            HeadKind.LDA: candidate(HeadKind.LDA, 1.5, count),
        }
        assert choose_head(candidates, rows[:count], np.bincount(rows[:count]).astype(np.float64), None)[0] is (
            HeadKind.PROMPTS if better else HeadKind.LDA
        )


def test_regressions_wait_until_the_smallest_label_has_eight_examples() -> None:
    rows = [row for row in range(4) for _ in range(16)] + [4] * 7
    vectors = blobs(0, rows)
    few = fit(Examples(vectors, np.array(rows, np.intp), NAMES))
    assert HeadKind.KERNEL_RIDGE not in few.evaluations
    enough = fit(Examples(blobs(0, [*rows, 4]), np.array([*rows, 4], np.intp), NAMES))
    assert HeadKind.KERNEL_RIDGE in enough.evaluations


@pytest.mark.parametrize(("shots", "chosen"), [(7, HeadKind.LDA), (8, HeadKind.KERNEL_RIDGE)])
def test_kernel_ridge_answers_from_eight_shots_where_it_is_better(shots: int, chosen: HeadKind) -> None:
    """Each label has two opposite modes, which LDA's means do not show."""
    rng, rows = np.random.default_rng(0), np.repeat(np.arange(5), shots)
    modes = CENTRES[rows] * np.where(np.arange(len(rows)) % 2, 1, -1)[:, None]
    vectors = normalize((modes + 0.3 * rng.normal(size=modes.shape)).astype(np.float32))
    engine = fitted(engine_of(vectors, rows.tolist()), Examples(vectors, rows, NAMES))
    assert engine.head().kind is chosen
    answers = ask(engine, vectors, vectors, top_k=1)
    assert answers.kind is chosen
    assert answers.reason == (
        "best by leave-one-out, by more than a standard error" if shots == 8 else "labels have two examples or more"
    )


def test_under_eight_shots_kernel_ridge_is_reported_and_not_chosen() -> None:
    errors = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        means = rng.normal(size=(5, 16))
        rows, queries = np.repeat(np.arange(5), 3), np.repeat(np.arange(5), 50)
        vectors, asked = (
            normalize((means[r] + 1.5 * rng.normal(size=(len(r), 16))).astype(np.float32)) for r in (rows, queries)
        )
        fitted = fit(Examples(vectors, rows, NAMES))
        assert fitted.chosen is HeadKind.LDA
        pinned = fit(Examples(vectors, rows, NAMES), HeadKind.KERNEL_RIDGE)
        reported = fitted.evaluations[HeadKind.KERNEL_RIDGE]
        assert pinned.chosen is HeadKind.KERNEL_RIDGE
        assert pinned.batch_head is not None
        assert pinned.evaluations[HeadKind.KERNEL_RIDGE].correct == reported.correct
        errors.append(reported.accuracy - (pinned.batch_head.scores(asked).argmax(1) == queries).mean())
    assert abs(np.mean(errors)) < 0.1


def test_one_example_of_every_label_is_left_out_at_once() -> None:
    rows = np.array([0, 1, 1, 0, 2, 2, 2])
    turns = turns_of(rows, np.bincount(rows).astype(np.float64))
    assert turns is not None
    assert turns.tolist() == [0, 0, 1, 1, 0, 1, 2]
    for others in ([0, 1, 1], [0] * 8 + [1] * 2, [0, 0]):
        assert turns_of(np.array(others), np.bincount(others).astype(np.float64)) is None


def test_kernel_ridge_answers_with_the_log_probabilities_of_both_heads() -> None:
    vectors, rows = blobs(0, SHOTS), np.array(SHOTS, np.intp)
    result = fit(Examples(vectors, rows, NAMES), HeadKind.KERNEL_RIDGE)
    assert isinstance(result.batch_head, JoinedHeads)
    joined, queries = result.batch_head, blobs(1, SHOTS[:10])
    lda = np.log(softmax(joined.lda.scores(queries), 1 / joined.temperatures[0]))
    ridge = np.log(softmax(joined.ridge.scores(queries), 1 / joined.temperatures[1]))
    assert joined.scores(queries) == pytest.approx(lda + ridge, abs=1e-3)


def test_a_text_counts_for_more_where_it_is_nearer_the_label_than_examples_are() -> None:
    """The weight is e / e_text up to what leaving out adds: near texts weigh more than far ones."""
    weights = {}
    for noise in (0.1, 2.0):
        texts = dict(zip(NAMES, blobs(1, list(range(5)), noise), strict=True))
        vectors = blobs(2, SHOTS, 1.5)
        found = fit(Examples(vectors, np.array(SHOTS, np.intp), NAMES, texts))
        weights[noise] = found.lda.moments.text_weight
    assert weights[0.1] >= 8
    assert weights[2.0] == 2


def test_at_one_shot_with_texts_the_temperature_follows_the_texts() -> None:
    """Directions in a narrow cone have cosines that differ by hundredths; divided by 0.07 they would say nothing."""
    rng = np.random.default_rng(5)
    labels, rows = [f"l{row}" for row in range(30)], np.arange(30)
    centres = rng.normal(size=24) + 0.3 * rng.normal(size=(30, 24))
    inputs, texts = (normalize((centres + 0.02 * rng.normal(size=centres.shape)).astype(np.float32)) for _ in range(2))
    queries = normalize((centres + 0.02 * rng.normal(size=centres.shape)).astype(np.float32))
    engine, named = FewShotClassifier(24), dict(zip(labels, texts, strict=True))
    for label, text in named.items():
        engine.set_text(label, text)
    engine.add(labels, inputs)
    before = ask(engine, queries, inputs, top_k=1)
    fitted(engine, Examples(inputs, rows, labels, named))
    after = ask(engine, queries, inputs, top_k=1)
    for answers, likely in ((before, False), (after, True)):
        assert answers.kind is HeadKind.CLASS_MEAN_AND_PROMPTS
        assert [one.labels[0] for one in answers.predictions] == labels
        assert all((one.probabilities[0] > 0.5) is likely for one in answers.predictions)
    assert not after.calibrated


def test_prompts_can_be_pinned_against_examples() -> None:
    vectors = blobs(0, SHOTS)
    turned = dict(zip(NAMES, blobs(1, [1, 2, 3, 4, 0], 0.1), strict=True))  # an example of l0 looks like l1
    engine = engine_of(vectors, SHOTS, turned)
    fitted(engine, Examples(vectors, np.array(SHOTS, np.intp), NAMES, turned), HeadKind.PROMPTS)
    found = ask(engine, vectors[:1], vectors)
    assert (found.kind, found.predictions[0].labels[0]) == (HeadKind.PROMPTS, "l4")


def test_few_and_many_shots_one_label_and_labels_of_text_alone_are_sane() -> None:
    rows = [0] * 40 + [1]
    vectors = blobs(0, rows)
    engine = fitted(engine_of(vectors, rows), Examples(vectors, np.array(rows, np.intp), NAMES[:2]))
    found = ask(engine, blobs(1, [0] * 20 + [1] * 20), vectors)
    right = [one.labels[0] == NAMES[row] for one, row in zip(found.predictions, [0] * 20 + [1] * 20, strict=True)]
    assert np.mean(right) > 0.9
    one_label = fitted(engine_of(vectors[:40], [0] * 40), Examples(vectors[:40], np.zeros(40, np.intp), NAMES[:1]))
    decisions = [one.decision for one in ask(one_label, blobs(2, [0] * 50 + [3] * 50), vectors[:40]).predictions]
    assert np.mean([one is Decision.MATCH for one in decisions[:50]]) > 0.85
    assert np.mean([one is Decision.UNKNOWN for one in decisions[50:]]) > 0.9
    texts = {"l3": blobs(3, [3], 0.1)[0], "l0": blobs(3, [0], 0.1)[0]}
    mixed = engine_of(vectors[:40], [0] * 40, texts)
    fitted(mixed, Examples(vectors[:40], np.zeros(40, np.intp), ["l0", "l3"], texts))
    assert [one.labels[0] for one in ask(mixed, blobs(4, [0, 3]), vectors[:40]).predictions] == ["l0", "l3"]


def test_unknown_inputs_are_found_and_negative_examples_are_a_ceiling() -> None:
    vectors, rows = blobs(0, SHOTS), np.array(SHOTS, np.intp)
    queries, outside = blobs(1, SHOTS * 10), blobs(2, [7] * 30 + [8] * 30)
    engine = fitted(engine_of(vectors, SHOTS), Examples(vectors, rows, NAMES))

    def unknown(engine: FewShotClassifier, some: Array) -> float:
        return float(np.mean([one.decision is Decision.UNKNOWN for one in ask(engine, some, vectors).predictions]))

    assert unknown(engine, queries) < 0.15
    assert unknown(engine, outside) > 0.9
    # Near a label, toward an input out of distribution.
    between = normalize(blobs(3, [0] * 30) + 0.3 * blobs(4, [7] * 30))
    before = unknown(engine, between[:15])
    aware = fitted(engine_of(vectors, SHOTS), Examples(vectors, rows, NAMES, negatives=DomainVectors(between[15:])))
    assert before < 0.6
    assert unknown(aware, between[:15]) > before + 0.3


def test_independent_labels_each_hold_by_themselves() -> None:
    """An input of two labels has both, an input of one label has one, and an input of none has none."""
    rng = np.random.default_rng(0)

    def some(sets: list[tuple[int, ...]], seed: int) -> Array:
        noise = np.random.default_rng(seed).normal(size=(len(sets), 24))
        return normalize((np.array([CENTRES[list(one)].sum(0) for one in sets]) + 0.6 * noise).astype(np.float32))

    sets = [tuple(sorted(rng.choice(5, rng.integers(1, 3), replace=False).tolist())) for _ in range(150)]
    base = some(sets, 1)
    pairs = [(place, row) for place, one in enumerate(sets) for row in one]
    vectors, rows = base[[place for place, _ in pairs]], np.array([row for _, row in pairs], np.intp)
    contents = np.array([place for place, _ in pairs], np.intp)
    engine = FewShotClassifier(24)
    engine.add([NAMES[row] for row in rows], vectors)
    fitted(engine, Examples(vectors, rows, NAMES, contents=contents), independent=True)
    asked = [tuple(sorted(rng.choice(5, rng.integers(1, 3), replace=False).tolist())) for _ in range(200)]
    found = ask(engine, some(asked, 2), vectors, DecisionSettings(Policy(), 10.0, independent=True))
    predictions = [{*one.labels[: one.set_size]} for one in found.predictions]
    truth = [{NAMES[row] for row in one} for one in asked]
    right = np.mean([len(a & b) / len(a | b) for a, b in zip(predictions, truth, strict=True)])
    assert right > 0.8
    odd = ask(engine, some([(9,)] * 40, 3), vectors, DecisionSettings(Policy(), 10.0, independent=True))
    assert np.mean([one.decision is Decision.UNKNOWN for one in odd.predictions]) > 0.7


def test_candidates_alone_are_scored_where_labels_are_very_many() -> None:
    rng = np.random.default_rng(0)
    vectors = normalize(rng.normal(size=(10_050, 24)).astype(np.float32))
    engine = FewShotClassifier(24)
    labels = [f"n{i}" for i in range(len(vectors))]
    engine.add(labels, vectors)
    assert not engine.lda.dense
    candidates = np.array([[5, 17, -1, 10_049], [1, 2, 3, -1]], np.intp)
    queries = vectors[[17, 3]]
    found = predict(engine, queries, NearestSimilarities.none(2), TERMS, 3, candidates)
    assert [one.labels[0] for one in found.predictions] == ["n17", "n3"]
    assert [len(one.labels) for one in found.predictions] == [3, 3]
    assert [one.scores[0] for one in found.predictions] == pytest.approx([1, 1], abs=1e-5)
    engine.drop("n3")
    assert engine.labels[3] == "n10049"
    for label in labels[100:]:
        if engine.lda.dense:
            break
        engine.drop(label)
    assert ask(engine, vectors[17:18], vectors).predictions[0].labels[0] == "n17"


def test_domains_are_taken_out_where_that_helps() -> None:
    rng = np.random.default_rng(0)
    shift = {"a": rng.normal(size=24), "b": rng.normal(size=24), "c": rng.normal(size=24)}
    rows = [row for row in range(5) for _ in range(12)]
    names = ["a", "b", "c"] * 20

    def some(seed: int) -> Array:
        noise = np.random.default_rng(seed).normal(size=(60, 24))
        moved = np.array([shift[name] for name in names])
        return normalize((0.6 * CENTRES[rows] + 2.5 * moved + 0.3 * noise).astype(np.float32))

    vectors, places = some(1), np.array(rows, np.intp)
    engine = FewShotClassifier(24)
    engine.add([NAMES[row] for row in rows], vectors, names)
    fitted(engine, Examples(vectors, places, NAMES, domains=names))
    assert engine.adapted
    assert engine.fitted is not None
    assert len(engine.fitted.adaptation_trials) > 1
    # Adding and removing an example restores the state.
    queries = engine.adapt(some(2)[:6], names[:6])
    before = engine.lda.scores(queries)
    engine.add(["l0"], vectors[:1], ["a"])
    engine.remove(["l0"], vectors[:1], ["a"])
    assert engine.lda.scores(queries) == pytest.approx(before, rel=1e-3, abs=1e-2)
    fresh = FewShotClassifier(24)
    fresh.add([NAMES[row] for row in rows], vectors)
    fitted(fresh, Examples(vectors, places, NAMES))
    assert not fresh.adapted


def test_negative_examples_count_with_one_example_per_label_and_with_none() -> None:
    vectors, outside = blobs(0, list(range(5)), 0.3), blobs(1, [7] * 30, 0.3)
    texts = dict(zip(NAMES, blobs(2, list(range(5)), 0.2), strict=True))
    one = fitted(
        engine_of(vectors, list(range(5))),
        Examples(vectors, np.arange(5), NAMES, negatives=DomainVectors(outside[:15])),
    )
    policy = Policy(default_threshold=-1.0)
    found = ask(
        one, np.concatenate([blobs(3, list(range(5)), 0.3), outside[15:]]), vectors, DecisionSettings(policy, 10.0)
    )
    assert not found.calibrated
    assert [each.decision for each in found.predictions[:5]] == [Decision.MATCH] * 5
    assert np.mean([each.decision is Decision.UNKNOWN for each in found.predictions[5:]]) > 0.8
    words = engine_of(vectors[:0], [], texts)
    none = np.empty(0, np.intp)
    fitted(words, Examples(vectors[:0], none, NAMES, texts, negatives=DomainVectors(outside[:15])))
    found = ask(
        words,
        np.concatenate([blobs(3, list(range(5)), 0.3), outside[15:]]),
        vectors[:0],
        DecisionSettings(policy, 10.0),
    )
    assert found.kind is HeadKind.PROMPTS
    assert np.mean([each.decision is Decision.UNKNOWN for each in found.predictions[:5]]) <= 0.2
    assert np.mean([each.decision is Decision.UNKNOWN for each in found.predictions[5:]]) > 0.8


def test_a_rate_of_false_accepts_needs_no_second_example() -> None:
    rng = np.random.default_rng(0)
    centres = normalize(rng.normal(size=(200, 24)).astype(np.float32))
    names = [f"n{i}" for i in range(100)]
    engine = FewShotClassifier(24)
    engine.add(names, centres[:100])
    fitted(engine, Examples(centres[:100], np.arange(100), names))
    for rate in (0.1, 0.4):
        found = ask(engine, centres[100:], centres[:100], DecisionSettings(Policy(false_accept=rate), 10.0))
        accepted = np.mean([one.decision is not Decision.UNKNOWN for one in found.predictions])
        assert accepted == pytest.approx(rate, abs=0.12)
        again = ask(engine, centres[:100], centres[:100], DecisionSettings(Policy(false_accept=rate), 10.0))
        assert not any(one.decision is Decision.UNKNOWN for one in again.predictions)


def test_a_label_of_text_alone_is_not_held_against_the_examples_of_others() -> None:
    vectors = blobs(0, SHOTS[:32])  # l0 to l3
    texts = {"l4": blobs(1, [4], 0.1)[0]}
    engine = engine_of(vectors, SHOTS[:32], texts)
    fitted(engine, Examples(vectors, np.array(SHOTS[:32], np.intp), NAMES, texts))
    found = ask(engine, blobs(2, [4] * 20), vectors)
    assert np.mean([one.labels[0] == "l4" for one in found.predictions]) > 0.8
    assert all(
        one.p_value is None and one.decision is not Decision.UNKNOWN
        for one in found.predictions
        if one.labels[0] == "l4"
    )


def test_pinned_prompts_are_measured_as_prompts_are_without_examples() -> None:
    """Fit is the certainty of the prompts, not the cosine to the nearest example."""
    vectors, outside = blobs(0, list(range(5)), 0.3), blobs(1, [7] * 30, 0.3)
    outside[0] = normalize(outside[:1] + vectors[:1])[0]
    texts = dict(zip(NAMES, blobs(2, list(range(5)), 0.2), strict=True))
    negatives = DomainVectors(outside[:15])
    pinned = fitted(
        engine_of(vectors, list(range(5)), texts),
        Examples(vectors, np.arange(5), NAMES, texts, negatives=negatives),
        HeadKind.PROMPTS,
    )
    plain = engine_of(vectors[:0], [], texts)
    fitted(plain, Examples(vectors[:0], np.empty(0, np.intp), NAMES, texts, negatives=negatives))
    queries = np.concatenate([blobs(3, list(range(5)), 0.3), outside[15:]])
    predictions, wanted = ask(pinned, queries, vectors), ask(plain, queries, vectors)
    assert predictions.kind is wanted.kind is HeadKind.PROMPTS
    assert [one.decision for one in predictions.predictions] == [one.decision for one in wanted.predictions]
    assert {one.decision for one in predictions.predictions} >= {Decision.UNKNOWN, Decision.MATCH}


@pytest.mark.parametrize("shots", [1, 3])
@pytest.mark.parametrize("whole_labels", [False, True])
def test_texts_return_to_their_place_when_all_examples_are_removed(shots: int, whole_labels: bool) -> None:
    texts = dict(zip(NAMES, blobs(1, list(range(5)), 0.2), strict=True))
    rows = [row for row in range(2) for _ in range(shots)]
    vectors = normalize(blobs(2, rows) + 0.5 * blobs(3, [8] * len(rows)))
    engine = engine_of(vectors, rows, texts)
    fitted(engine, Examples(vectors, np.array(rows, np.intp), NAMES, texts))
    if whole_labels:
        for label in ("l0", "l1"):
            engine.drop(label)
    else:
        for row, vector in zip(rows, vectors, strict=True):
            engine.remove([NAMES[row]], vector[None])
    engine.clear_fit(engine.begin())
    left = ["l2", "l3", "l4"]
    queries = np.stack([texts[label] for label in left])
    found = ask(engine, queries, vectors[:0])
    assert found.kind is HeadKind.PROMPTS
    assert [one.labels[0] for one in found.predictions] == left
    assert [one.scores[0] for one in found.predictions] == pytest.approx([1, 1, 1], abs=1e-5)


def many(seed: int, labels: int, shots: int) -> Array:
    """Returns each label's shots, one label after another."""
    centres = np.repeat(np.random.default_rng(99).normal(size=(labels, 24)), shots, axis=0)
    noise = np.random.default_rng(seed).normal(size=centres.shape)
    return normalize((centres + 0.9 * noise).astype(np.float32))


@pytest.mark.filterwarnings("error")
def test_one_candidate_has_no_margin_and_no_candidate_is_unknown() -> None:
    vectors, engine = many(0, 10_050, 1), FewShotClassifier(24)
    engine.add([f"n{i}" for i in range(10_050)], vectors)
    candidates = np.array([[5, -1, -1], [-1, -1, -1]], np.intp)
    for independent in (False, True):
        terms = DecisionSettings(TERMS.policy, 10.0, independent)
        one, none = predict(engine, vectors[[5, 6]], NearestSimilarities.none(2), terms, 3, candidates).predictions
        assert (one.labels, one.margin) == (["n5"], None)
        assert (none.decision, len(none.labels), none.margin) == (Decision.UNKNOWN, 0, None)
        assert none.reason


@pytest.mark.parametrize("independent", [False, True])
def test_candidates_are_as_sure_as_a_sample_of_the_labels_is(independent: bool) -> None:
    """LDA's scores are not cosines, so their temperature must come from the sample."""
    vectors, engine = many(0, 10_050, 6), FewShotClassifier(24)
    engine.add([f"n{i // 6}" for i in range(len(vectors))], vectors)
    rows = np.repeat(np.arange(200), 6).astype(np.intp)
    sample = fit(Examples(vectors[:1_200], rows, [f"n{i}" for i in range(200)]), independent=independent)
    engine.adopt(sample, engine.begin(), complete=False)
    queries = many(1, 200, 1)
    candidates = np.tile(np.arange(200), (200, 1)).astype(np.intp)
    found = predict(
        engine, queries, NearestSimilarities.none(200), DecisionSettings(Policy(), 10.0, independent), 1, candidates
    )
    right = np.mean([one.labels[0] == f"n{i}" for i, one in enumerate(found.predictions)])
    confidence = np.mean([one.probabilities[0] for one in found.predictions])
    assert 0.6 < right < 0.95
    if independent:
        assert np.mean([one.set_size for one in found.predictions]) == pytest.approx(1, abs=0.3)
    else:
        assert confidence == pytest.approx(right, abs=0.1)


def test_texts_move_by_the_gap_that_a_sample_of_the_examples_shows() -> None:
    texts = dict(zip(NAMES, blobs(1, list(range(5)), 0.1), strict=True))
    rows = np.array([0, 0, 0, 0, 1, 1, 1, 1], np.intp)
    vectors = normalize(blobs(2, rows.tolist(), 0.1) + 0.5 * blobs(3, [8] * 8, 0.1))
    engine = engine_of(vectors[:4], rows[:4].tolist(), texts)
    fitted(engine, Examples(vectors[:4], rows[:4], NAMES, texts))
    engine.add(["l1"] * 4, vectors[4:])
    sample = fit(Examples(vectors[1:7], rows[1:7], NAMES, texts))
    engine.adopt(sample, engine.begin(), complete=False)
    assert engine.lda.moments.gap == pytest.approx(sample.lda.moments.gap)
    assert engine.count("l1") == 4


def tagged(seed: int, count: int, most: int = 3) -> tuple[Array, list[tuple[int, ...]]]:
    """Returns inputs with one of 5 labels, or several at once."""
    rng = np.random.default_rng(seed)
    sets = [tuple(sorted(rng.choice(5, rng.integers(1, most + 1), replace=False).tolist())) for _ in range(count)]
    values = np.array([CENTRES[list(one)].sum(0) for one in sets]) + 1.5 * rng.normal(size=(count, 24))
    return normalize(values.astype(np.float32)), sets


def test_copies_under_other_labels_do_not_change_an_independent_label() -> None:
    """A left-out example is compared with the labels that it lacks, and its copies are not its neighbours."""
    base, sets = tagged(1, 200, 2)
    pairs = [(place, row) for place, one in enumerate(sets) for row in one]
    places, rows = (np.array(one, np.intp) for one in zip(*pairs, strict=True))
    found = fit(Examples(base[places], rows, NAMES, contents=places), independent=True)
    evaluation = found.evaluations[HeadKind.LDA]
    assert evaluation.accuracy > 0.8
    wrong = [
        (int(places[i]), found.labels[evaluation.predicted[i]])
        for i in np.flatnonzero(evaluation.predicted != found.rows)
    ]
    assert wrong
    assert not {*wrong} & {(place, NAMES[row]) for place, row in pairs}
    engine = FewShotClassifier(24)
    engine.add([NAMES[row] for row in rows], base[places])
    fitted(engine, Examples(base[places], rows, NAMES, contents=places), independent=True)
    answers = ask(engine, tagged(2, 300, 2)[0], base, DecisionSettings(Policy(), 10.0, independent=True))
    assert np.mean([one.p_value or 0.0 for one in answers.predictions]) == pytest.approx(0.5, abs=0.08)


def test_the_distance_relative_to_all_examples_follows_every_change() -> None:
    vectors = blobs(0, SHOTS)
    engine = fitted(engine_of(vectors, SHOTS), Examples(vectors, np.array(SHOTS, np.intp), NAMES))
    queries = blobs(1, SHOTS)

    def wanted() -> npt.NDArray[np.float64]:
        assert engine.fitted
        return engine.fitted.pooled.distances(queries) - engine.lda.lengths(queries)

    before = wanted()
    assert engine.relative_lengths(queries) == pytest.approx(before, rel=1e-4, abs=1e-4)
    engine.add(NAMES[:1], queries[:1])
    assert np.abs(wanted() - before).max() > 0.1  # otherwise the next line could not fail
    assert engine.relative_lengths(queries) == pytest.approx(wanted(), rel=1e-4, abs=1e-4)
    engine.remove([NAMES[0]], queries[:1])
    assert engine.relative_lengths(queries) == pytest.approx(before, rel=1e-4, abs=1e-4)
