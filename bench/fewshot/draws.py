"""Draws examples from labelled vectors, and fits a classifier to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.fewshot.figures import Figures
from bench.vectors import Array, Labelled
from glimpse.evaluate.trials.span import Span
from glimpse.evaluate.trials.trial import may_project, train_classifier
from glimpse.fewshot import (
    DecisionSettings,
    FewShotClassifier,
    HeadKind,
    NearestSimilarities,
    Policy,
    Predictions,
    predict,
)
from glimpse.fewshot.calibration.open_set import nearest_similarities
from glimpse.fewshot.decision import EXAMPLE_SCALE
from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

#: Draws of a set. Sets of at most _FEW_LABELS labels get more.
SEEDS = 5
_MORE_SEEDS, _FEW_LABELS = 20, 10
#: Examples of the other half of the labels where shots are not equal.
MANY = 30
SETTINGS = DecisionSettings(Policy(), EXAMPLE_SCALE)


@dataclass(frozen=True)
class Split:
    """Drawn examples, and queries with their labels."""

    known: Sequence[str]
    enrolled: Labelled
    queries: Labelled

    @property
    def rows(self) -> Rows:
        """The positions of the examples' labels in `known`, (N,)."""
        return _rows(self.known, self.enrolled)

    @property
    def truth(self) -> Rows:
        """The positions of the queries' labels in `known`, (n,)."""
        return _rows(self.known, self.queries)


@dataclass(frozen=True)
class Draw:
    """A fitted classifier, its examples, and queries with their labels.

    The classifier is fitted in coordinates of its examples' span, where it answers as in all d dimensions.
    """

    engine: FewShotClassifier
    enrolled: Labelled
    queries: Labelled
    span: Span

    def ask(
        self,
        vectors: Array,
        top_k: int = 1,
        engine: FewShotClassifier | None = None,
        terms: DecisionSettings = SETTINGS,
    ) -> Predictions:
        """Returns predictions for `vectors`, (n, d), of this draw's classifier, or of another in all d dimensions."""
        near = NearestSimilarities(nearest_similarities(vectors, self.enrolled.vectors), np.full(len(vectors), -1.0))
        return predict(engine or self.engine, vectors if engine else self.span.coordinates(vectors), near, terms, top_k)

    def balanced(self, predicted: Sequence[str]) -> float:
        """Returns the balanced accuracy of predicted labels, in percent."""
        right = np.array(predicted) == self.queries.labels
        return 100 * float(np.mean([right[self.queries.labels == label].mean() for label in set(self.queries.labels)]))

    def rows(self, known: Sequence[str]) -> Rows:
        """Returns the positions of the examples' labels in `known`, (N,)."""
        return _rows(known, self.enrolled)

    def truth(self, known: Sequence[str]) -> Rows:
        """Returns the positions of the queries' labels in `known`, (n,)."""
        return _rows(known, self.queries)

    def probabilities(self, known: Sequence[str]) -> Floats:
        """Returns the probabilities of the labels for the queries, (n, C), in the order of `known`."""
        answers = self.ask(self.queries.vectors, len(known))
        place = {label: column for column, label in enumerate(known)}
        result = np.zeros((len(answers.predictions), len(known)))
        for row, prediction in zip(result, answers.predictions, strict=True):
            row[[place[label] for label in prediction.labels]] = prediction.probabilities
        return result


def split(data: tuple[Labelled, Labelled], known: Sequence[str], shots: int | Mapping[str, int], seed: int) -> Split:
    """Draws some examples of each known label.

    Args:
        data: The examples to draw from, and the queries. If both are the same, the queries are the remaining ones.
        known: The labels to enroll.
        shots: Examples per label, or of each label.
        seed: Seeds the draw.
    """
    support, queries = data
    rng = np.random.default_rng(seed)
    most = {label: shots if isinstance(shots, int) else shots[label] for label in known}
    chosen = np.concatenate(
        [rng.permutation(np.flatnonzero(support.labels == label))[: most[label]] for label in known]
    )
    queried = np.flatnonzero(np.isin(queries.labels, known))
    if queries is support:
        queried = np.setdiff1d(queried, chosen)
    enrolled = Labelled(support.vectors[chosen], support.labels[chosen])
    return Split(known, enrolled, Labelled(queries.vectors[queried], queries.labels[queried]))


def few_and_many(known: Sequence[str], few: int, seed: int) -> dict[str, int]:
    """Returns shots for each label: `few` for a random half of them, 30 for the others."""
    half = set(np.random.default_rng(seed).permutation(known)[: len(known) // 2].tolist())
    return {label: few if label in half else MANY for label in known}


def draw(
    data: tuple[Labelled, Labelled],
    known: Sequence[str],
    shots: int | Mapping[str, int],
    seed: int,
    directions: Mapping[str, Array] | None = None,
    pinned: HeadKind | None = None,
) -> Draw:
    """Enrolls some examples of each known label and fits them.

    Args:
        data: The examples to draw from, and the queries. If both are the same, the queries are the remaining ones.
        known: The labels to enroll.
        shots: Examples per label, or of each label.
        seed: Seeds the draw.
        directions: The labels' text embeddings, if any.
        pinned: The head to use; by default the engine selects it.
    """
    drawn = split(data, known, shots, seed)
    text_vectors = np.stack([directions[label] for label in known]) if directions else None
    return fitted(drawn.enrolled, drawn.rows, drawn.queries, known, text_vectors, pinned)


def fitted(
    enrolled: Labelled,
    rows: Rows,
    queries: Labelled,
    known: Sequence[str],
    text_vectors: Array | None = None,
    pinned: HeadKind | None = None,
) -> Draw:
    """Fits a classifier to examples, whose labels are at `rows`, (N,), of `known`; texts are (C, d)."""
    spanned = [enrolled.vectors] if text_vectors is None else [enrolled.vectors, text_vectors]
    span = Span.of(np.concatenate(spanned), whole=may_project(pinned, rows))
    texts = None if text_vectors is None else span.coordinates(text_vectors)
    dimension = enrolled.vectors.shape[1]
    engine = train_classifier(span.coordinates(enrolled.vectors), rows, known, texts, pinned, dimension=dimension)
    return Draw(engine, enrolled, queries, span)


def answered(
    data: tuple[Labelled, Labelled], known: Sequence[str], shots: int | Mapping[str, int], seed: int
) -> tuple[float, float, float]:
    """Returns balanced accuracy, log-loss and ECE of a draw without text."""
    drawn = draw(data, known, shots, seed)
    figures = Figures.of(drawn.probabilities(known), drawn.truth(known))
    return figures.accuracy, figures.log_loss, figures.ece


def best_labels(answers: Predictions) -> list[str]:
    return [prediction.labels[0] for prediction in answers.predictions]


def seeds(known: Sequence[str]) -> range:
    return range(_MORE_SEEDS if len(known) <= _FEW_LABELS else SEEDS)


def _rows(known: Sequence[str], of: Labelled) -> Rows:
    place = {label: row for row, label in enumerate(known)}
    return np.array([place[label] for label in of.labels.tolist()], np.intp)
