"""The residual layer of an adaptation, in closed form."""

import numpy as np
import pytest

from glimpse.fewshot import normalize
from glimpse.fewshot.adaptation.residual import train_residual


def whole(parts: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.linalg.multi_dot(parts) if len(parts) > 1 else parts[0]


@pytest.mark.parametrize(("count", "dimension"), [(12, 40), (200, 16)])
def test_it_is_the_inverse_root_of_the_shrunk_scatter(count: int, dimension: int) -> None:
    rng = np.random.default_rng(0)
    vectors, rows = normalize(rng.normal(size=(count, dimension)).astype(np.float32)), np.arange(count) % 4
    layer = np.eye(dimension) + whole(train_residual(vectors, rows, 0.7))

    residuals = vectors - np.stack([vectors[rows == row].mean(0) for row in range(4)])[rows]
    freedom = count - 4
    scatter = residuals.T @ residuals / freedom
    pull = 0.7 * dimension / (0.7 * dimension + freedom)
    shrunk = (1 - pull) * scatter / (np.trace(scatter) / dimension) + pull * np.eye(dimension)
    values, directions = np.linalg.eigh(shrunk)
    expected = directions * values**-0.5 @ directions.T
    assert np.allclose(layer / np.trace(layer), expected / np.trace(expected), atol=1e-5)


def test_fewer_examples_stay_nearer_to_the_frozen_weights() -> None:
    rng = np.random.default_rng(1)
    vectors = normalize((rng.normal(size=(400, 32)) * np.linspace(0.2, 3, 32)).astype(np.float32))
    rows = np.arange(400) % 2
    changes = [np.abs(whole(train_residual(vectors[:count], rows[:count]))).sum() for count in (8, 40, 400)]
    assert changes == sorted(changes)
    strong, weak = (np.abs(whole(train_residual(vectors, rows, strength))).sum() for strength in (100.0, 0.1))
    assert strong < weak


def test_few_examples_make_a_layer_of_low_rank() -> None:
    vectors = normalize(np.random.default_rng(2).normal(size=(9, 64)).astype(np.float32))
    down, up = train_residual(vectors, np.arange(9) % 3)
    assert (down.shape, up.shape) == ((64, 6), (6, 64))


def test_labels_without_a_spread_are_refused() -> None:
    vectors = normalize(np.random.default_rng(3).normal(size=(3, 8)).astype(np.float32))
    with pytest.raises(ValueError, match="no label has two examples"):
        train_residual(vectors, np.arange(3))
    with pytest.raises(ValueError, match="no label has two examples"):
        train_residual(vectors.repeat(2, axis=0), np.repeat(np.arange(3), 2))
