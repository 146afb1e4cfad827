"""One trial: a collection of a few examples predicts known and unknown inputs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.evaluate.data.splits import Split
from glimpse.evaluate.trials.span import Span
from glimpse.fewshot import (
    Decision,
    DecisionSettings,
    Examples,
    FewShotClassifier,
    HeadKind,
    NearestSimilarities,
    Prediction,
    Predictions,
    fit,
    predict,
)
from glimpse.fewshot.calibration.open_set import nearest_similarities
from glimpse.fewshot.decision import EXAMPLE_SCALE, softmax
from glimpse.fewshot.heads.head_selection import MANY_SHOTS, median_shots
from glimpse.fewshot.rejection import is_calibrated
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

# Queries per block; with 10,000 labels their scores take 40 MB.
_CHUNK = 1024
DECISIONS = (Decision.MATCH, Decision.AMBIGUOUS, Decision.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Contender:
    """A head, or None for the selected one, with or without labels' names as prompts."""

    pinned: HeadKind | None
    text: bool = False

    @property
    def name(self) -> str:
        """The name in tables."""
        head = self.pinned.value.replace("_", "-") if self.pinned else "auto"
        return f"{head}+text" if self.text and self.pinned is not HeadKind.PROMPTS else head


@dataclass(frozen=True, slots=True)
class EmbeddedDataset:
    """The data as one backbone embeds it."""

    vectors: Array  # (M, d), memory-mapped; all vectors of the cache
    inputs: Rows  # (N,), rows of `vectors`
    rows: Rows  # (N,), labels
    labels: Sequence[str]
    unknown: Rows
    #: Directions of labels' names, (C, d); None if the backbone reads no text.
    prompts: Array | None
    settings: DecisionSettings
    #: Equal numbers mark inputs of one group, (N,); None without groups.
    groups: Rows | None = None

    def of(self, places: Rows) -> Array:
        """Returns the vectors of inputs at positions `(n,)`: `(n, d)`."""
        return np.array(self.vectors[self.inputs[places]], np.float32)


@dataclass(frozen=True, slots=True)
class QueryPredictions:
    """The predictions for n queries: `(n,)` each."""

    label: Rows
    probability: Floats
    decision: Rows  # positions in DECISIONS
    similarity: Floats
    p_value: Floats
    #: The measure of fit, the cosine to the nearest centre, and the greatest softmax probability of these cosines.
    fit: Floats
    cosine: Floats
    softmax: Floats
    #: The size of the prediction set, and whether it contains the right label (1 or 0); NaN without a set.
    set_size: Floats
    held: Floats


@dataclass(frozen=True, slots=True)
class Outcome:
    """The predictions of a trial."""

    head: HeadKind
    #: Whether probabilities are calibrated by leave-one-out, and whether the fit decides UNKNOWN.
    calibrated: bool
    by_fit: bool
    #: The collection's own leave-one-out accuracy; None with too few examples.
    left_out: float | None
    #: The rate of UNKNOWN that it expects for unknown inputs, by leaving out labels; None if the fit does not decide.
    expected: float | None
    queries: QueryPredictions
    unknown: QueryPredictions | None
    #: Duration of the fit, beside other trials.
    seconds: float


def run(dataset: EmbeddedDataset, contender: Contender, split: Split) -> Outcome:
    """Runs one trial."""
    examples, rows = dataset.of(split.support), dataset.rows[split.support]
    texts = dataset.prompts if contender.text else None
    start = time.perf_counter()
    spanned = examples if texts is None else np.concatenate([examples, np.asarray(texts, np.float32)])
    span = Span.of(spanned, whole=may_project(contender.pinned, rows))
    support, texts = span.coordinates(examples), None if texts is None else span.coordinates(texts)
    groups = None if dataset.groups is None else dataset.groups[split.support]
    dimension = examples.shape[1]
    classifier = train_classifier(support, rows, dataset.labels, texts, contender.pinned, groups, dimension)
    seconds = time.perf_counter() - start
    head = classifier.head()
    evaluation = classifier.evaluation(head.kind)
    policy = dataset.settings.policy
    least = evaluation.typicality.min_fit(policy.false_reject, policy.false_accept) if evaluation else None
    expected = None
    if evaluation and least is not None and len(evaluation.typicality.label_left_out):
        expected = float((evaluation.typicality.label_left_out < least).mean())
    return Outcome(
        head.kind,
        is_calibrated(evaluation),
        least is not None,
        evaluation.accuracy if evaluation else None,
        expected,
        _predict_rows(classifier, dataset.inputs[split.queries], dataset.rows[split.queries], support, dataset, span),
        _predict_rows(classifier, dataset.unknown, None, support, dataset, span) if len(dataset.unknown) else None,
        seconds,
    )


def train_classifier(
    support: Array,
    rows: Rows,
    labels: Sequence[str],
    texts: Array | None,
    pinned: HeadKind | None = None,
    groups: Rows | None = None,
    dimension: int | None = None,
) -> FewShotClassifier:
    """Builds a classifier from examples and texts, and fits it.

    Args:
        support: `(n, d)`, unit rows.
        rows: `(n,)`, the examples' labels.
        labels: C label names.
        texts: `(C, d)`, directions of the labels' prompts, or None.
        pinned: the head to use instead of the selected one.
        groups: `(n,)`, examples with equal numbers are left out together; None: each alone.
        dimension: that of the embedding space, if examples and texts are coordinates in a subspace of it.
    """
    classifier = FewShotClassifier(support.shape[1])
    named = {} if texts is None else dict(zip(labels, texts, strict=True))
    for label, direction in named.items():
        classifier.set_text(label, direction)
    if len(support):
        each = [labels[row] for row in rows]
        classifier.add(each, support)
        places = {label: place for place, label in enumerate(classifier.labels)}
        columns = np.array([places[label] for label in each], np.intp)
        examples = Examples(support, columns, classifier.labels, named, groups=groups, dimension=dimension)
        classifier.adopt(fit(examples, pinned, choice_only=True), classifier.begin())
    return classifier


def may_project(pinned: HeadKind | None, rows: Rows) -> bool:
    """Returns whether a trial may use the projected ridge, whose random projection is of all d dimensions."""
    many = median_shots(np.bincount(rows).astype(np.float64)) >= MANY_SHOTS
    return pinned is HeadKind.PROJECTED_RIDGE or (pinned is None and many)


def _predict_rows(
    classifier: FewShotClassifier,
    query_rows: Rows,
    truth: Rows | None,
    support: Array,
    dataset: EmbeddedDataset,
    span: Span,
) -> QueryPredictions:
    """Predicts inputs by rows of their vectors, `(n,)`, with their right labels' rows, or None for unknown inputs."""
    places = {label: row for row, label in enumerate(dataset.labels)}
    blocks = []
    for start in range(0, len(query_rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        queries = span.coordinates(np.array(dataset.vectors[query_rows[part]], np.float32))
        own = [] if truth is None else [dataset.labels[row] for row in truth[part]]
        blocks.append(_predict_queries(classifier, queries, own, support, dataset.settings, places))
    columns = ([getattr(one, name) for one in blocks] for name in QueryPredictions.__slots__)
    return QueryPredictions(*(np.concatenate(column) for column in columns))


def _predict_queries(
    classifier: FewShotClassifier,
    queries: Array,
    own: Sequence[str],
    support: Array,
    settings: DecisionSettings,
    places: dict[str, int],
) -> QueryPredictions:
    nearest = NearestSimilarities.none(len(queries))
    if len(support):
        nearest = NearestSimilarities(nearest_similarities(queries, support), nearest.negatives)
    answers = predict(classifier, queries, nearest, settings, 1)
    cosines = classifier.mean.scores(queries, centred=False)
    most = cosines.max(1).astype(np.float64)

    def column(value: "list[float]") -> Floats:
        return np.array(value, np.float64)

    each: Sequence[Prediction] = answers.predictions
    fits, ranks = _fits_and_ranks(classifier, answers, queries, nearest, own)
    sizes = column([one.set_size or np.nan for one in each])
    return QueryPredictions(
        np.array([places[one.labels[0]] for one in each], np.intp),
        column([one.probabilities[0] for one in each]),
        np.array([DECISIONS.index(one.decision) for one in each], np.intp),
        column([one.similarity for one in each]),
        column([np.nan if one.p_value is None else one.p_value for one in each]),
        fits,
        most,
        softmax(cosines, EXAMPLE_SCALE).max(1),
        sizes,
        np.where(np.isnan(sizes), np.nan, ranks < sizes),
    )


def _fits_and_ranks(
    classifier: FewShotClassifier,
    answers: Predictions,
    queries: Array,
    nearest: NearestSimilarities,
    own: Sequence[str],
) -> tuple[Floats, Floats]:
    """Returns the measure of fit and the number of labels that score above the right one, `(n,)` each.

    A fit is finer than a p-value, which is a multiple of 1 / (N + 1). NaN without an evaluation.
    """
    evaluation, nothing = classifier.evaluation(answers.kind), np.full(len(queries), np.nan)
    if evaluation is None:
        return nothing, nothing
    scores = answers.scores
    if answers.calibrated:
        fits = np.array(answers.fits, np.float64)
    else:  # too few examples were left out for the fit to decide
        measures = classifier.measures(answers.kind, queries, nearest.examples, scores, evaluation.temperature)
        fits = evaluation.typicality.combined_fits(measures)
    if not own:
        return fits, nothing
    place = {label: column for column, label in enumerate(classifier.labels)}
    mine = scores[np.arange(len(own)), [place[label] for label in own]]
    return fits, (scores > mine[:, None]).sum(1).astype(np.float64)
