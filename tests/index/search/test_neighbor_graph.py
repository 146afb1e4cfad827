"""The neighbour graph against sorted products."""

import numpy as np
import pytest

from glimpse.index import Vectors, neighbor_graph
from glimpse.index.search import neighbor_graph as module


def _clustered(count: int, dimension: int = 24) -> Vectors:
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(count // 20, dimension))
    rows = centers[rng.integers(0, len(centers), count)] + 0.4 * rng.normal(size=(count, dimension))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _exact(vectors: Vectors, k: int) -> Vectors:
    """Returns the k greatest cosines of each row to the others, (N, k)."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    return np.asarray(-np.sort(-cosines, axis=1)[:, :k], np.float32)


def test_few_vectors_get_their_exact_neighbors() -> None:
    vectors = _clustered(300)
    graph = neighbor_graph(vectors, 7)
    assert graph.neighbors.shape == graph.cosines.shape == (300, 7)
    assert graph.neighbors.dtype == np.int64
    assert graph.cosines.dtype == np.float32
    assert np.allclose(graph.cosines, _exact(vectors, 7), atol=1e-6)
    assert np.allclose(graph.cosines, np.einsum("nd,nkd->nk", vectors, vectors[graph.neighbors]), atol=1e-6)
    assert not (graph.neighbors == np.arange(300)[:, None]).any()


def test_many_vectors_are_searched_by_lists_that_find_nearly_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EXACT", 500)
    vectors = _clustered(1_500)
    graph = neighbor_graph(vectors, 10)
    recall = np.mean(graph.cosines >= _exact(vectors, 10)[:, -1:] - 1e-6)
    assert recall > 0.97
    assert not (graph.neighbors == np.arange(1_500)[:, None]).any()
    again = neighbor_graph(vectors, 10)
    assert (again.neighbors == graph.neighbors).all()


@pytest.mark.parametrize("exact", [0, 1_000])
def test_more_copies_than_neighbors_are_neighbors_of_each_other(exact: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EXACT", exact)
    vectors = np.repeat(_clustered(40), 6, axis=0)
    graph = neighbor_graph(vectors, 3)
    assert (graph.neighbors // 6 == np.arange(240)[:, None] // 6).all()
    assert not (graph.neighbors == np.arange(240)[:, None]).any()


def test_lists_with_too_few_vectors_leave_places_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EXACT", 0)
    monkeypatch.setattr(module, "_READ_LISTS", 1)
    graph = neighbor_graph(_clustered(200), 150)
    missing = graph.neighbors < 0
    assert missing.any()
    assert (graph.cosines[missing] == -1).all()
    assert (graph.cosines[~missing] > -1).all()


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_vectors_have_as_many_neighbors_as_there_are(count: int) -> None:
    graph = neighbor_graph(_clustered(40)[:count], 10)
    assert graph.neighbors.shape == (count, max(0, count - 1))
    assert (graph.neighbors >= 0).all()


def test_no_neighbors_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        neighbor_graph(_clustered(40), 0)
