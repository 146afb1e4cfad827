"""Approximate search against exact search, and changes against a dictionary."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glimpse.index import CandidateIndex
from glimpse.index.types import Ids, Vectors
from support.device import FakeDevice

COUNT, DIMENSION, FIRST = 20_000, 64, 1_000_000_000_000
IDS = FIRST + 7 * np.arange(COUNT)


def directions(count: int, seed: int = 0) -> Vectors:
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def similar(vectors: Vectors, seed: int = 1) -> Vectors:
    """Returns other vectors in similar directions, with cosines of about 0.8."""
    near = vectors + 0.75 * directions(len(vectors), seed)
    return np.asarray(near / np.linalg.norm(near, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    return directions(COUNT)


@pytest.fixture
def small() -> CandidateIndex:
    """Returns an index of 500 vectors: it has so few lists that a search reads all of them and misses none."""
    return CandidateIndex.build(IDS[:500], directions(500))


def nearest(index: CandidateIndex, queries: Vectors, k: int = 16) -> list[set[int]]:
    return [set(row.tolist()) - {-1} for row in index.search(queries, k)[1]]


def test_the_exact_nearest_is_among_the_candidates(vectors: Vectors) -> None:
    index = CandidateIndex.build(IDS, vectors)
    queries = similar(vectors[:400])
    exact = IDS[np.argmax(queries @ vectors.T, axis=1)]
    similarities, found = index.search(queries, 64)
    there = found == exact[:, None]
    assert there.any(axis=1).mean() >= 0.98
    assert np.abs(similarities[there] - (queries @ vectors.T).max(axis=1)[there.any(axis=1)]).mean() < 0.1
    assert (np.diff(similarities, axis=1) < 1e-6).all()


def test_later_vectors_are_found_as_well_as_built_ones(vectors: Vectors) -> None:
    index = CandidateIndex.build(IDS[:10_500], vectors[:10_500])
    index.put(IDS[10_500:], vectors[10_500:])
    assert len(index) == COUNT
    assert not index.due
    found = index.search(similar(vectors[-400:]), 64)[1]
    assert (found == IDS[-400:, None]).any(axis=1).mean() >= 0.98


def test_put_replaces(small: CandidateIndex) -> None:
    old, new = directions(500)[:1], directions(1, seed=9)
    small.put(IDS[:1], new)
    assert len(small) == 500
    assert small.search(new, 1)[1].tolist() == [[IDS[0]]]
    assert IDS[0] not in nearest(small, old, 1)[0]


def test_the_last_vector_of_an_id_counts(small: CandidateIndex) -> None:
    first, last = directions(2, seed=9)
    small.put([5, 5], np.stack([first, last]))
    assert len(small) == 501
    assert nearest(small, last[None], 1) == [{5}]
    assert nearest(small, first[None], 1) != [{5}]
    built = CandidateIndex.build([5, 6, 5], np.stack([first, last, last]))
    assert len(built) == 2


def test_removed_ids_are_never_found(small: CandidateIndex) -> None:
    small.remove([*IDS[:100].tolist(), 3, IDS[0]])
    assert len(small) == 400
    found = small.search(directions(500)[:100], 500)[1]
    assert not np.isin(found, IDS[:100]).any()
    assert (np.sort(found, axis=1)[:, 100:] == IDS[100:500]).all()
    small.remove([])
    assert len(small) == 400


def test_missing_results_have_no_id(small: CandidateIndex) -> None:
    similarities, found = small.search(directions(3), 600)
    assert similarities.shape == found.shape == (3, 600)
    assert (found[:, :500] >= FIRST).all()
    assert (found[:, 500:] == -1).all()


def test_an_emptied_index_finds_nothing_and_fills_again(small: CandidateIndex) -> None:
    small.remove(IDS[:500])
    assert len(small) == 0
    assert (small.search(directions(2), 5)[1] == -1).all()
    small.put([8], directions(1))
    assert nearest(small, directions(1)) == [{8}]


def test_no_queries_have_no_answers(small: CandidateIndex) -> None:
    similarities, found = small.search(np.empty((0, DIMENSION), np.float32), 5)
    assert similarities.shape == found.shape == (0, 5)


def test_nothing_cannot_be_built_and_one_vector_can() -> None:
    with pytest.raises(ValueError, match="no vectors"):
        CandidateIndex.build([], np.empty((0, DIMENSION), np.float32))
    assert nearest(CandidateIndex.build([8], directions(1)), directions(1)) == [{8}]


def test_due_when_doubled_or_halved(small: CandidateIndex) -> None:
    assert not small.due
    small.put(range(499), directions(499, seed=2))
    assert not small.due
    small.put([499], directions(1, seed=3))
    assert small.due
    small.remove([*range(500), *IDS[:249].tolist()])
    assert not small.due
    small.remove(IDS[249:250])
    assert small.due


def test_the_same_contents_make_the_same_index(vectors: Vectors) -> None:
    one, other = (CandidateIndex.build(IDS[:3_000], vectors[:3_000]) for _ in range(2))
    (similarities, found), (same, also) = (index.search(vectors[:50], 20) for index in (one, other))
    assert np.array_equal(similarities, same)
    assert np.array_equal(found, also)


def test_searching_during_changes_is_safe(small: CandidateIndex, vectors: Vectors) -> None:
    stop, wrong = threading.Event(), []
    stays = vectors[:3]

    def search() -> None:
        while not stop.is_set():
            # One vector is replaced again and again by itself. A search must always find it, and never a removed one.
            found = small.search(stays, 20)[1]
            if found[:, 0].tolist() != IDS[:3].tolist() or np.isin(found, IDS[400:500]).any():
                wrong.append(found)

    small.remove(IDS[400:500])
    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(500, 1_000):
        small.put(IDS[i : i + 1], vectors[i : i + 1])
        small.put(IDS[:3], stays)
        small.remove(IDS[i - 50 : i - 49] if i >= 550 else [])
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(small) == 450


_CHANGES = st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 12), max_size=6)), max_size=12)


@given(changes=_CHANGES)
@settings(max_examples=40, deadline=None)
def test_any_changes_match_a_dictionary(changes: list[tuple[bool, list[int]]]) -> None:
    start = directions(8)
    index, held = CandidateIndex.build(range(8), start), dict(enumerate(start))
    for step, (adds, ids) in enumerate(changes):
        if adds:
            given_vectors = directions(max(1, len(ids)), seed=step)[: len(ids)]
            index.put(ids, given_vectors)
            held |= dict(zip(ids, given_vectors, strict=True))
        else:
            index.remove(ids)
            held = {id: vector for id, vector in held.items() if id not in ids}
    assert len(index) == len(held)
    assert nearest(index, directions(1)) == [set(held)]
    for id, vector in held.items():
        similarities, found = index.search(vector[None], 16)
        assert similarities[0][found[0] == id].item() == pytest.approx(1, abs=0.3)


def test_ids_of_any_kind_are_taken(small: CandidateIndex) -> None:
    ids: Ids = np.array([-5, 2**62], np.int64)
    small.put(ids, directions(2, seed=9))
    assert nearest(small, directions(2, seed=9), 1) == [{-5}, {2**62}]


def test_a_device_finds_the_exact_candidates_of_what_is_there_at_the_moment() -> None:
    fake, rng, present = FakeDevice(), np.random.default_rng(6), dict[int, Vectors]()
    index = CandidateIndex.build(IDS[:3_000], directions(3_000), fake.device())
    present |= dict(zip(IDS[:3_000].tolist(), directions(3_000), strict=True))
    for round in range(4):
        replaced = rng.choice(IDS[:3_000], 700, replace=False)
        changed = directions(700, seed=50 + round)
        index.put(replaced, changed)
        present |= dict(zip(replaced.tolist(), changed, strict=True))
        removed = rng.choice(IDS[:3_000], 200, replace=False)
        index.remove(removed)
        present = {id: vector for id, vector in present.items() if id not in removed}
        ids, vectors, queries = np.array(list(present)), np.stack(list(present.values())), directions(20, seed=round)
        similarities, found = index.search(queries, 16)
        exact = np.sort(queries @ vectors.T, axis=1)[:, ::-1][:, :16]
        assert np.isin(found, ids).all()
        assert np.allclose(similarities, exact, atol=2e-3)
    assert fake.uses["search"] == 4
    assert fake.freed  # the first part had many tombstones


def test_candidates_that_a_device_cannot_hold_are_found_by_the_processor(caplog: pytest.LogCaptureFixture) -> None:
    plain, queries = CandidateIndex.build(IDS[:500], directions(500)), similar(directions(20))
    full, failing = FakeDevice(free=0), FakeDevice()
    refused = CandidateIndex.build(IDS[:500], directions(500), full.device())
    failed = CandidateIndex.build(IDS[:500], directions(500), failing.device())
    failing.failing = "search"
    assert nearest(refused, queries) == nearest(failed, queries) == nearest(plain, queries)
    assert full.created == 0
    assert [line.split(",")[0] for line in caplog.messages] == [
        "the GPU has no room for 500 candidates",
        "a GPU has failed",
    ]


def test_few_candidates_are_not_copied_to_a_device() -> None:
    fake = FakeDevice()
    CandidateIndex.build(IDS[:500], directions(500), fake.device(min_bytes=4 * 500 * DIMENSION + 1))
    assert fake.created == 0
