"""Tests subtrees of a tree of labels, and their figures on the examples left out."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from glimpse.fewshot import (
    Decision,
    DecisionSettings,
    Examples,
    FewShotClassifier,
    LabelTree,
    NearestSimilarities,
    Policy,
    Predictions,
    fit,
    normalize,
    predict,
)
from glimpse.fewshot.label_tree import MAX_LEVELS, set_members
from glimpse.fewshot.tree_figures import tree_figures

Array = npt.NDArray[np.float32]
#: Owls and robins are birds, birds and cats are animals; cars are none.
PARENTS = {"bird": "animal", "owl": "bird", "robin": "bird", "cat": "animal"}
NAMES = ["owl", "robin", "cat", "car"]
PROBABILITIES = np.array([0.4, 0.3, 0.2, 0.1])
SETTINGS = DecisionSettings(Policy(coverage=0.95), 1 / 0.07, tree=LabelTree(PARENTS))


@pytest.mark.parametrize(
    ("members", "path", "probability"),
    [
        ([0], ["animal", "bird", "owl"], 0.4),
        ([0, 1], ["animal", "bird"], 0.7),
        ([1, 2], ["animal"], 0.9),
        ([3], ["car"], 0.1),
        ([0, 3], [], 1.0),
    ],
)
def test_a_subtree_is_the_deepest_label_that_holds_the_set(
    members: list[int], path: list[str], probability: float
) -> None:
    subtree = LabelTree(PARENTS).subtree(NAMES, PROBABILITIES, members)
    assert (subtree.path, subtree.labels) == (path, [NAMES[member] for member in members])
    assert subtree.probability == pytest.approx(probability)


def test_a_label_that_groups_others_can_be_in_the_set_itself() -> None:
    tree, names = LabelTree(PARENTS), ["bird", "owl"]
    assert tree.subtree(names, np.array([0.6, 0.4]), [0]).path == ["animal", "bird"]
    assert tree.subtree(names, np.array([0.6, 0.4]), [0]).probability == pytest.approx(1.0)
    assert tree.subtree(names, np.array([0.4, 0.6]), [1, 0]).path == ["animal", "bird"]


def test_a_tree_knows_other_labels_than_before() -> None:
    tree = LabelTree(PARENTS)
    assert tree.subtree(["owl", "car"], PROBABILITIES[:2], [0, 1]).path == []
    assert tree.subtree(["owl", "robin"], PROBABILITIES[:2], [0, 1]).path == ["animal", "bird"]


def test_a_path_ends_even_in_a_circle() -> None:
    assert len(LabelTree({"a": "b", "b": "a"}).path("a")) == MAX_LEVELS


def test_without_a_prediction_set_the_coverage_needs_the_likeliest_labels() -> None:
    scores, probabilities = np.array([1.0, 4.0, 2.0, 3.0]), np.array([0.04, 0.5, 0.16, 0.3])
    assert set_members(scores, probabilities, 0, 0.8).tolist() == [1, 3]
    assert set_members(scores, probabilities, 0, 0.81).tolist() == [1, 3, 2]
    assert set_members(scores, probabilities, 1, 0.95).tolist() == [1]


def blobs(seed: int, count: int, noise: float) -> tuple[Array, npt.NDArray[np.intp]]:
    """Returns vectors, (n, 24), of an owl and a robin that look alike, a cat that resembles them, and a car."""
    centres = np.random.default_rng(0).normal(size=(4, 24))
    centres[1] = centres[0] + 0.3 * centres[1]
    centres[2] = centres[0] + centres[2]
    rng, rows = np.random.default_rng(seed), np.repeat(np.arange(4), count)
    return normalize((centres[rows] + noise * rng.normal(size=(len(rows), 24))).astype(np.float32)), rows


def classifier_of(vectors: Array, rows: npt.NDArray[np.intp], *, keep: bool = True) -> FewShotClassifier:
    classifier = FewShotClassifier(vectors.shape[1])
    classifier.add([NAMES[row] for row in rows], vectors)
    token = classifier.begin()
    classifier.adopt(fit(Examples(vectors, rows, NAMES), keep_likeliest=keep), token)
    return classifier


def ask(
    classifier: FewShotClassifier, queries: Array, settings: DecisionSettings = SETTINGS, **how: object
) -> Predictions:
    near = NearestSimilarities(np.full(len(queries), 0.9), np.full(len(queries), -1.0))
    return predict(classifier, queries, near, settings, 1, **how)  # type: ignore[arg-type]


def test_the_subtree_holds_the_label_at_least_as_often_as_the_coverage_asks() -> None:
    queries, truth = blobs(2, 200, 0.6)
    answers = ask(classifier_of(*blobs(1, 16, 0.6)), queries)
    tree, held, members = LabelTree(PARENTS), [], []
    for prediction, row in zip(answers.predictions, truth, strict=True):
        subtree = prediction.subtree
        assert subtree is not None
        assert len(subtree.labels) == prediction.set_size
        assert subtree.labels[0] == prediction.labels[0]
        held.append(tree.path(NAMES[row])[: len(subtree.path)] == subtree.path)
        members.append(NAMES[row] in subtree.labels)
    assert sum(held) >= max(0.95 * len(held), sum(members))
    depths = [len(prediction.subtree.path) for prediction in answers.predictions if prediction.subtree]
    assert len(set(depths)) > 1
    assert np.mean(depths) > 1


def test_the_reason_of_an_ambiguous_answer_names_the_subtree() -> None:
    predictions = ask(classifier_of(*blobs(1, 16, 0.6)), blobs(2, 50, 0.6)[0]).predictions
    unsure = [prediction for prediction in predictions if prediction.decision is Decision.AMBIGUOUS]
    birds = [
        prediction for prediction in unsure if prediction.subtree and prediction.subtree.path == ["animal", "bird"]
    ]
    assert birds
    assert all(prediction.reason.endswith("; the 2 labels left are in animal/bird") for prediction in birds)


def test_the_reason_says_where_only_the_whole_tree_holds_the_set() -> None:
    vectors = normalize(np.eye(4, 24, dtype=np.float32))
    classifier = FewShotClassifier(24)
    classifier.add(NAMES, vectors)
    [prediction] = ask(classifier, normalize(vectors[:1] + vectors[3:])).predictions
    assert prediction.subtree is not None
    assert prediction.subtree.path == []
    assert prediction.subtree.probability == pytest.approx(1.0)
    assert prediction.reason.endswith("; it may be any of 2 labels, which have no common label above them")


def test_candidates_of_very_many_labels_have_subtrees_too() -> None:
    classifier, (queries, _) = classifier_of(*blobs(1, 16, 0.3)), blobs(2, 3, 0.3)
    candidates = np.tile(np.array([[1, 0, -1]]), (len(queries), 1))
    for prediction in ask(classifier, queries, candidates=candidates).predictions:
        assert prediction.subtree is not None
        assert prediction.subtree.path[:2] == ["animal", "bird"]
        assert set(prediction.subtree.labels) <= {"owl", "robin"}


def test_a_tree_changes_nothing_else() -> None:
    classifier, (queries, _) = classifier_of(*blobs(1, 16, 0.6)), blobs(2, 50, 0.6)
    plain = ask(classifier, queries, replace(SETTINGS, tree=None))
    for before, after in zip(plain.predictions, ask(classifier, queries).predictions, strict=True):
        assert before.subtree is None
        assert after.reason.startswith(before.reason)
        assert replace(after, reason=before.reason, subtree=None) == before
    independent = ask(classifier, queries, replace(SETTINGS, independent=True))
    assert all(prediction.subtree is None for prediction in independent.predictions)


def test_figures_agree_with_answers_to_new_inputs() -> None:
    classifier, tree = classifier_of(*blobs(1, 40, 0.6)), LabelTree(PARENTS)
    figures = tree_figures(classifier, tree, SETTINGS.policy)
    queries, truth = blobs(2, 400, 0.6)
    answers = [prediction.subtree for prediction in ask(classifier, queries).predictions if prediction.subtree]
    held = [tree.path(NAMES[row])[: len(one.path)] == one.path for one, row in zip(answers, truth, strict=True)]
    assert figures is not None
    assert figures.count == 160
    assert figures.held / figures.count == pytest.approx(np.mean(held), abs=0.03)
    assert figures.mean_depth == pytest.approx(np.mean([len(one.path) for one in answers]), abs=0.15)
    assert figures.single / figures.count == pytest.approx(np.mean([len(one.labels) == 1 for one in answers]), abs=0.1)
    assert figures.mean_label_depth == pytest.approx((3 + 3 + 2 + 1) / 4)
    # Every label has a root above it or is one; two labels of four are at the third level.
    assert [count for _, count in figures.levels] == [160, 120, 80]
    parts = [right / count for right, count in figures.levels]
    assert parts[0] >= 0.95
    assert parts[2] == pytest.approx(np.mean(_agree_at_level_3(classifier, queries, truth)), abs=0.1)


def _agree_at_level_3(classifier: FewShotClassifier, queries: Array, truth: npt.NDArray[np.intp]) -> list[bool]:
    answers = ask(classifier, queries).predictions
    return [one.labels[0] == NAMES[row] for one, row in zip(answers, truth, strict=True) if row < 2]


def test_no_figures_without_what_a_fit_keeps_for_them() -> None:
    assert tree_figures(classifier_of(*blobs(1, 16, 0.6), keep=False), LabelTree(PARENTS), SETTINGS.policy) is None
    assert tree_figures(FewShotClassifier(24), LabelTree(PARENTS), SETTINGS.policy) is None
