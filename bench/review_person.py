"""Simulates a truthful person who answers the queries of a review in a given order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.fewshot.draws import SETTINGS
from bench.vectors import Array, Labelled
from glimpse.evaluate.trials.span import Span
from glimpse.evaluate.trials.trial import train_classifier
from glimpse.fewshot import FewShotClassifier, NearestSimilarities, Prediction, predict
from glimpse.fewshot.calibration.open_set import nearest_similarities
from glimpse.fewshot.groups import References, choose_references, find_review_groups, graph_neighbors
from glimpse.fewshot.review.proposal import core_members
from glimpse.fewshot.review.ranking import rank_items, uncertainties
from glimpse.fewshot.statistics.unit_vectors import Floats, Rows
from glimpse.index import neighbor_graph

#: Pictures of each label that measure accuracy; the queries of texts are a set of their own.
_HELD_OUT = 10
#: Queries in the review, at most.
_MOST = 2000


@dataclass(frozen=True)
class Draw:
    """The first examples, the queries to review, and the inputs that measure accuracy; rows of `labels`."""

    labels: Sequence[str]
    vectors: Array
    rows: Rows
    queries: Array
    truth: Rows
    test: Array
    test_truth: Rows


@dataclass(frozen=True)
class Review:
    """A review at some point: the examples so far, and the queries that have no answer yet."""

    classifier: FewShotClassifier
    span: Span
    vectors: Array
    rows: Rows
    queries: Array
    rng: np.random.Generator

    def predictions(self, top_k: int) -> Sequence[Prediction]:
        """Returns the predictions for the queries without an answer."""
        nearest = NearestSimilarities(
            nearest_similarities(self.queries, self.vectors), np.full(len(self.queries), -1.0)
        )
        return predict(self.classifier, self.span.coordinates(self.queries), nearest, SETTINGS, top_k).predictions

    def balanced_accuracy(self, draw: Draw) -> float:
        """Returns the balanced accuracy on the held-out inputs, in percent; a label without example is never right."""
        scores = self.classifier.scores(self.classifier.head().kind, self.span.coordinates(draw.test))
        place = {label: row for row, label in enumerate(draw.labels)}
        rows = np.array([place[label] for label in self.classifier.labels])
        right = rows[scores.argmax(1)] == draw.test_truth
        return 100 * float(np.mean([right[draw.test_truth == row].mean() for row in np.unique(draw.test_truth)]))


#: Orders what a person is shown: groups, each the positions of its members. A single query is a group of one.
Order = Callable[[Review, int], Sequence[Rows]]


def draw(data: tuple[Labelled, Labelled], seed: int, without_example: float) -> Draw:
    """Draws one example for each label, the queries to review, and the held-out inputs.

    Args:
        data: The examples and the queries of a set (bench/fewshot/sets.py).
        seed: Seeds the draw.
        without_example: The part of the labels that start without an example.
    """
    support, held_out = data
    labels, rows = np.unique(support.labels, return_inverse=True)
    rng = np.random.default_rng(seed)
    started = set(rng.permutation(len(labels))[round(without_example * len(labels)) :].tolist())
    first: list[int] = []
    rest: list[int] = []
    test: list[int] = []
    for row in range(len(labels)):
        places = rng.permutation(np.flatnonzero(rows == row)).tolist()
        if held_out is support:
            test, places = test + places[:_HELD_OUT], places[_HELD_OUT:]
        count = int(row in started)
        first, rest = first + places[:count], rest + places[count:]
    queries = rng.permutation(rest)[:_MOST]
    if held_out is support:
        tested, truth = support.vectors[test], rows[test]
    else:
        tested, truth = held_out.vectors, np.searchsorted(labels, held_out.labels)
    return Draw(
        labels.tolist(), support.vectors[first], rows[first], support.vectors[queries], rows[queries], tested, truth
    )


def accuracy_curve(draw: Draw, order: Order, answers: Sequence[int], seed: int) -> list[float]:
    """Returns the balanced accuracy after each number of answers, ascending from 0.

    The classifier is fitted and the queries are ordered again at each of these points. A person names a group at once
    if all its members have one label; otherwise each member takes an answer.
    """
    vectors, rows, rest = draw.vectors, draw.rows, np.arange(len(draw.queries))
    rng, accuracies = np.random.default_rng(seed), []
    for point, following in zip(answers, [*answers[1:], answers[-1]], strict=True):
        span = Span.of(vectors)
        classifier = train_classifier(span.coordinates(vectors), rows, draw.labels, None, dimension=vectors.shape[1])
        review = Review(classifier, span, vectors, rows, draw.queries[rest], rng)
        accuracies.append(review.balanced_accuracy(draw))
        if following > point:
            named = rest[list(_named(order(review, following - point), draw.truth[rest], following - point))]
            vectors, rows = np.concatenate([vectors, draw.queries[named]]), np.concatenate([rows, draw.truth[named]])
            rest = np.setdiff1d(rest, named)
    return accuracies


def _named(groups: Sequence[Rows], truth: Rows, answers: int) -> Iterator[int]:
    """Yields the queries that get a label by a number of answers."""
    for members in groups:
        parts = [members] if len(set(truth[members].tolist())) == 1 else [members[[i]] for i in range(len(members))]
        for part in parts:
            if not answers:
                return
            answers -= 1
            yield from part.tolist()


def at_random(review: Review, _: int) -> Sequence[Rows]:
    """Orders single queries at random."""
    return _singles(review.rng.permutation(len(review.queries)))


def by_margin(review: Review, _: int) -> Sequence[Rows]:
    """Orders single queries by the lead in probability over the second label, least first."""
    pairs = np.array([prediction.probabilities[:2] for prediction in review.predictions(2)])
    return _singles(np.argsort(pairs[:, 0] - pairs[:, 1], kind="stable"))


def by_entropy(review: Review, _: int) -> Sequence[Rows]:
    """Orders single queries by the entropy of their probabilities, greatest first."""
    predictions = review.predictions(len(review.classifier.labels))
    probabilities = np.maximum([prediction.probabilities for prediction in predictions], 1e-300)
    return _singles(np.argsort((probabilities * np.log(probabilities)).sum(1), kind="stable"))


def by_ranking(review: Review, count: int) -> Sequence[Rows]:
    """Orders single queries as a review does."""
    uncertainty, labels = uncertainties(review.predictions(2)), len(review.classifier.labels)
    return _singles(rank_items(review.queries, uncertainty, review.vectors, labels, count))


def by_groups(review: Review, count: int) -> Sequence[Rows]:
    """Orders parts of groups: each ranked query with the nearest members of its group that have the same best label."""
    chosen = choose_references(review.rows)
    vectors = np.concatenate([review.queries, review.vectors[chosen]])
    graph = neighbor_graph(vectors, graph_neighbors(len(vectors)))
    groups = find_review_groups(vectors, graph.neighbors, graph.cosines, References(review.rows[chosen])).numbers
    predictions, labels = review.predictions(2), len(review.classifier.labels)
    best = np.array([prediction.labels[0] for prediction in predictions])
    shown: list[Rows] = []
    left = np.ones(len(review.queries), bool)
    for row in rank_items(review.queries, uncertainties(predictions), review.vectors, labels, count)[:count]:
        if left[row]:
            members = np.flatnonzero(left & (groups == groups[row]) & (best == best[row]))
            shown.append(core_members(review.queries, members, row))
            left[shown[-1]] = False
    return shown


def _singles(order: Rows | Floats) -> Sequence[Rows]:
    return [np.array([row], np.intp) for row in order]
