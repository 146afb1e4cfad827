"""Tests the heads for many shots, and when they are selected."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glimpse.fewshot.heads.head_selection import is_better, median_shots
from glimpse.fewshot.heads.projected_ridge import ProjectedRidge
from glimpse.fewshot.statistics.unit_vectors import normalize

Array = npt.NDArray[np.float32]


def rings(seed: int, n: int) -> tuple[Array, npt.NDArray[np.intp]]:
    """Returns two labels that no linear head separates: one surrounds the other."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 2, n).astype(np.intp)
    angle, length = rng.uniform(0, 2 * np.pi, n), np.where(rows == 0, 0.3, 1.0) + 0.05 * rng.normal(size=n)
    flat = np.stack([length * np.cos(angle), length * np.sin(angle), np.ones(n)], axis=1)
    return normalize(flat.astype(np.float32)), rows


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 40))
def test_left_out_equals_leaving_out(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = normalize(rng.normal(size=(n, 6)).astype(np.float32))
    rows = rng.integers(0, 3, n).astype(np.intp)
    fitted = ProjectedRidge.fit(vectors, rows, 3, width=20)
    hidden = np.maximum(vectors @ fitted.projection, 0).astype(np.float64)
    for i in range(n):
        rest = np.delete(np.arange(n), i)
        gram = hidden[rest].T @ hidden[rest] + fitted.ridge * np.eye(20)
        wanted = hidden[i] @ np.linalg.solve(gram, hidden[rest].T @ np.eye(3)[rows[rest]])
        assert fitted.left_out[i] == pytest.approx(wanted, abs=1e-4)
        others = np.flatnonzero(rows != rows[i])
        gram = hidden[others].T @ hidden[others] + fitted.ridge * np.eye(20)
        wanted = hidden[i] @ np.linalg.solve(gram, hidden[others].T @ np.eye(3)[rows[others]])
        assert fitted.label_left_out[i] == pytest.approx(wanted, abs=1e-4)
    gram = hidden.T @ hidden + fitted.ridge * np.eye(20)
    assert fitted.scores(vectors) == pytest.approx(hidden @ np.linalg.solve(gram, hidden.T @ np.eye(3)[rows]), abs=1e-4)


def test_it_separates_labels_that_no_linear_head_can() -> None:
    vectors, rows = rings(0, 400)
    fitted = ProjectedRidge.fit(vectors, rows, 2, width=200)
    queries, truth = rings(1, 400)
    assert (fitted.scores(queries).argmax(1) == truth).mean() > 0.97
    linear = np.eye(2, dtype=np.float32)[np.zeros(400, np.intp)]
    assert is_better(fitted.left_out, linear, rows)


def test_a_head_is_replaced_only_by_more_than_chance() -> None:
    rows = np.zeros(100, np.intp)
    incumbent = np.tile(np.array([[1, 0]], np.float32), (100, 1))
    incumbent[:20] = [0, 1]  # 80 of 100
    challenger = incumbent.copy()
    challenger[:3] = [1, 0]
    challenger[50:52] = [0, 1]
    assert not is_better(challenger, incumbent, rows)  # 81, by 3 against 2
    challenger[:12] = [1, 0]
    assert is_better(challenger, incumbent, rows)  # 90, by 12 against 2
    assert not is_better(incumbent, challenger, rows)
    assert not is_better(challenger[:1], incumbent[:1], rows[:1])


def test_the_middle_label_counts() -> None:
    assert median_shots(np.array([0.0, 1, 1, 50])) == 1
    assert median_shots(np.array([8.0, 9, 10])) == 9
    assert median_shots(np.zeros(3)) == median_shots(np.empty(0)) == 0
