"""Draws examples from labelled vectors, and fits a classifier to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.vectors import Array, Labelled
from glimpse.evaluate.trials.trial import train_classifier
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

#: Draws of a set. Sets of at most _FEW_LABELS labels get more.
SEEDS = 5
_MORE_SEEDS, _FEW_LABELS = 20, 10
SETTINGS = DecisionSettings(Policy(), EXAMPLE_SCALE)


@dataclass(frozen=True)
class Draw:
    """A fitted classifier, its examples, and queries with their labels."""

    engine: FewShotClassifier
    enrolled: Labelled
    queries: Labelled

    def ask(
        self,
        vectors: Array,
        top_k: int = 1,
        engine: FewShotClassifier | None = None,
        terms: DecisionSettings = SETTINGS,
    ) -> Predictions:
        """Returns predictions for `vectors`, (n, d), of this draw's classifier or another."""
        near = NearestSimilarities(nearest_similarities(vectors, self.enrolled.vectors), np.full(len(vectors), -1.0))
        return predict(engine or self.engine, vectors, near, terms, top_k)

    def balanced(self, predicted: Sequence[str]) -> float:
        """Returns the balanced accuracy of predicted labels, in percent."""
        right = np.array(predicted) == self.queries.labels
        return 100 * float(np.mean([right[self.queries.labels == label].mean() for label in set(self.queries.labels)]))


def draw(
    data: tuple[Labelled, Labelled],
    known: Sequence[str],
    shots: int,
    seed: int,
    directions: Mapping[str, Array] | None = None,
    pinned: HeadKind | None = None,
) -> Draw:
    """Enrolls some examples of each known label and fits them.

    Args:
        data: The examples to draw from, and the queries. If both are the same, the queries are the remaining ones.
        known: The labels to enroll.
        shots: Examples per label.
        seed: Seeds the draw.
        directions: The labels' text embeddings, if any.
        pinned: The head to use; by default the engine selects it.
    """
    support, queries = data
    rng = np.random.default_rng(seed)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(support.labels == label))[:shots] for label in known])
    queried = np.flatnonzero(np.isin(queries.labels, known))
    if queries is support:
        queried = np.setdiff1d(queried, chosen)
    enrolled = Labelled(support.vectors[chosen], support.labels[chosen])
    rows = np.array([known.index(label) for label in enrolled.labels], np.intp)
    text_vectors = np.stack([directions[label] for label in known]) if directions else None
    engine = train_classifier(enrolled.vectors, rows, known, text_vectors, pinned)
    return Draw(engine, enrolled, Labelled(queries.vectors[queried], queries.labels[queried]))


def best_labels(answers: Predictions) -> list[str]:
    return [prediction.labels[0] for prediction in answers.predictions]


def seeds(known: Sequence[str]) -> range:
    return range(_MORE_SEEDS if len(known) <= _FEW_LABELS else SEEDS)
