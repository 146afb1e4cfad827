"""Simulates a truthful person who answers the queries of a review in a given order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Self

import numpy as np

from bench.fewshot.draws import SETTINGS
from bench.vectors import Array, Labelled
from glimpse.evaluate.trials.span import Span
from glimpse.evaluate.trials.trial import train_classifier
from glimpse.fewshot import FewShotClassifier, NearestSimilarities, Prediction, predict
from glimpse.fewshot.calibration.open_set import nearest_similarities
from glimpse.fewshot.groups import References, choose_references, find_review_groups, graph_neighbors
from glimpse.fewshot.review.proposal import join_ranked
from glimpse.fewshot.review.ranking import rank_items, uncertainties
from glimpse.fewshot.statistics.unit_vectors import Floats, Rows
from glimpse.index import neighbor_graph

#: Pictures of each label that measure accuracy; the queries of texts are a set of their own.
_HELD_OUT = 10
#: Queries in the review, at most.
_MOST = 2000
#: A fit follows each of the first answers, and then every tenth.
_EACH_FITTED, _EVERY_FITTED = 20, 10
_NONE = np.empty(0, np.intp)


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


@dataclass(frozen=True)
class _State:
    """A classifier fitted to the first examples and the answers so far, with all of these: `(n, d)` and `(n,)`."""

    classifier: FewShotClassifier
    span: Span
    vectors: Array
    rows: Rows
    test: Array

    @classmethod
    def of(cls, draw: Draw, named: Sequence[Rows], later: Sequence[Rows] = ()) -> Self:
        """Fits to the queries that are `named`, in a span that has those named `later` too."""
        known, more = (np.concatenate([*parts, _NONE]) for parts in (named, later))
        vectors = np.concatenate([draw.vectors, draw.queries[known]])
        rows = np.concatenate([draw.rows, draw.truth[known]])
        span = Span.of(np.concatenate([vectors, draw.queries[more]]))
        dimension = vectors.shape[1]
        classifier = train_classifier(span.coordinates(vectors), rows, draw.labels, None, dimension=dimension)
        return cls(classifier, span, vectors, rows, span.coordinates(draw.test))

    def accuracy(self, draw: Draw) -> float:
        """Returns the balanced accuracy on the held-out inputs, in percent; a label without example is never right."""
        place = {label: row for row, label in enumerate(draw.labels)}
        rows = np.array([place[label] for label in self.classifier.labels])
        scores = self.classifier.scores(self.classifier.head().kind, self.test)
        right = np.bincount(draw.test_truth, rows[scores.argmax(1)] == draw.test_truth, len(place))
        counts = np.bincount(draw.test_truth, minlength=len(place))
        return 100 * float((right[counts > 0] / counts[counts > 0]).mean())


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


def accuracy_curve(draw: Draw, order: Order, points: Sequence[int], seed: int) -> list[float]:
    """Returns the balanced accuracy after each number of answers, from none to the last of `points`.

    The queries are ordered again after the numbers of answers in `points`, ascending from 0. A person names a group at
    once if all its members have one label; otherwise each member takes an answer.
    """
    named: list[Rows] = []
    accuracies, rng = list[float](), np.random.default_rng(seed)
    for start, end in pairwise(points):
        state = _State.of(draw, named)
        rest = np.setdiff1d(np.arange(len(draw.queries)), np.concatenate([*named, _NONE]))
        review = Review(state.classifier, state.span, state.vectors, state.rows, draw.queries[rest], rng)
        shown = order(review, end - start)
        answers = [rest[part] for part in islice(_answers(shown, draw.truth[rest]), end - start)]
        accuracies += _learn(draw, named, answers)
        named += answers
    return [*accuracies, _State.of(draw, named).accuracy(draw)]


def _learn(draw: Draw, named: Sequence[Rows], answers: Sequence[Rows]) -> Iterator[float]:
    """Yields the accuracy before each of some answers, which follow others.

    The classifier is fitted where a fit changes most: before each of the first answers, and then before every tenth. In
    between it learns an answer as a server does until its next fit.
    """
    state = _State.of(draw, named, answers)
    for place, queries in enumerate(answers):
        if place and (len(named) + place <= _EACH_FITTED or not place % _EVERY_FITTED):
            state = _State.of(draw, [*named, *answers[:place]], answers[place:])
        yield state.accuracy(draw)
        labels = [draw.labels[row] for row in draw.truth[queries]]
        state.classifier.add(labels, state.span.coordinates(draw.queries[queries]))


def _answers(groups: Sequence[Rows], truth: Rows) -> Iterator[Rows]:
    """Yields the queries that each answer names."""
    for members in groups:
        yield from [members] if len(set(truth[members].tolist())) == 1 else members[:, None]


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
    """Orders parts of groups: each ranked query with the next of its group that has the same best label."""
    chosen = choose_references(review.rows)
    vectors = np.concatenate([review.queries, review.vectors[chosen]])
    graph = neighbor_graph(vectors, graph_neighbors(len(vectors)))
    groups = find_review_groups(vectors, graph.neighbors, graph.cosines, References(review.rows[chosen])).numbers
    predictions, labels = review.predictions(2), len(review.classifier.labels)
    best = np.unique([prediction.labels[0] for prediction in predictions], return_inverse=True)[1]
    # Parts of two need twice as many queries as there are answers.
    first = 2 * count
    ranked = rank_items(review.queries, uncertainties(predictions), review.vectors, labels, first)[:first]
    return join_ranked(ranked, groups * (best.max() + 1) + best)


def _singles(order: Rows | Floats) -> Sequence[Rows]:
    return [np.array([row], np.intp) for row in order]
