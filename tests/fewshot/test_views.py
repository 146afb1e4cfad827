"""Views of one thing: their scores become one answer, in which a view that says little counts little."""

import numpy as np
import pytest

from glimpse.fewshot import DecisionSettings, FewShotClassifier, NearestSimilarities, Policy, normalize, predict
from glimpse.fewshot.decision import EXAMPLE_SCALE, softmax
from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.fewshot.views import pool_views

SETTINGS = DecisionSettings(Policy(), EXAMPLE_SCALE)


def pooled(views: Array, scale: float = 1.0) -> Array:
    """Pools the views of a single thing."""
    scores = np.concatenate([np.zeros((1, views.shape[1]), np.float32), views])
    things = np.zeros(len(views), np.intp)
    return np.asarray(pool_views(scores, softmax(scores, scale), things)[0], np.float32)


def test_views_that_agree_are_as_sure_as_each_of_them() -> None:
    view = np.array([[3.0, 1.0, 0.0]], np.float32)
    np.testing.assert_allclose(pooled(np.repeat(view, 5, axis=0)), view[0], rtol=1e-6)


def test_a_view_counts_by_the_inverse_of_the_labels_that_it_leaves_open() -> None:
    # The first leaves one label open, the second all four of them.
    views = np.array([[50.0, 0, 0, 0], [0, 0, 0, 0]], np.float32)
    np.testing.assert_allclose(pooled(views), [40.0, 0, 0, 0], rtol=1e-6)


def test_a_certain_label_of_no_probability_costs_no_view() -> None:
    views = np.array([[2_000.0, 0.0], [1.0, 0.0]], np.float32)  # the softmax of the first has a zero
    assert np.isfinite(pooled(views)).all()


def test_each_thing_has_its_own_views_and_the_others_keep_their_scores() -> None:
    scores = np.array([[9.0, 0], [7.0, 7.0], [0, 0], [1.0, 3.0], [3.0, 1.0], [5.0, 0]], np.float32)
    found = pool_views(scores, None, np.array([1, 1, 2]))
    np.testing.assert_allclose(found[:3], [[9.0, 0], [2.0, 2.0], [5.0, 0]])
    np.testing.assert_array_equal(found[3:], scores[3:])


@pytest.mark.parametrize("independent", [False, True])
def test_the_answer_of_views_is_that_of_their_pool_and_each_view_has_its_own(independent: bool) -> None:
    rng = np.random.default_rng(0)
    classifier = FewShotClassifier(8)
    classifier.add([f"label {label}" for label in range(3)], np.eye(8, dtype=np.float32)[:3])
    views = normalize(np.eye(8, dtype=np.float32)[[0, 0, 1]] + rng.normal(0, 0.1, (3, 8)).astype(np.float32))
    single = normalize(np.eye(8, dtype=np.float32)[2:3])
    queries = np.concatenate([normalize(views.mean(0))[None], single, views])
    settings = DecisionSettings(Policy(), EXAMPLE_SCALE, independent)
    nearest = NearestSimilarities.none(len(queries))
    answers = predict(classifier, queries, nearest, settings, 3, things=np.array([0, 0, 0])).predictions
    assert [answer.labels[0] for answer in answers] == ["label 0", "label 2", "label 0", "label 0", "label 1"]
    alone = predict(classifier, queries[1:], NearestSimilarities.none(4), settings, 3).predictions
    for answer, other in zip(answers[1:], alone, strict=True):
        np.testing.assert_allclose(answer.probabilities, other.probabilities, rtol=1e-6)
