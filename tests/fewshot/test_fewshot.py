"""The mathematics, against the plain formulas."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glimpse.fewshot import Decision, HeadKind, Policy, PrototypeHead, decide, mean_direction, normalize
from glimpse.fewshot.decision import log_partition

Array = npt.NDArray[np.float32]


def unit_rows(seed: int, n: int, d: int = 16) -> Array:
    return normalize(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))


def head_of(vectors: Array, labels: list[str]) -> PrototypeHead:
    head = PrototypeHead(vectors.shape[1])
    for vector, label in zip(vectors, labels, strict=True):
        head.add(label, vector)
    return head


def table(head: PrototypeHead, queries: Array) -> dict[str, list[float]]:
    return dict(zip(head.labels, head.scores(queries).T.tolist(), strict=True))


@given(st.integers(0, 10_000), st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=60))
def test_scores_are_cosines_to_class_means(seed: int, labels: list[str]) -> None:
    vectors, queries = unit_rows(seed, len(labels)), unit_rows(seed + 1, 4)
    scores = table(head_of(vectors, labels), queries)
    for label in set(labels):
        mean = vectors[[one == label for one in labels]].astype(np.float64).mean(0)
        assert scores[label] == pytest.approx((queries @ (mean / np.linalg.norm(mean))).tolist(), abs=1e-5)


@given(st.integers(0, 10_000), st.permutations(range(20)), st.integers(0, 20))
def test_order_and_removed_examples_leave_no_trace(seed: int, order: list[int], kept: int) -> None:
    """To the last bit: so what is held in memory equals what would be rebuilt from the ledger."""
    vectors, labels = unit_rows(seed, 20), [f"l{i % 6}" for i in range(20)]
    direct = head_of(vectors[sorted(order[:kept])], [labels[i] for i in sorted(order[:kept])])
    roundabout = head_of(vectors[order], [labels[i] for i in order])
    for i in order[kept:]:
        roundabout.remove(labels[i], vectors[i])
    queries = unit_rows(seed + 1, 3)
    assert table(roundabout, queries) == table(direct, queries)
    assert roundabout.kind == direct.kind


def kind_of(head: PrototypeHead) -> HeadKind:
    return head.kind


def test_prompts_answer_until_there_is_an_example() -> None:
    head = PrototypeHead(4)
    assert not head.labels
    assert head.scores(unit_rows(0, 2, 4)).shape == (2, 0)
    prompt, other, example = unit_rows(1, 3, 4)
    head.set_prompts("a", prompt)
    head.set_prompts("b", other)
    assert kind_of(head) is HeadKind.PROMPTS
    assert table(head, prompt[None])["a"] == pytest.approx([1])
    head.add("a", example)
    assert kind_of(head) is HeadKind.CLASS_MEAN_AND_PROMPTS
    assert table(head, example[None])["a"] == pytest.approx([1])
    head.add("b", example)
    assert kind_of(head) is HeadKind.CLASS_MEAN
    head.remove("a", example)
    head.remove("b", example)
    assert kind_of(head) is HeadKind.PROMPTS
    head.set_prompts("a", None)
    head.drop("b")
    head.drop("never there")
    assert (head.kind, head.labels) == (HeadKind.NONE, [])


def test_opposite_examples_score_nothing() -> None:
    vector = unit_rows(0, 1)[0]
    head = head_of(np.stack([vector, -vector]), ["a", "a"])
    assert table(head, vector[None])["a"] == [0]


def test_probabilities_are_steady() -> None:
    scores = np.array([[0.9, 0.1, -0.5], [100.9, 100.1, 99.5]], np.float32)
    for scale in (1.0, 100.0):
        probabilities = np.exp(scale * scores.astype(np.float64) - log_partition(scores, scale)[:, None])
        assert probabilities.sum(1) == pytest.approx([1, 1])
        assert probabilities[0] == pytest.approx(probabilities[1], rel=1e-3)
    assert probabilities[0, 0] == pytest.approx(1)


def test_a_mean_direction_is_the_renormalised_mean() -> None:
    rows = unit_rows(0, 5)
    assert np.linalg.norm(mean_direction(rows)) == pytest.approx(1)
    assert mean_direction(rows) @ rows.mean(0) == pytest.approx(np.linalg.norm(rows.mean(0)), abs=1e-6)


@pytest.mark.parametrize("bad", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_what_has_no_direction_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="no direction"):
        normalize(np.array([[1.0, 0.0], bad], np.float32))


@pytest.mark.parametrize(
    ("best", "lead", "wanted"),
    [
        (0.49, 0.4, Decision.UNKNOWN),
        (0.5, None, Decision.MATCH),
        (0.5, 0.1, Decision.MATCH),
        (0.9, 0.09, Decision.AMBIGUOUS),
        (0.4, 0.01, Decision.UNKNOWN),
    ],
)
def test_decisions(best: float, lead: float | None, wanted: Decision) -> None:
    assert decide(best, lead, 0.1, Policy(0.5, 0.1)) is wanted


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        (Policy(None, None), Decision.MATCH),  # by probability
        (Policy(0.3, None), Decision.UNKNOWN),
        (Policy(None, 0.06), Decision.AMBIGUOUS),
        (Policy(None, 0.05), Decision.MATCH),
        (Policy(0.2, 0.05), Decision.MATCH),
    ],
)
def test_decisions_where_only_prompts_answer(policy: Policy, wanted: Decision) -> None:
    assert decide(0.25, 0.05, 0.8, policy) is wanted
    assert decide(0.25, 0.05, 0.4, Policy(None, None)) is Decision.AMBIGUOUS
