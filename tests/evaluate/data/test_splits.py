"""Tests draws of examples, and trials against a direct computation."""

import numpy as np
import pytest

from glimpse.evaluate.data.splits import MOST_A_LABEL, folds, most_queries, split
from glimpse.evaluate.trials import trial
from glimpse.evaluate.trials.trial import Contender, EmbeddedDataset, run, train_classifier
from glimpse.fewshot import DecisionSettings, Examples, HeadKind, NearestSimilarities, Policy, fit, normalize, predict
from glimpse.fewshot.calibration.open_set import nearest_similarities
from glimpse.fewshot.fit import Fitted


def test_each_label_gives_its_examples_and_the_rest_are_queries() -> None:
    rows = np.repeat(np.arange(3), [10, 2, 6])
    found = split(rows, 4, seed=1)
    assert np.bincount(rows[found.support]).tolist() == [4, 1, 4]  # one of the two has to be a query
    assert np.bincount(rows[found.queries]).tolist() == [6, 1, 2]
    assert not set(found.support) & set(found.queries)


def test_queries_are_bounded_and_the_same_at_any_number_of_shots() -> None:
    rows = np.repeat(np.arange(2), 1000)
    one, many = split(rows, 1, seed=3), split(rows, 16, seed=3)
    assert len(one.queries) == 2 * MOST_A_LABEL
    assert np.array_equal(one.queries, many.queries)
    assert not np.array_equal(one.queries, split(rows, 1, seed=4).queries)
    assert most_queries(10_000) * 10_000 <= 20_000


@pytest.mark.parametrize("shots", [1, 3, 8])
def test_a_group_is_never_on_both_sides(shots: int) -> None:
    rng = np.random.default_rng(2)
    rows, groups = np.repeat(np.arange(4), 30), rng.integers(0, 12, 120)  # a group has inputs of several labels
    for seed in range(20):
        found = split(rows, shots, seed, groups)
        assert len(found.queries)
        assert not set(groups[found.support]) & set(groups[found.queries])
        assert len(np.unique(np.concatenate([found.support, found.queries]))) == len(found.support) + len(found.queries)
        assert np.bincount(rows[found.support]).tolist() == [shots] * 4


def test_examples_come_from_as_many_groups_as_possible() -> None:
    rows, groups = np.repeat(np.arange(2), 20), np.repeat(np.arange(8), 5)  # four groups of five for each label
    found = split(rows, 3, 0, groups)
    assert len(set(groups[found.support])) == 6
    assert len(found.queries) == 10
    more = split(rows, 12, 0, groups)  # one group of each label remains for the queries
    assert np.bincount(rows[more.support]).tolist() == [12, 12]
    assert len(more.queries) == 10
    alone = split(np.zeros(5, np.intp), 2, 0, np.zeros(5, np.intp))
    assert (len(alone.support), len(alone.queries)) == (0, 5)  # a label of one group has queries or examples, not both


def test_groups_reach_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    rows, groups = np.repeat(np.arange(3), 20), np.arange(60) // 5
    vectors = normalize((rng.normal(size=(3, 6))[rows] + rng.normal(size=(60, 6))).astype(np.float32))
    none = np.zeros(0, np.intp)
    terms = DecisionSettings(Policy(), 20.0)
    material = EmbeddedDataset(vectors, np.arange(60), rows, ["a", "b", "c"], none, None, terms, groups)
    seen: list[Examples] = []

    def noted(examples: Examples, pinned: HeadKind | None, *, choice_only: bool) -> Fitted:
        seen.append(examples)
        return fit(examples, pinned, choice_only=choice_only)

    monkeypatch.setattr(trial, "fit", noted)
    drawn = split(rows, 6, 0, groups)
    run(material, Contender(None), drawn)
    assert seen[0].groups is not None
    assert seen[0].groups.tolist() == groups[drawn.support].tolist()


def test_without_examples_the_parts_share_nothing() -> None:
    parts = folds(np.repeat(np.arange(3), 5), 4)
    together = np.concatenate([part.queries for part in parts])
    assert len(parts) == 4
    assert sorted(together) == list(range(15))


def test_sets_hold_what_ranks_among_their_labels_and_expectations_are_of_labels_left_out() -> None:
    rng = np.random.default_rng(1)
    rows = np.repeat(np.arange(4), 30)
    vectors = normalize((rng.normal(size=(4, 6))[rows] + rng.normal(size=(120, 6))).astype(np.float32))
    terms = DecisionSettings(Policy(coverage=0.8), 20.0)
    labels = ["d", "c", "b", "a"]
    material = EmbeddedDataset(vectors, np.arange(120), rows, labels, np.zeros(0, np.intp), None, terms)
    drawn = split(rows, 6, seed=0)
    outcome = run(material, Contender(None), drawn)
    support = vectors[drawn.support]
    engine = train_classifier(support, rows[drawn.support], labels, None)
    queries = vectors[drawn.queries]
    each = predict(
        engine, queries, NearestSimilarities(nearest_similarities(queries, support), np.full(96, -1.0)), terms, 4
    ).predictions
    wanted = [labels[row] in one.labels[: one.set_size] for row, one in zip(rows[drawn.queries], each, strict=True)]
    assert outcome.queries.set_size.tolist() == [one.set_size for one in each]
    assert outcome.queries.held.tolist() == wanted
    assert 0 < np.mean(wanted) < 1
    evaluation = engine.evaluation(outcome.head)
    assert evaluation is not None
    least = evaluation.typicality.min_fit(0.05, None)
    assert least is not None
    assert outcome.expected == (evaluation.typicality.label_left_out < least).mean()


def test_with_one_example_a_label_the_answer_is_the_nearest_example_after_centring() -> None:
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(4), 8)
    vectors = normalize((rng.normal(size=(4, 6))[rows] + 0.8 * rng.normal(size=(32, 6))).astype(np.float32))
    away = normalize(rng.normal(size=(10, 6)).astype(np.float32))
    labels = ["d", "c", "b", "a"]  # not in the order of names
    store = np.concatenate([vectors, away])
    terms = DecisionSettings(Policy(default_threshold=0.5), 20.0)
    material = EmbeddedDataset(store, np.arange(32), rows, labels, np.arange(32, 42), None, terms)
    drawn = split(rows, 1, seed=0)
    outcome = run(material, Contender(None), drawn)
    support, queries = vectors[drawn.support], vectors[drawn.queries]
    cosines = queries @ support.T
    mean, between = support.mean(0), (support @ support.T)[~np.eye(4, dtype=bool)].mean()
    middle = mean * np.clip(between / (mean @ mean), 0, 1)
    best = (normalize(queries - middle) @ normalize(support - middle).T).argmax(1)
    assert outcome.head is HeadKind.CLASS_MEAN
    assert np.array_equal(outcome.queries.label, rows[drawn.support][best])
    assert outcome.queries.cosine == pytest.approx(cosines.max(1), abs=1e-6)
    assert outcome.unknown is not None
    assert len(outcome.unknown.label) == 10
    assert not outcome.by_fit
    # The cosine is below the default threshold, so the decision is UNKNOWN.
    assert ((outcome.queries.decision == 2) == (cosines[np.arange(len(best)), best] < 0.5)).all()
