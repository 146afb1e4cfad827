"""The mathematics of the map, against NumPy and brute force."""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from glimpse.client import Collection, Decision, Example, LeftOutExample, Modality, Vector
from glimpse.console.maps.cache import Key, Map, MapCache
from glimpse.console.maps.coloring import Coloring, classes_of
from glimpse.console.maps.fit import NOT_MEASURED, measure_fit
from glimpse.console.maps.layout import Method, make_layout, to_coordinates
from glimpse.console.maps.projection import Floats, pca, umap
from glimpse.console.maps.sample import Sample, count_enrolled, draw_sample, rank


def unit(count: int, dimension: int, seed: int = 0) -> Floats:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)) * np.linspace(3, 1, dimension)
    unit_vectors: Floats = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit_vectors


@pytest.mark.parametrize(("count", "dimension"), [(40, 8), (8, 40), (2, 5), (5, 2)])
def test_pca_is_that_of_the_singular_values(count: int, dimension: int) -> None:
    vectors = unit(count, dimension)
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    points, shares = pca(vectors)
    kept = min(2, int((sizes > 1e-6).sum()))
    expected = (left * sizes)[:, :kept]
    signs = np.sign((expected * points[:, :kept]).sum(axis=0))
    np.testing.assert_allclose(points[:, :kept], expected * signs, atol=1e-5)
    np.testing.assert_allclose(shares[:kept], (sizes**2 / (sizes**2).sum())[:kept], atol=1e-5)
    # The largest component of each direction is positive, so the map does not flip between two computations.
    largest = np.abs(right[:kept]).argmax(axis=1)
    for axis in range(kept):
        direction = centred.T @ points[:, axis]
        assert direction[largest[axis]] > 0


@pytest.mark.parametrize("vectors", [unit(1, 6), np.tile(unit(1, 6), (5, 1)), unit(6, 1)])
def test_pca_of_points_without_two_directions_has_a_place_for_each(vectors: Floats) -> None:
    points, shares = pca(vectors)
    assert points.shape == (len(vectors), 2)
    assert np.isfinite(points).all()
    assert shares[1] == pytest.approx(0, abs=1e-6)


def test_coordinates_fill_the_longer_side_and_keep_proportions() -> None:
    placed = to_coordinates(np.array([[0, 0], [4, 1], [2, 2]], np.float32)).astype(int)
    assert (placed[:, 0].min(), placed[:, 0].max()) == (0, 65_535)
    assert np.ptp(placed[:, 1]) == pytest.approx(65_535 / 2, abs=2)
    assert (to_coordinates(np.zeros((3, 2), np.float32)) == 32_768).all()


def test_fit_is_that_of_brute_force() -> None:
    vectors, labels = unit(60, 6), np.random.default_rng(1).integers(0, 5, 60).astype(np.int32)
    labels[labels == 4] = 0
    labels[7] = 4  # the only one of its label
    classes = np.array([True, True, True, False, True])
    fit = measure_fit(vectors, labels, classes)
    for one in range(60):
        if labels[one] in (3, 4):
            assert fit.nearest[one] == NOT_MEASURED
            assert np.isnan(fit.own[one])
            continue
        cosines = {}
        for label in (0, 1, 2, 4):
            members = (labels == label) & (np.arange(60) != one)
            mean = vectors[members].astype(np.float64).sum(axis=0)
            cosines[label] = float(mean / np.linalg.norm(mean) @ vectors[one])
        assert fit.nearest[one] == max(cosines, key=lambda label: cosines[label])
        assert fit.own[one] == pytest.approx(cosines[int(labels[one])], abs=1e-5)
    means = np.array([vectors[labels == label].sum(axis=0) for label in (0, 1, 2, 4)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    between = means @ means.T - 2 * np.eye(4)
    assert fit.neighbor[[0, 1, 2, 4]].tolist() == [[0, 1, 2, 4][near] for near in between.argmax(axis=1)]
    np.testing.assert_allclose(fit.neighbor_cosine[[0, 1, 2, 4]], between.max(axis=1), atol=1e-5)
    assert fit.neighbor[3] == NOT_MEASURED


def test_a_fit_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, labels = unit(50, 6), np.arange(50, dtype=np.int32) % 7
    whole = measure_fit(vectors, labels, np.ones(7, bool))
    monkeypatch.setattr("glimpse.console.maps.fit._CHUNK_VALUES", 21)
    parts = measure_fit(vectors, labels, np.ones(7, bool))
    np.testing.assert_array_equal(whole.nearest, parts.nearest)
    np.testing.assert_allclose(whole.own, parts.own, atol=1e-6)


async def listed(vectors: Floats, names: Iterable[int]) -> AsyncIterator[Example]:
    time = datetime(2026, 1, 1, tzinfo=UTC)
    for number, values in zip(names, vectors, strict=True):
        name, domain = f"collections/c/examples/{number}", "far" if number % 2 else ""
        yield Example(name, f"l{number % 3}", "", Modality.IMAGE, domain, {}, time, Vector(values, "space"))


async def drawn(count: int, most: int, enrolled: int) -> Sample:
    return await draw_sample(listed(unit(count, 4), range(count)), enrolled, lambda _: None, most)


async def test_a_small_collection_is_read_whole_and_in_order() -> None:
    sample = await drawn(9, 9, 7)
    assert sample.names == tuple(f"collections/c/examples/{number}" for number in range(9))
    assert sample.in_index == (False,) * 7 + (True,) * 2
    assert (sample.total, sample.labels[4], sample.domains[3]) == (9, "l1", "far")
    np.testing.assert_allclose(sample.vectors, unit(9, 4), atol=1e-6)


async def test_a_sample_holds_the_examples_with_the_smallest_hashes() -> None:
    sample = await drawn(500, 40, 500)
    names = [f"collections/c/examples/{number}" for number in range(500)]
    kept = set(sorted(names, key=rank)[:40])
    assert sample.names == tuple(name for name in names if name in kept)
    np.testing.assert_allclose(sample.vectors, unit(500, 4)[[names.index(one) for one in sample.names]], atol=1e-6)
    assert sample.total == 500


async def test_a_sample_changes_little_when_a_collection_grows() -> None:
    before, after = await drawn(500, 40, 500), await drawn(510, 40, 510)
    newcomers = set(after.names) - set(before.names)
    assert all(int(name.rpartition("/")[2]) >= 500 for name in newcomers)


def test_a_sample_takes_every_part_of_a_collection_alike() -> None:
    names = [f"collections/c/examples/{number}" for number in range(20_000)]
    kept = sorted(range(20_000), key=lambda number: rank(names[number]))[:4_000]
    parts = np.bincount(np.array(kept) // 2_000, minlength=10)
    # 400 in each part, with a standard deviation of 18; the names are fixed, and so is the outcome.
    assert np.abs(parts - 400).max() < 4 * 18


def a_map(labels: tuple[str, ...], domains: tuple[str, ...], no_classes: tuple[str, ...] = ()) -> Map:
    layout = make_layout(unit(len(labels), 5), labels, no_classes, Method.PCA)
    names = tuple(f"collections/c/examples/{number}" for number in range(len(labels)))
    return Map(layout, names, domains, (False,) * len(labels), len(labels))


def test_classes_are_labels_domains_and_decisions() -> None:
    made = a_map(("b", "a", "b", "", "a", "none"), ("", "x", "", "x", "y", "y"), ("none",))
    by_label = classes_of(made, Coloring.LABEL, {})
    assert (by_label.names, by_label.counts) == (("", "a", "b", "none"), (1, 2, 2, 1))
    assert [by_label.names[code] for code in by_label.codes] == ["b", "a", "b", "", "a", "none"]
    assert [by_label.names[code] for code in by_label.largest] == ["a", "b", "", "none"]
    by_domain = classes_of(made, Coloring.DOMAIN, {})
    assert (by_domain.names, by_domain.counts) == (("", "x", "y"), (2, 2, 2))
    answers = (
        ("b", Decision.MATCH),
        ("b", Decision.MATCH),
        ("b", Decision.AMBIGUOUS),
        ("a", Decision.UNKNOWN),
        ("a", Decision.UNSPECIFIED),  # independent labels
    )
    left_out = {
        name: LeftOutExample(name, label, answered, 0.9, 0.1, decision)
        for name, label, (answered, decision) in zip(made.names, "babaa", answers, strict=False)
    }
    by_decision = classes_of(made, Coloring.DECISION, left_out)
    assert by_decision.codes.tolist() == [0, 1, 2, 3, 0, 4]
    assert by_decision.counts == (2, 1, 1, 1, 1)
    assert len(by_decision.names) == 5


def key(revision: int, method: Method = Method.PCA, collection: str = "collections/c") -> Key:
    return Key(collection, "space", revision, method)


def test_a_map_is_kept_until_its_collection_changes() -> None:
    cache, made = MapCache(), a_map(("a", "b"), ("", ""))
    cache.put(key(3), made)
    cache.put(key(3, Method.UMAP), made)
    cache.put(key(1, collection="collections/d"), made)
    assert cache.get(key(3)) is made
    assert cache.get(key(4)) is None
    cache.put(key(4), made)
    assert cache.get(key(3)) is cache.get(key(3, Method.UMAP)) is None
    assert cache.get(key(1, collection="collections/d")) is made


def test_the_map_used_longest_ago_goes_first() -> None:
    cache, made = MapCache(most=2), a_map(("a", "b"), ("", ""))
    names = [key(1, collection=f"collections/{letter}") for letter in "abc"]
    cache.put(names[0], made)
    cache.put(names[1], made)
    assert cache.get(names[0])
    cache.put(names[2], made)
    assert [bool(cache.get(one)) for one in names] == [True, False, True]


@pytest.mark.rest  # UMAP compiles its code first, which takes 12 s of a processor and more
def test_umap_keeps_neighbours_together_and_is_repeatable() -> None:
    pytest.importorskip("umap", reason="needs the extra `map`")
    centres = np.eye(3, 12, dtype=np.float32)
    vectors = np.repeat(centres, 20, axis=0) + 0.05 * unit(60, 12)
    points = umap(vectors)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (distances.argmin(axis=1) // 20 == np.arange(60) // 20).all()
    np.testing.assert_array_equal(points, umap(vectors))


@pytest.mark.parametrize(("index", "enrolled"), [(None, 100), (SimpleNamespace(vector_count=90, deleted_count=5), 15)])
def test_rows_of_the_index_are_no_enrolled_examples(index: Any, enrolled: int) -> None:
    collection = cast(Collection, SimpleNamespace(example_count=100, index=index))
    assert count_enrolled(collection) == enrolled
