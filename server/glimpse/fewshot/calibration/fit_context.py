"""What every head's fit and judgement stand on: LDA, the background, and what leaving out gives for both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from glimpse.fewshot.calibration.leave_one_out import LeaveOneOutScores, leave_one_out
from glimpse.fewshot.calibration.open_set import Background, nearest_other_similarities, nearest_similarities
from glimpse.fewshot.domains.adaptation_selection import AdaptationChoice, select_adaptation
from glimpse.fewshot.domains.domains import Adaptation
from glimpse.fewshot.examples import Examples
from glimpse.fewshot.heads.head_evaluation import FitMeasures, LeftOutMeasures
from glimpse.fewshot.heads.lda import LdaHead
from glimpse.fewshot.statistics.class_statistics import Moments
from glimpse.fewshot.statistics.mahalanobis import Metric
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Mask, Rows, sample

# Temperature and p-values stand on so many examples at most: more would change them by less than they are worth. And on
# fewer where seeking their neighbours would take more than so many multiply-adds, some seconds; or where there would be
# more scores than these, which are held several times over.
_SAMPLE, _LEAST, _LOOKS, _SCORES = 4_000, 200, 1e11, 1e7


@dataclass(frozen=True, slots=True)
class FitContext:
    """Fitted to examples."""

    vectors: Array
    #: The columns of their labels, (N,).
    rows: Rows
    negatives: Array
    #: What was done to both.
    choice: AdaptationChoice
    lda: LdaHead
    background: Background
    #: Examples that are not all there is of their labels, or a sample of them: (n,).
    sampled: Rows
    left_out: LeaveOneOutScores
    #: Squared distances to the mean of all others, (n,).
    around: Floats
    #: The labels that they have beside their own, by copies, (n, C); None: labels exclude each other.
    beside: Mask | None

    @classmethod
    def of(cls, examples: Examples) -> Self:
        """Inverts, and leaves out."""
        choice = select_adaptation(*_of_domains(examples)) if any(examples.domains) else AdaptationChoice((), None)
        vectors = _seen(choice.kept, examples.vectors, examples.domains)
        moments = _moments(examples, vectors)
        rows = np.array([moments.row(label) for label in examples.labels], np.intp)[examples.rows]
        metric, pooled = Metric.of(moments), moments.pooled()
        around = Metric.of(pooled)
        several = np.flatnonzero(moments.shots[rows] > 1)
        sampled = sample(several, _most(vectors, len(moments.labels)))
        left_out = leave_one_out(moments, metric, vectors[sampled], rows[sampled])
        copies = None if examples.contents is None else _beside(examples.contents, rows, sampled, len(moments.labels))
        if copies is not None:
            left_out = left_out.but_for(copies)
        moments.drop_second_moment()  # from now on it would only cost
        lda = LdaHead(moments.dimension, moments)
        lda.adopt(metric, left_out.spread)
        background = Background.of(pooled, around)
        beside = leave_one_out(pooled, around, vectors[sampled], np.zeros_like(sampled)).own
        if len(moments.labels) == 1:  # the mean of all is that of the label: nothing to be relative to
            background, beside = Background.nowhere(moments.dimension), np.zeros(len(sampled))
        return cls(
            vectors,
            rows,
            _seen(choice.kept, examples.negative_vectors, examples.negatives.domains if examples.negatives else ()),
            choice,
            lda,
            background,
            sampled,
            left_out,
            beside,
            copies,
        )

    def asked(self, scores: Array | Floats) -> Array | Floats:
        """A head's scores of the examples left out, (n, C), but for the labels that they have beside their own."""
        return scores if self.beside is None else np.where(self.beside, -np.inf, scores)

    @property
    def most(self) -> int:
        """How many examples are looked at for what takes a pass over all of them each."""
        return _most(self.vectors, len(self.lda.labels))

    def measured(self, examples: Examples) -> LeftOutMeasures:
        """The examples left out, by themselves and with their labels, and the negatives."""
        rows = self.rows[self.sampled]
        nearest, others = nearest_other_similarities(examples.vectors, self.rows, self.sampled, examples.contents)
        alone = np.array(self.left_out.scores)
        alone[np.arange(len(rows)), rows] = -np.inf
        far = self.lda.scores(self.negatives)
        return LeftOutMeasures(
            rows,
            FitMeasures(self.left_out.distances, self.around, nearest),
            FitMeasures(self.left_out.lengths - 2 * alone.max(1, initial=-np.inf), self.around, others),
            FitMeasures(
                self.lda.distances(self.negatives, far),
                self.background.distances(self.negatives),
                nearest_similarities(examples.negative_vectors, examples.vectors),
            ),
        )

    def own_distances(self) -> Floats:
        """Squared distances to the mean of the own label's others, as if these were many; ascending."""
        counts = self.lda.moments.counts[self.rows[self.sampled]]
        several = counts > 1
        return np.sort((self.left_out.own * (counts - 1) / counts)[several])


def _most(vectors: Array, labels: int) -> int:
    return int(np.clip(min(_LOOKS / max(1, vectors.size), _SCORES / max(1, labels)), _LEAST, _SAMPLE))


def _seen(adaptation: Adaptation | None, vectors: Array, domains: Sequence[str]) -> Array:
    return vectors if adaptation is None else adaptation.apply(vectors, domains or [""] * len(vectors))


def _beside(contents: Rows, rows: Rows, sampled: Rows, labels: int) -> Mask:
    """The labels that some of the examples have by copies, but for their own: (N,), (N,), (n,) → (n, C)."""
    found = np.zeros((len(sampled), labels), bool)
    labels_of: dict[int, list[int]] = {}
    for content, row in zip(contents.tolist(), rows.tolist(), strict=True):
        labels_of.setdefault(content, []).append(row)
    for place, content in enumerate(contents[sampled].tolist()):
        found[place, labels_of[content]] = True
    found[np.arange(len(sampled)), rows[sampled]] = False
    return found


def _of_domains(examples: Examples) -> tuple[Array, Rows, Sequence[str], Array, Sequence[str]]:
    """Examples, and what else shows how domains differ."""
    others = [one for one in (examples.negatives, examples.unlabeled) if one and one.domains]
    vectors = np.concatenate([examples.vectors[:0], *(one.vectors for one in others)])
    return examples.vectors, examples.rows, examples.domains, vectors, [name for one in others for name in one.domains]


def _moments(examples: Examples, vectors: Array) -> Moments:
    moments = Moments(vectors.shape[1])
    moments.add_all([examples.labels[row] for row in examples.rows], vectors)
    for label in examples.labels:
        if label in examples.texts:
            moments.set_text(label, examples.texts[label])
    moments.gap = moments.find_gap()
    return moments
