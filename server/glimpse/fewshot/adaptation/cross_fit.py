"""Trains and predicts fold by fold: an example is predicted by an adapted backbone and a head that never saw it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.adaptation.cross_fitted import CrossCalibration, CrossFitted, location
from glimpse.fewshot.calibration.calibration import best_temperature
from glimpse.fewshot.calibration.near_copies import find_groups
from glimpse.fewshot.calibration.open_set import nearest_similarities
from glimpse.fewshot.classifier import FewShotClassifier
from glimpse.fewshot.decision import softmax
from glimpse.fewshot.examples import Examples
from glimpse.fewshot.fit import fit
from glimpse.fewshot.heads.head_evaluation import HeadEvaluation
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows


@dataclass(frozen=True, slots=True)
class Space:
    """Examples and labels as one backbone embeds them.

    Attributes:
        vectors: `(N, d)` float32, unit rows: all examples.
        texts: `(C, d)` float32, directions of the labels' texts; None without texts.
    """

    vectors: Array
    texts: Array | None = None


#: Trains on the examples at the given positions, ascending, and embeds all examples by the result.
Train = Callable[[Rows], Space]


def cross_fit(
    train: Train,
    frozen: Space,
    rows: Rows,
    groups: Rows | None = None,
    *,
    folds: int = 5,
    seed: int = 0,
    after_fold: Callable[[], None] | None = None,
) -> CrossFitted:
    """Measures an adapted backbone against the frozen one on the same folds.

    For each fold, the backbone is trained without it, and only then is a classifier fitted to the other examples, with
    its temperature and its threshold. Near copies and given groups are in one fold.

    Args:
        train: trains a backbone on some examples. It must not look at the labels of the others.
        frozen: the examples as the frozen backbone embeds them.
        rows: `(N,)`, the examples' labels, 0 to C - 1.
        groups: `(N,)`, equal numbers mark examples of one group; None if there are no groups.
        folds: the most folds; labels of fewer groups have an example in fewer of them.
        seed: the seed of the folds.
        after_fold: is called after each fold.

    Raises:
        ValueError: every label has one group of examples, or the adapted examples of every label look like copies.
    """
    units = find_groups(frozen.vectors, rows, np.arange(len(rows)), groups)
    units = np.arange(len(rows)) if units is None else units
    numbers = assign_folds(rows, units, folds, seed)
    parts = []
    for fold in range(int(numbers.max()) + 1):
        training, held_out = np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)
        held_out = held_out[np.isin(rows[held_out], rows[training])]
        if len(held_out):
            parts.append(_predict_fold(train(training), frozen, rows, units, training, held_out))
        if after_fold:
            after_fold()
    if not parts:
        raise ValueError("every label has a single group of examples, so none can be held out")
    return _join(parts, rows, units, int(numbers.max()) + 1)


def assign_folds(rows: Rows, groups: Rows, folds: int, seed: int) -> Rows:
    """Assigns whole groups to folds, each label's as evenly as the groups allow.

    Args:
        rows: `(N,)`, the examples' labels.
        groups: `(N,)`, equal numbers are in one fold.
        folds: the most folds.
        seed: the seed of the order.

    Returns:
        `(N,)`, the examples' folds, from 0.
    """
    rng = np.random.default_rng(seed)
    _, first, unit = np.unique(groups, return_index=True, return_inverse=True)
    # A group of several labels counts for that of its first example.
    label, result = rows[first], np.zeros(len(first), np.intp)
    start = 0
    for row in np.unique(label):
        own = rng.permutation(np.flatnonzero(label == row))
        result[own] = (start + np.arange(len(own))) % folds
        start += len(own)  # the next label goes on where this one ended, so that folds are of one size
    _, numbers = np.unique(result[unit], return_inverse=True)
    return np.asarray(numbers, np.intp)


@dataclass(frozen=True, slots=True)
class _Fold:
    """Predictions of the m held-out examples of a fold."""

    held_out: Rows
    frozen: Rows
    adapted: Rows
    zero_shot: tuple[Rows, Rows] | None
    #: Scores of all C labels over the temperature by leave-one-out, -inf for labels without examples: (m, C).
    scaled: Floats
    fits: Floats
    label_left_out: Floats


def _predict_fold(space: Space, frozen: Space, rows: Rows, units: Rows, training: Rows, held_out: Rows) -> _Fold:
    labels = int(rows.max()) + 1
    before = classify(frozen.vectors, rows, units, training)
    kind = before.head().kind
    frozen_scores = _all_labels(before, before.scores(kind, frozen.vectors[held_out]), labels)
    classifier = classify(space.vectors, rows, units, training)
    head, queries = classifier.head(), space.vectors[held_out]
    scores = classifier.scores(head.kind, queries)
    evaluation = classifier.evaluation(head.kind)
    if evaluation is None:
        raise ValueError(
            "on the adapted vectors the examples of every label look like copies of one, so no head can be calibrated"
        )
    training_rows, own_rows = rows[training], rows[held_out]
    support = space.vectors[training]
    scaled = _all_labels(classifier, scores, labels) / evaluation.temperature
    return _Fold(
        held_out,
        frozen_scores.argmax(1),
        scaled.argmax(1),
        _zero_shot(frozen, space, held_out),
        scaled,
        _fits(classifier, evaluation, queries, nearest_similarities(queries, support), scores),
        _fits_without_label(classifier, evaluation, queries, own_rows, support, training_rows, scores),
    )


def _fits(
    classifier: FewShotClassifier, evaluation: HeadEvaluation, queries: Array, nearest: Floats, scores: Array
) -> Floats:
    """Returns how well queries fit, in deviations from the mean of the fits by leave-one-out: `(m,)`."""
    middle, unit = location(evaluation.typicality)
    measures = classifier.measures(evaluation.kind, queries, nearest, scores, evaluation.temperature)
    return (evaluation.typicality.combined_fits(measures) - middle) / unit


def _fits_without_label(
    classifier: FewShotClassifier,
    evaluation: HeadEvaluation,
    queries: Array,
    own: Rows,
    support: Array,
    rows: Rows,
    scores: Array,
) -> Floats:
    """Returns how well queries fit if their own label is left out of the head: `(m,)`; `(0,)` with one label.

    For kernel ridge the distance to the nearest label's mean still counts the own label. So these fits are at least as
    good as those of unknown inputs, and a threshold for false accepts is strict.

    Args:
        classifier: the fold's classifier.
        evaluation: the evaluation of its head.
        queries: `(m, d)`.
        own: their labels, `(m,)`.
        support: the training examples, `(n, d)`.
        rows: their labels, `(n,)`.
        scores: the head's scores of the queries, `(m, c)`.
    """
    if len(classifier.labels) < 2:
        return np.empty(0)
    without, nearest = np.array(scores), np.empty(len(queries))
    for row in np.unique(own):
        asked = own == row
        without[asked, classifier.labels.index(str(row))] = -np.inf
        nearest[asked] = nearest_similarities(queries[asked], support[rows != row])
    return _fits(classifier, evaluation, queries, nearest, without)


def classify(vectors: Array, rows: Rows, units: Rows, training: Rows) -> FewShotClassifier:
    """Fits a classifier to the training examples; its labels are the numbers of the rows."""
    classifier = FewShotClassifier(vectors.shape[1])
    support, names = vectors[training], [str(row) for row in rows[training]]
    classifier.add(names, support)
    place = {label: column for column, label in enumerate(classifier.labels)}
    columns = np.array([place[name] for name in names], np.intp)
    examples = Examples(support, columns, classifier.labels, groups=units[training])
    classifier.adopt(fit(examples, choice_only=True), classifier.begin())
    return classifier


def _all_labels(classifier: FewShotClassifier, scores: Array, labels: int) -> Floats:
    """Returns scores with a column for every label, -inf where the fold has no example: `(m, c)` → `(m, C)`."""
    result = np.full((len(scores), labels), -np.inf)
    result[:, [int(label) for label in classifier.labels]] = scores
    return result


def _zero_shot(frozen: Space, space: Space, places: Rows) -> tuple[Rows, Rows] | None:
    if frozen.texts is None or space.texts is None:
        return None
    before = (frozen.vectors[places] @ frozen.texts.T).argmax(1)
    return before, (space.vectors[places] @ space.texts.T).argmax(1)


def _join(parts: Sequence[_Fold], rows: Rows, units: Rows, folds: int) -> CrossFitted:
    places = np.concatenate([part.held_out for part in parts])
    scaled = np.concatenate([part.scaled for part in parts])
    factor = best_temperature(scaled, rows[places])
    own = softmax(scaled, 1 / factor)[np.arange(len(places)), rows[places]]
    texts = [part.zero_shot for part in parts if part.zero_shot is not None]
    zero_shot = (
        (np.concatenate([one[0] for one in texts]), np.concatenate([one[1] for one in texts])) if texts else None
    )
    return CrossFitted(
        places,
        rows[places],
        units[places],
        np.concatenate([part.frozen for part in parts]),
        np.concatenate([part.adapted for part in parts]),
        zero_shot,
        CrossCalibration(
            factor,
            np.sort(own),
            np.sort(np.concatenate([part.fits for part in parts])),
            np.sort(np.concatenate([part.label_left_out for part in parts])),
        ),
        folds,
    )
