"""Review groups of drawn vectors with known groups."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from glimpse.fewshot.groups import References, find_review_groups, graph_neighbors, near_duplicates, separation
from glimpse.fewshot.statistics.unit_vectors import Array, Rows
from glimpse.index import neighbor_graph


def _clustered(labels: int, each: int, spread: float) -> tuple[Array, Rows]:
    rng = np.random.default_rng(0)
    rows = rng.permutation(np.repeat(np.arange(labels), each))
    vectors = rng.normal(size=(labels, 32))[rows] + spread * rng.normal(size=(len(rows), 32))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32), rows


def _graph(vectors: Array, k: int | None = None) -> tuple[np.ndarray, Array]:
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    neighbors = np.argsort(-cosines, axis=1)[:, : k or graph_neighbors(len(vectors))]
    return neighbors, np.take_along_axis(cosines, neighbors, 1)


@pytest.mark.parametrize(("labels", "each"), [(3, 8), (12, 20), (4, 120)])
def test_separate_clusters_are_found_without_labels(labels: int, each: int) -> None:
    vectors, rows = _clustered(labels, each, 0.4)
    groups = find_review_groups(vectors, *_graph(vectors))
    assert not groups.from_labels
    assert adjusted_rand_score(rows, groups.numbers) > 0.95


def test_labels_say_how_fine_the_groups_are() -> None:
    rng = np.random.default_rng(0)
    # Ten broad themes of three labels each: either is a sensible grouping.
    rows = np.arange(10 * 3 * 14) // 14
    themes = rows // 3
    centers = rng.normal(size=(10, 32))[np.arange(30) // 3] + 0.55 * rng.normal(size=(30, 32))
    vectors = centers[rows] + 0.45 * rng.normal(size=(len(rows), 32))
    vectors = np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
    agreement = {}
    for name, truth in {"labels": rows, "themes": themes}.items():
        chosen = rng.permutation(truth.max() + 1)[: (truth.max() + 1) // 2]
        known = np.concatenate([rng.permutation(np.flatnonzero(truth == label))[:5] for label in chosen])
        rest = np.setdiff1d(np.arange(len(rows)), known)
        ordered = vectors[np.concatenate([rest, known])]
        groups = find_review_groups(ordered, *_graph(ordered), References(truth[known]))
        assert groups.from_labels
        assert len(groups.numbers) == len(rest)
        agreement[name] = [adjusted_rand_score(labels[rest], groups.numbers) for labels in (rows, themes)]
    assert agreement["labels"][0] > 0.9
    assert agreement["themes"][1] > agreement["labels"][1] + 0.2
    assert agreement["labels"][0] > agreement["themes"][0] + 0.2


def test_groups_are_described_as_a_loop_over_their_members_would() -> None:
    vectors, _ = _clustered(6, 15, 0.6)
    neighbors, cosines = _graph(vectors)
    groups = find_review_groups(vectors, neighbors, cosines)
    assert (np.diff(groups.sizes) <= 0).all()
    assert groups.sizes.sum() == 90
    for number, (size, medoid, spread) in enumerate(zip(groups.sizes, groups.medoids, groups.spreads, strict=True)):
        members = groups.members(number)
        assert len(members) == size
        assert medoid in members
        sums = (vectors[members] @ vectors[members].T).sum(1)
        assert sums[members == medoid] >= sums.max() - 1e-4
        assert np.isclose(spread, np.mean(1 - vectors[members] @ vectors[medoid]), atol=1e-5)
    own = (1 - cosines).mean(1)
    assert np.allclose(groups.isolation, own / own[neighbors].mean(1), atol=1e-4)


def test_a_point_like_no_other_is_an_outlier() -> None:
    vectors, _ = _clustered(6, 30, 0.3)
    strange = np.random.default_rng(5).normal(size=(2, 32))
    strange[1] = -vectors.mean(0) * 50
    strange = strange / np.linalg.norm(strange, axis=1, keepdims=True)
    vectors = np.concatenate([vectors, strange.astype(np.float32)])
    groups = find_review_groups(vectors, *_graph(vectors))
    assert set(groups.outliers(2).tolist()) == {180, 181}
    assert groups.isolation[180:].min() > 5 * np.quantile(groups.isolation[:180], 0.95)


def test_near_copies_are_listed_nearest_first() -> None:
    vectors, _ = _clustered(6, 30, 0.5)
    vectors[40] = vectors[7]
    vectors[90] = vectors[8] + 0.02 * vectors[9]
    vectors[90] /= np.linalg.norm(vectors[90])
    neighbors, cosines = _graph(vectors)
    pairs, found = near_duplicates(neighbors, cosines)
    both = vectors @ vectors.T
    left, right = np.nonzero(np.triu(both >= 0.98, 1))
    assert sorted(pairs.tolist()) == sorted(np.column_stack([left, right]).tolist())
    assert pairs[0].tolist() == [7, 40]
    assert [8, 90] in pairs.tolist()
    assert np.allclose(found, both[pairs[:, 0], pairs[:, 1]])
    assert (np.diff(found) <= 0).all()


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_points_are_grouped_too(count: int) -> None:
    vectors, _ = _clustered(2, 10, 0.3)
    vectors = vectors[:count]
    k = min(graph_neighbors(count), max(0, count - 1))
    neighbors, cosines = _graph(vectors, k) if k else (np.empty((count, 0), np.int64), np.empty((count, 0), np.float32))
    groups = find_review_groups(vectors, neighbors, cosines)
    assert len(groups.numbers) == count
    assert groups.sizes.sum() == count
    assert set(groups.numbers.tolist()) == set(range(len(groups.sizes)))


def test_arrays_of_different_lengths_are_refused() -> None:
    vectors, _ = _clustered(2, 10, 0.3)
    with pytest.raises(ValueError, match="20 vectors"):
        find_review_groups(vectors, *_graph(vectors[:19]))


def test_references_can_be_members_of_the_groups() -> None:
    vectors, rows = _clustered(6, 15, 0.4)
    neighbors, cosines = _graph(vectors)
    references = References(rows[60:])
    points = find_review_groups(vectors, neighbors, cosines, references)
    both = find_review_groups(vectors, neighbors, cosines, references, with_references=True)
    assert (len(points.numbers), len(both.numbers)) == (60, 90)
    assert both.from_labels
    assert adjusted_rand_score(points.numbers, both.numbers[:60]) == 1
    assert adjusted_rand_score(rows, both.numbers) > 0.95
    assert len(both.isolation) == 90
    assert both.sizes.sum() == 90


def test_separate_clusters_are_clear_and_a_cloud_is_not() -> None:
    vectors, rows = _clustered(12, 20, 0.4)
    measured = separation(vectors, find_review_groups(vectors, *_graph(vectors)).numbers)
    assert measured.clear
    assert measured.silhouette > 0.3
    # A cloud of 100, one of 600, and six broad labels that overlap.
    for labels, each, spread in ((1, 100, 20.0), (1, 600, 20.0), (6, 100, 2.0)):
        cloud, _ = _clustered(labels, each, spread)
        measured = separation(cloud, find_review_groups(cloud, *_graph(cloud)).numbers)
        assert not measured.clear
    # One group and a point far from it say nothing about groups.
    lopsided = np.concatenate([vectors[rows == 0], -vectors[rows == 0][:1]])
    assert not separation(lopsided, np.array([0] * 20 + [1])).clear


def test_exact_copies_are_in_one_group() -> None:
    vectors = np.repeat(np.eye(3, 8, dtype=np.float32), 5, axis=0)
    groups = find_review_groups(vectors, *_graph(vectors))
    assert groups.sizes.tolist() == [5, 5, 5]
    assert separation(vectors, groups.numbers).silhouette == pytest.approx(1)


@pytest.mark.parametrize("count", [200, 2_000])
def test_more_copies_than_neighbors_are_in_one_group(count: int) -> None:
    vectors, rows = _clustered(12, 20, 0.6)
    copies = np.repeat(np.eye(1, 32, dtype=np.float32), count, axis=0)
    neighbors, cosines = neighbor_graph(copies, 10)
    assert find_review_groups(copies, neighbors, cosines).sizes.tolist() == [count]
    both = np.concatenate([copies, vectors])
    groups = find_review_groups(both, *neighbor_graph(both, 10), References(rows))
    assert groups.from_labels
    assert len(set(groups.numbers[:count].tolist())) == 1


def test_an_input_beside_copies_is_no_outlier_for_that() -> None:
    vectors, _ = _clustered(6, 30, 0.5)
    beside = vectors[0] + 0.1 * vectors[1]
    vectors = np.concatenate([np.repeat(vectors[:1], 30, axis=0), vectors, [beside / np.linalg.norm(beside)]])
    vectors = vectors.astype(np.float32)
    groups = find_review_groups(vectors, *neighbor_graph(vectors, 10))
    # Its neighbours are all copies of one input, whose distances are 0.
    assert groups.isolation[-1] < 3
    assert groups.isolation[:31].max() < 2


def test_a_label_of_many_points_is_not_cut_to_pieces_beside_rare_ones() -> None:
    rng = np.random.default_rng(0)
    rows = rng.permutation(np.repeat(np.arange(4), [200, 15, 15, 15]))
    vectors = rng.normal(size=(4, 32))[rows] + 0.6 * rng.normal(size=(len(rows), 32))
    vectors = np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
    known = np.concatenate([np.flatnonzero(rows == label)[:5] for label in range(4)])
    rest = np.setdiff1d(np.arange(len(rows)), known)
    ordered = vectors[np.concatenate([rest, known])]
    groups = find_review_groups(ordered, *_graph(ordered), References(rows[known]))
    assert groups.from_labels
    assert adjusted_rand_score(rows[rest], groups.numbers) > 0.6


@pytest.mark.parametrize(("labels", "each"), [(20, 4), (30, 5)])
def test_examples_that_all_say_where_to_cut_are_grouped(labels: int, each: int) -> None:
    vectors, rows = _clustered(labels, each, 0.7)
    graph = _graph(vectors)
    groups = find_review_groups(vectors, *graph, References(rows), with_references=True)
    assert groups.from_labels
    assert adjusted_rand_score(rows, groups.numbers) > 0.6
