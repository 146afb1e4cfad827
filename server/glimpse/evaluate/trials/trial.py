"""One trial: a collection made of a few examples, asked about others, and about strangers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.evaluate.data.splits import Split
from glimpse.fewshot import (
    Decision,
    DecisionSettings,
    Examples,
    FewShotClassifier,
    HeadKind,
    NearestSimilarities,
    Prediction,
    fit,
    predict,
)
from glimpse.fewshot.calibration.open_set import nearest_similarities
from glimpse.fewshot.decision import EXAMPLE_SCALE, softmax
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

# Queries scored at once: against 10,000 labels they take 40 MB.
_CHUNK = 1024
DECISIONS = (Decision.MATCH, Decision.AMBIGUOUS, Decision.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Contender:
    """A head, None being the ladder's choice, and whether labels' names join in as prompts."""

    pinned: HeadKind | None
    text: bool = False

    @property
    def name(self) -> str:
        """As tables have it."""
        head = self.pinned.value.replace("_", "-") if self.pinned else "auto"
        return f"{head}+text" if self.text and self.pinned is not HeadKind.PROMPTS else head


@dataclass(frozen=True, slots=True)
class EmbeddedDataset:
    """What one backbone makes of the data: the store's vectors, and which are the inputs' and the strangers'."""

    vectors: Array  # (M, d), mapped
    inputs: Rows  # (N,)
    rows: Rows  # labels', (N,)
    labels: Sequence[str]
    unknown: Rows
    #: Of labels' names, (C, d); None: the backbone reads no text.
    prompts: Array | None
    terms: DecisionSettings

    def of(self, places: Rows) -> Array:
        """Inputs' vectors, (n, d)."""
        return np.array(self.vectors[self.inputs[places]], np.float32)


@dataclass(frozen=True, slots=True)
class QueryPredictions:
    """What was said of n inputs: (n,) each."""

    said: Rows
    probability: Floats
    decision: Rows  # in DECISIONS
    similarity: Floats
    p_value: Floats
    #: How well each fits; and the two plain measures beside it: the cosine to the nearest centre, and the greatest
    #: probability among cosines.
    fit: Floats
    cosine: Floats
    softmax: Floats
    #: How many labels the prediction set has, and whether it holds the right one, 1 or 0; NaN: none was made.
    set_size: Floats
    held: Floats


@dataclass(frozen=True, slots=True)
class Outcome:
    """A trial's answers."""

    head: HeadKind
    #: Whether probabilities come from leaving out, and whether what fits too badly is refused by that.
    calibrated: bool
    by_fit: bool
    #: What the collection says of itself; None: too few examples.
    left_out: float | None
    #: The part of strangers that it would expect to catch, by leaving out labels; None: no fit is asked for.
    expected: float | None
    queries: QueryPredictions
    unknown: QueryPredictions | None
    seconds: float


def run(material: EmbeddedDataset, contender: Contender, split: Split) -> Outcome:
    """Makes the collection and asks."""
    support = material.of(split.support)
    texts = material.prompts if contender.text else None
    start = time.perf_counter()
    engine = train_classifier(support, material.rows[split.support], material.labels, texts, contender.pinned)
    seconds = time.perf_counter() - start
    head = engine.head()
    evaluation = engine.evaluation(head.kind)
    policy = material.terms.policy
    least = evaluation.typicality.min_fit(policy.false_reject, policy.false_accept) if evaluation else None
    expected = None
    if evaluation and least is not None and len(evaluation.typicality.label_left_out):
        expected = float((evaluation.typicality.label_left_out < least).mean())
    return Outcome(
        head.kind,
        evaluation is not None,
        least is not None,
        evaluation.accuracy if evaluation else None,
        expected,
        _ask(engine, material.inputs[split.queries], material.rows[split.queries], support, material),
        _ask(engine, material.unknown, None, support, material) if len(material.unknown) else None,
        seconds,
    )


def train_classifier(
    support: Array, rows: Rows, labels: Sequence[str], texts: Array | None, pinned: HeadKind | None = None
) -> FewShotClassifier:
    """An engine that has learnt examples, (n, d) and their labels' rows, (n,), and texts, (C, d), and fitted them."""
    engine = FewShotClassifier(support.shape[1])
    named = {} if texts is None else dict(zip(labels, texts, strict=True))
    for label, direction in named.items():
        engine.set_text(label, direction)
    if len(support):
        each = [labels[row] for row in rows]
        engine.add(each, support)
        places = {label: place for place, label in enumerate(engine.labels)}
        examples = Examples(support, np.array([places[label] for label in each], np.intp), engine.labels, named)
        engine.adopt(fit(examples, pinned), engine.begin())
    return engine


def _ask(
    engine: FewShotClassifier, asked: Rows, truth: Rows | None, support: Array, material: EmbeddedDataset
) -> QueryPredictions:
    """What is said of inputs, by the rows of their vectors, (n,), and of their labels; strangers have none."""
    places = {label: row for row, label in enumerate(material.labels)}
    found = []
    for start in range(0, len(asked), _CHUNK):
        part = slice(start, start + _CHUNK)
        queries = np.array(material.vectors[asked[part]], np.float32)
        own = [] if truth is None else [material.labels[row] for row in truth[part]]
        found.append(_told(engine, queries, own, support, material.terms, places))
    columns = ([getattr(one, name) for one in found] for name in QueryPredictions.__slots__)
    return QueryPredictions(*(np.concatenate(column) for column in columns))


def _told(
    engine: FewShotClassifier,
    queries: Array,
    own: Sequence[str],
    support: Array,
    terms: DecisionSettings,
    places: dict[str, int],
) -> QueryPredictions:
    nearest = NearestSimilarities.none(len(queries))
    if len(support):
        nearest = NearestSimilarities(nearest_similarities(queries, support), nearest.negatives)
    answers = predict(engine, queries, nearest, terms, 1)
    cosines = engine.mean.scores(queries)
    most = cosines.max(1).astype(np.float64)

    def column(value: "list[float]") -> Floats:
        return np.array(value, np.float64)

    each: Sequence[Prediction] = answers.predictions
    fits, ranks = _beyond(engine, answers.kind, queries, nearest, own)
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


def _beyond(
    engine: FewShotClassifier, kind: HeadKind, queries: Array, nearest: NearestSimilarities, own: Sequence[str]
) -> tuple[Floats, Floats]:
    """What answers do not say: how well each fits, and how many labels score more than its own, (n,) each.

    Fits are finer than p-values, which the examples are counted by. NaN where nothing was judged.
    """
    evaluation, nothing = engine.evaluation(kind), np.full(len(queries), np.nan)
    if evaluation is None:
        return nothing, nothing
    scores = engine.scores(kind, queries)
    fits = evaluation.typicality.combined_fits(
        engine.measures(kind, queries, nearest.examples, scores, evaluation.temperature)
    )
    if not own:
        return fits, nothing
    place = {label: column for column, label in enumerate(engine.labels)}
    mine = scores[np.arange(len(own)), [place[label] for label in own]]
    return fits, (scores > mine[:, None]).sum(1).astype(np.float64)
