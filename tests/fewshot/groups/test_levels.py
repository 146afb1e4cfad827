"""The height of the cut, and the examples that say where."""

import numpy as np
from sklearn.metrics import adjusted_rand_score, silhouette_score

from glimpse.fewshot.groups import choose_references
from glimpse.fewshot.groups.density import silhouette
from glimpse.fewshot.groups.levels import References, _expected_agreement, _pairs
from glimpse.fewshot.statistics.unit_vectors import Array, Rows


def _clustered(labels: int, each: int, spread: float, seed: int = 0) -> tuple[Array, Rows]:
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(labels), each)
    vectors = rng.normal(size=(labels, 16))[rows] + spread * rng.normal(size=(len(rows), 16))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32), rows


def test_silhouette_equals_that_of_all_pairs() -> None:
    vectors, rows = _clustered(5, 12, 0.8)
    groups = np.concatenate([rows, [5]])
    vectors = np.concatenate([vectors, -vectors[:1]])
    assert np.isclose(silhouette(vectors, groups), silhouette_score(vectors, groups, metric="cosine"), atol=1e-5)


def test_one_group_and_mostly_single_points_are_no_grouping() -> None:
    vectors, _ = _clustered(5, 12, 0.8)
    assert silhouette(vectors, np.zeros(60, np.intp)) == -1
    assert silhouette(vectors, np.arange(60)) == -1


def test_labels_take_turns_to_give_references() -> None:
    rows = np.concatenate([np.repeat(np.arange(900), 3), np.repeat(900, 50)])
    chosen = choose_references(rows)
    assert len(chosen) == len(set(chosen.tolist())) == 2_000
    counts = np.bincount(rows[chosen], minlength=901)
    assert counts.min() == 2
    assert counts.max() == 3
    few = choose_references(rows[-60:])
    assert np.bincount(rows[-60:][few])[900] == 5


def test_one_example_stands_for_those_that_are_left_out_together() -> None:
    rows, together = np.repeat(np.arange(4), 20), np.arange(80) // 10
    chosen = choose_references(rows, together)
    assert sorted(together[chosen].tolist()) == list(range(8))


def test_pairs_that_are_left_out_together_say_nothing() -> None:
    rows = np.repeat(np.arange(4), 6)
    assert len((_pairs(References(rows)) or [[]])[0]) == 4 * 15
    pairs = _pairs(References(rows, np.arange(24) // 3))
    assert pairs is not None
    assert len(pairs[0]) == 4 * 9
    assert _pairs(References(rows, rows)) is None
    assert _pairs(References(np.zeros(30, np.intp))) is None


def test_expected_agreement_orders_cuts_as_the_labels_of_all_points_would() -> None:
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(60), 30)
    known = np.concatenate([np.flatnonzero(rows == label)[:5] for label in rng.permutation(60)[:20]])
    order = np.concatenate([np.setdiff1d(np.arange(len(rows)), known), known])
    # Cuts from too fine to too coarse, with a tenth of the points in a random group.
    cuts = []
    for parts, labels in ((6, 1), (3, 1), (1, 1), (1, 3), (1, 6)):
        groups = rows // labels * parts + rng.integers(0, parts, len(rows))
        astray = rng.random(len(rows)) < 0.1
        groups[astray] = rng.permutation(groups[astray])
        cuts.append(np.unique(groups[order], return_inverse=True)[1].astype(np.intp))
    references = References(rows[known])
    pairs = _pairs(references)
    assert pairs is not None
    expected = _expected_agreement(cuts, references, pairs, len(rows) - 100)
    truth = [adjusted_rand_score(rows[order][:-100], cut[:-100]) for cut in cuts]
    assert np.argmax(expected) == np.argmax(truth) == 2
    assert np.abs(expected - truth).max() < 0.2
