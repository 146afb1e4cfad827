"""Tests that examples of a group are left out together, against fitting without the group, and that near copies are
found.
"""

import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from glimpse.fewshot import Examples, FewShotClassifier, HeadKind, fit, normalize
from glimpse.fewshot.calibration.group_left_out import groups_among
from glimpse.fewshot.calibration.leave_one_out import leave_one_out
from glimpse.fewshot.calibration.near_copies import find_groups
from glimpse.fewshot.calibration.open_set import nearest_other_similarities
from glimpse.fewshot.heads.class_mean import ClassMeanHead, leave_one_out_class_mean
from glimpse.fewshot.heads.kernel_ridge import KernelRidge
from glimpse.fewshot.heads.knn import Neighbors
from glimpse.fewshot.heads.projected_ridge import ProjectedRidge
from glimpse.fewshot.statistics.class_statistics import Moments
from glimpse.fewshot.statistics.groups import is_grouped, others_of_label, several_members
from glimpse.fewshot.statistics.mahalanobis import Metric

Array = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]
WIDTH = 8


def drawn(seed: int, n: int, labels: int = 4) -> tuple[Array, Rows, Rows]:
    """Returns vectors, labels, and groups that also cross labels."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, labels, n).astype(np.intp)
    vectors = normalize((rng.normal(size=(labels, WIDTH))[rows] + 0.7 * rng.normal(size=(n, WIDTH))).astype(np.float32))
    return vectors, rows, rng.integers(0, max(2, n // 3), n).astype(np.intp)


def moments_of(vectors: Array, rows: Rows, texts: dict[str, Array], labels: int = 4) -> Moments:
    moments = Moments(vectors.shape[1])
    moments.add_all([f"l{row}" for row in rows], vectors)
    for label, text in texts.items():
        moments.set_text(label, text)
    return moments


def own_rows(moments: Moments, rows: Rows) -> Rows:
    return np.array([moments.row(f"l{row}") for row in rows], np.intp)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 40), st.sets(st.sampled_from(["l0", "l1", "l4"])))
def test_lda_without_a_group_equals_fitting_without_it(seed: int, n: int, with_text: set[str]) -> None:
    vectors, rows, groups = drawn(seed, n)
    texts = dict(zip(sorted(with_text), drawn(seed + 1, 3)[0], strict=False))
    moments = moments_of(vectors, rows, texts)
    metric = Metric.of(moments)
    if not metric.freedom:
        return
    own, scale = own_rows(moments, rows), float(WIDTH + moments.freedom)
    members = groups_among(several_members(groups), vectors, own, np.arange(n))
    found = leave_one_out(moments, metric, vectors, own, members)
    spread, origin = found.spread, moments.centres.mean(0)
    for i in range(n):
        kept = groups != groups[i]
        rest = moments_of(vectors[kept], rows[kept], texts)
        inverse = np.linalg.inv(rest.scatter() + metric.ridge * np.eye(WIDTH))
        pulls = np.where(rest.shots > rest.counts, 0.0, spread.pull)
        centres = (rest.shots / (rest.shots + pulls))[:, None] * (rest.centres - origin)
        noise, value = spread.noise(rest), vectors[i] - origin
        for column, label in enumerate(moments.labels):
            row = rest.row(label)
            if row is None:
                assert found.scores[i, column] == -np.inf
                continue
            score = scale * (value @ inverse @ centres[row] - 0.5 * centres[row] @ inverse @ centres[row])
            score += 0.5 * noise[row]
            assert found.scores[i, column] == pytest.approx(score, rel=1e-6, abs=1e-6)
        assert found.lengths[i] == pytest.approx(scale * value @ inverse @ value, rel=1e-6)
        row = rest.row(f"l{rows[i]}")
        assert found.others[i] == (rest.counts[row] if row is not None else 0)
        if row is not None and found.others[i]:
            gap = vectors[i] - rest.mean(row)
            assert found.own[i] == pytest.approx(scale * gap @ inverse @ gap, rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(6, 30))
def test_the_other_heads_without_a_group_equal_fitting_without_it(seed: int, n: int) -> None:
    vectors, rows, groups = drawn(seed, n)
    moments = moments_of(vectors, rows, {})
    own = own_rows(moments, rows)
    means = leave_one_out_class_mean(
        moments, vectors, own, groups_among(several_members(groups), vectors, own, np.arange(n))
    )
    kernel, neighbors = KernelRidge.fit(vectors, rows, 4, groups), Neighbors.fit(vectors, rows, 4, groups)
    projected = ProjectedRidge.fit(vectors, rows, 4, 5, groups)  # groups of more examples than features, too
    gram = np.exp(-kernel.beta * (1 - (vectors @ vectors.T).astype(np.float64)))
    hidden = np.maximum(vectors @ projected.projection, 0).astype(np.float64)
    target = np.eye(4)[rows]
    for i in range(n):
        kept = np.flatnonzero(groups != groups[i])
        rest = moments_of(vectors[kept], rows[kept], {})
        cosines = dict(zip(rest.labels, ClassMeanHead(rest).scores(vectors[i : i + 1], centred=False)[0], strict=True))
        wanted = [cosines.get(label, -np.inf) for label in moments.labels]
        assert means[i] == pytest.approx(wanted, abs=1e-5)
        weights = np.linalg.solve(gram[np.ix_(kept, kept)] + kernel.ridge * np.eye(len(kept)), target[kept])
        assert kernel.left_out[i] == pytest.approx(gram[i, kept] @ weights, abs=1e-5)
        inner = hidden[kept].T @ hidden[kept] + projected.ridge * np.eye(5)
        wanted = hidden[i] @ np.linalg.solve(inner, hidden[kept].T @ target[kept])
        assert projected.left_out[i] == pytest.approx(wanted, abs=1e-4)
        without = Neighbors(vectors[kept], rows[kept], 4, neighbors.k, groups[kept]).scores(vectors[i : i + 1])[0]
        assert neighbors.left_out(np.array([i]))[0] == pytest.approx(without, abs=1e-5)
    nearest, _ = nearest_other_similarities(vectors, rows, np.arange(n), None, groups)
    of_others = np.where(groups[:, None] == groups, -1, vectors @ vectors.T)
    assert nearest == pytest.approx(of_others.max(1), abs=1e-6)


def test_groups_are_counted() -> None:
    groups, rows = np.array([3, 1, 3, 2, 1, 3]), np.array([0, 0, 0, 1, 1, 1])
    assert [members.tolist() for members in several_members(groups)] == [[1, 4], [0, 2, 5]]
    assert is_grouped(groups, 6).tolist() == [True, True, True, False, True, True]
    assert others_of_label(rows, groups, 2).tolist() == [1, 2, 1, 2, 2, 2]
    assert others_of_label(rows, None, 2).tolist() == [2] * 6
    assert list(several_members(None)) == []
    assert not is_grouped(None, 3).any()


def copies(pictures: int, of_each: int, labels: int = 4, cosine: float = 0.97) -> tuple[Array, Rows]:
    """Returns near copies: `of_each` of each of some pictures of each label."""
    rng = np.random.default_rng(5)
    originals = normalize(rng.normal(size=(labels * pictures, 64)).astype(np.float32))
    noise = normalize(rng.normal(size=(labels * pictures, of_each, 64)).astype(np.float32))
    vectors = originals[:, None] + np.float32((1 / cosine - 1) ** 0.5) * noise
    return normalize(vectors.reshape(-1, 64)), np.repeat(np.arange(labels), pictures * of_each)


def test_near_copies_are_one_group() -> None:
    vectors, rows = copies(3, 4)
    everything = np.arange(len(rows))
    groups = find_groups(vectors, rows, everything)
    assert groups is not None
    assert [members.tolist() for members in several_members(groups)] == everything.reshape(-1, 4).tolist()
    # Copies under another label are no group: they contradict each other.
    crossed = np.arange(len(rows)) % 2
    groups = find_groups(vectors, crossed, everything)
    assert groups is not None
    assert all(len(set(crossed[members])) == 1 for members in several_members(groups))
    assert find_groups(vectors[::4], rows[::4], everything[:12]) is None
    assert find_groups(vectors, np.zeros(len(rows), np.intp), everything) is None  # one label has no scale
    # Groups that are known already are joined by their copies.
    given = np.where(everything < 5, 0, everything)
    joined = find_groups(vectors, rows, everything, given)
    assert joined is not None
    assert len(set(joined[:8])) == 1 < len(set(joined))


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_connected_components(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.integers(0, 3, 90))
    originals = rng.normal(size=(3, 20, 48))[rows, rng.integers(0, 20, 90)]
    vectors = normalize((originals + 0.1 * rng.normal(size=originals.shape)).astype(np.float32))
    gaps, same = 1 - vectors @ vectors.T, rows[:, None] == rows
    between = np.where(same, np.inf, gaps).min(1)
    found = find_groups(vectors, rows, np.arange(90))
    assert found is not None
    _, wanted = connected_components((gaps < 0.1 * np.median(between)) & same)
    assert np.array_equal(found[:, None] == found, wanted[:, None] == wanted)


def test_thousands_of_copies_are_found_in_a_moment() -> None:
    rng, rows = np.random.default_rng(0), np.repeat([0, 1], 3_000)
    vectors = normalize((rng.normal(size=(2, 32))[rows] + 0.05 * rng.normal(size=(6_000, 32))).astype(np.float32))
    started = time.process_time()
    groups = find_groups(vectors, rows, np.arange(0, 6_000, 2))
    assert time.process_time() - started < 5
    assert groups is not None
    assert [len(members) for members in several_members(groups)] == [3_000, 3_000]


def test_a_film_is_a_group_and_a_chain_of_neighbours_is_not() -> None:
    def turning(frames: int, to: float) -> npt.NDArray[np.float64]:
        angles = np.linspace(0, to, frames)
        return np.stack([np.cos(angles), np.sin(angles), *np.zeros((3, frames))], 1)

    def grouped(frames: npt.NDArray[np.float64]) -> Rows | None:
        other = np.repeat([[0.0, 0.0, 0.0, 0.0, 1.0]], 2, 0)
        vectors = normalize(np.concatenate([frames, other]).astype(np.float32))
        return find_groups(vectors, np.repeat([0, 1], [len(frames), 2]), np.arange(len(vectors)))

    film = turning(60, np.pi / 2)
    groups = grouped(film)
    assert groups is not None
    assert len(set(groups[:60])) == 1
    film[30:] = film[30:, [2, 3, 0, 1, 4]]  # a cut
    groups = grouped(film)
    assert groups is not None
    assert (len(set(groups[:30])), len(set(groups[30:60])), len(set(groups[:60]))) == (1, 1, 2)
    # Neighbours are near copies here, too, but each link is long.
    groups = grouped(turning(16, np.pi))
    assert groups is not None
    assert len(set(groups[:16])) == 16


def test_a_fit_judges_by_groups() -> None:
    vectors, rows = copies(3, 4)
    names = [f"l{i}" for i in range(4)]
    fitted = fit(Examples(vectors, rows, names))
    assert fitted.grouped == len(rows)
    # Pictures of a label have nothing in common here, so the right answer is a matter of luck.
    assert fitted.evaluations[HeadKind.LDA].accuracy < 0.6
    assert fit(Examples(vectors[::4], rows[::4], names)).grouped == 0


def test_copies_of_one_picture_are_one_example() -> None:
    vectors, rows = copies(1, 8)
    names = [f"l{i}" for i in range(4)]
    classifier = FewShotClassifier(64)
    classifier.add([names[row] for row in rows], vectors)
    classifier.adopt(fit(Examples(vectors, rows, names)), classifier.begin())
    assert classifier.head().kind is HeadKind.CLASS_MEAN
    assert classifier.evaluation(HeadKind.CLASS_MEAN) is None
    assert classifier.chosen_evaluation is not None
    assert classifier.chosen_evaluation.count == 0
