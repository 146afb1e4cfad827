"""The parts that every head's fit and evaluation share: adapted vectors, LDA, the Gaussian of all examples, and the
examples left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from glimpse.fewshot.calibration.calibration import growth
from glimpse.fewshot.calibration.group_left_out import LeftOutGroup, groups_among
from glimpse.fewshot.calibration.leave_one_out import LeaveOneOutScores, leave_one_out
from glimpse.fewshot.calibration.near_copies import find_groups
from glimpse.fewshot.calibration.open_set import PooledGaussian, nearest_other_similarities, nearest_similarities
from glimpse.fewshot.calibration.text_weight import select_text_weight
from glimpse.fewshot.domains.adaptation_selection import AdaptationChoice, select_adaptation
from glimpse.fewshot.domains.domains import Adaptation
from glimpse.fewshot.domains.unlabelled_target import adapt_to_unlabelled
from glimpse.fewshot.examples import Examples
from glimpse.fewshot.heads.head_evaluation import FitMeasures, LeftOutMeasures
from glimpse.fewshot.heads.head_selection import HeadKind
from glimpse.fewshot.heads.lda import LdaHead
from glimpse.fewshot.statistics.class_statistics import Moments
from glimpse.fewshot.statistics.groups import others_of_label, several_members
from glimpse.fewshot.statistics.mahalanobis import Metric
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Mask, Rows, sample

# Temperature and p-values use at most _SAMPLE examples; more would change them little. They use fewer, but at least
# _LEAST, if the search for neighbours would take more than _LOOKS multiply-adds (some seconds), or if there would be
# more than _SCORES scores, of which several copies are in memory.
_SAMPLE, _LEAST, _LOOKS, _SCORES = 4_000, 200, 1e11, 1e7


@dataclass(frozen=True, slots=True)
class FitContext:
    """The state after fitting LDA to the examples."""

    vectors: Array
    #: The columns of the examples' labels, (N,).
    rows: Rows
    negatives: Array
    #: The domain adaptation of `vectors` and `negatives`.
    choice: AdaptationChoice
    lda: LdaHead
    pooled: PooledGaussian
    #: Examples that are left out together have equal numbers, (N,); None if each is left out alone.
    groups: Rows | None
    #: Examples to leave out, (n,): those whose label keeps another example or a text, or a sample of them.
    sampled: Rows
    left_out: LeaveOneOutScores
    #: The groups of several examples that those left out belong to.
    left_out_groups: Sequence[LeftOutGroup]
    #: Squared Mahalanobis distances to the mean of all other examples, (n,).
    around: Floats
    #: The further labels that an example's content has, (n, C); None if labels exclude each other.
    further_labels: Mask | None

    @classmethod
    def of(cls, examples: Examples) -> Self:
        """Adapts to domains, inverts the covariance and leaves each example out. O(d³ + N d²)."""
        choice = _choose_adaptation(examples)
        vectors = _adapted(choice.kept, examples.vectors, examples.domains)
        moments = _moments(examples, vectors)
        rows = np.array([moments.row(label) for label in examples.labels], np.intp)[examples.rows]
        groups, others, sampled = _leave_out(examples, vectors, rows, moments)
        together = list(several_members(groups))
        left_out_groups = groups_among(together, vectors, rows, sampled)
        further = _further_labels(examples.contents, rows, sampled, len(moments.labels))
        # Copies of one example show no spread within labels.
        spread = bool((others > 0).any())
        metric = Metric.of(moments, examples.dimension) if spread else Metric.identity(moments.dimension)
        select_text_weight(moments, metric, vectors[sampled], rows[sampled], left_out_groups, further)
        left_out = leave_one_out(moments, metric, vectors[sampled], rows[sampled], left_out_groups)
        if further is not None:
            left_out = left_out.without_labels(further)
        pooled, around = _pooled(moments, vectors, sampled, together, examples.dimension)
        moments.drop_second_moment()  # no longer needed; it would cost O(d²) per change
        lda = LdaHead(moments.dimension, moments)
        lda.adopt(metric, left_out.spread)
        negatives = examples.negatives.domains if examples.negatives else ()
        return cls(
            vectors,
            rows,
            _adapted(choice.kept, examples.negative_vectors, negatives),
            choice,
            lda,
            pooled,
            groups,
            sampled,
            left_out,
            left_out_groups,
            around,
            further,
        )

    def mask_further_labels(self, scores: Array | Floats) -> Array | Floats:
        """Sets the scores of an example's further labels to -inf: `(n, C)` → `(n, C)`."""
        return scores if self.further_labels is None else np.where(self.further_labels, -np.inf, scores)

    def growth(self, kind: HeadKind) -> float:
        """Returns the factor from the temperature of a head's scores of the examples left out to that of new inputs."""
        if kind is HeadKind.PROMPTS:  # they rest on no example
            return 1.0
        moments, rows = self.lda.moments, self.rows[self.sampled]
        left_out = moments.counts[rows] - self.left_out.others
        if kind is HeadKind.LDA:
            # A centre that is pulled to the mean of all labels grows with its shots, and its scores with it.
            left_out = np.where(self.lda.spread.pulls(moments)[rows] > 0, 0.0, left_out)
        return growth(moments.shots[rows], left_out)

    @property
    def sample_size(self) -> int:
        """The number of examples to use if each needs a pass over all of them."""
        return _sample_size(self.vectors, len(self.lda.labels))

    def left_out_measures(self, examples: Examples) -> LeftOutMeasures:
        """Measures the examples left out alone, with their whole label left out, and the negatives."""
        rows = self.rows[self.sampled]
        nearest, others = nearest_other_similarities(
            examples.vectors, self.rows, self.sampled, examples.contents, self.groups
        )
        alone = np.array(self.left_out.scores)
        alone[np.arange(len(rows)), rows] = -np.inf
        far = self.lda.scores(self.negatives)
        return LeftOutMeasures(
            rows,
            FitMeasures(self.left_out.distances, self.around, nearest),
            FitMeasures(self.left_out.lengths - 2 * alone.max(1, initial=-np.inf), self.around, others),
            FitMeasures(
                self.lda.distances(self.negatives, far),
                self.pooled.distances(self.negatives),
                nearest_similarities(examples.negative_vectors, examples.vectors),
            ),
        )

    def own_distances(self) -> Floats:
        """Returns squared distances to the mean of the own label's other examples, ascending, as if these were many.

        The factor m / (m + 1) removes the error of a mean of m examples.
        """
        others = self.left_out.others
        return np.sort((self.left_out.own * others / (others + 1))[others > 0])


def _sample_size(vectors: Array, labels: int) -> int:
    return int(np.clip(min(_LOOKS / max(1, vectors.size), _SCORES / max(1, labels)), _LEAST, _SAMPLE))


def _choose_adaptation(examples: Examples) -> AdaptationChoice:
    if not any(examples.domains):
        return AdaptationChoice((), None)
    choice = select_adaptation(*_with_domains(examples))
    if examples.adapt_to_unlabeled and not choice.trials:
        agreement, kept = adapt_to_unlabelled(*_with_domains(examples))
        return AdaptationChoice((), kept, agreement)
    return choice


def _adapted(adaptation: Adaptation | None, vectors: Array, domains: Sequence[str]) -> Array:
    return vectors if adaptation is None else adaptation.apply(vectors, domains or [""] * len(vectors))


def _leave_out(examples: Examples, vectors: Array, rows: Rows, moments: Moments) -> tuple[Rows | None, Rows, Rows]:
    """Selects the examples to leave out.

    Returns:
        The groups (see `FitContext.groups`), how many examples each label keeps without a group `(N,)`, and the
        selected examples `(n,)`.
    """
    several = np.flatnonzero(moments.shots[rows] > 1)
    sampled = sample(several, _sample_size(vectors, len(moments.labels)))
    groups = find_groups(examples.vectors, rows, sampled, examples.groups)
    others = others_of_label(rows, groups, len(moments.labels))
    has_text = (moments.shots > moments.counts)[rows]
    return groups, others, sampled[((others > 0) | has_text)[sampled]]


def _pooled(
    moments: Moments, vectors: Array, sampled: Rows, together: Sequence[Rows], dimension: int | None
) -> tuple[PooledGaussian, Floats]:
    """Returns the Gaussian of all examples, and the distances of the examples left out to its mean: `(n,)`."""
    if len(moments.labels) == 1:  # the mean of all examples is the label's own, so no relative distance exists
        return PooledGaussian.empty(moments.dimension), np.zeros(len(sampled))
    pooled, one_label = moments.pooled(), np.zeros(len(vectors), np.intp)
    metric, groups = Metric.of(pooled, dimension), groups_among(together, vectors, one_label, sampled)
    left_out = leave_one_out(pooled, metric, vectors[sampled], one_label[sampled], groups)
    return PooledGaussian.of(pooled, metric), left_out.own


def _further_labels(contents: Rows | None, rows: Rows, sampled: Rows, labels: int) -> Mask | None:
    """Returns the further labels of the sampled examples' contents: `(N,)`, `(N,)`, `(n,)` → `(n, C)`."""
    if contents is None:
        return None
    result = np.zeros((len(sampled), labels), bool)
    labels_of: dict[int, list[int]] = {}
    for content, row in zip(contents.tolist(), rows.tolist(), strict=True):
        labels_of.setdefault(content, []).append(row)
    for place, content in enumerate(contents[sampled].tolist()):
        result[place, labels_of[content]] = True
    result[np.arange(len(sampled)), rows[sampled]] = False
    return result


def _with_domains(examples: Examples) -> tuple[Array, Rows, Sequence[str], Array, Sequence[str]]:
    """Returns the examples, and the other vectors that show how domains differ."""
    others = [group for group in (examples.negatives, examples.unlabeled) if group and group.domains]
    vectors = np.concatenate([examples.vectors[:0], *(group.vectors for group in others)])
    return (
        examples.vectors,
        examples.rows,
        examples.domains,
        vectors,
        [name for group in others for name in group.domains],
    )


def _moments(examples: Examples, vectors: Array) -> Moments:
    moments = Moments(vectors.shape[1])
    moments.add_all([examples.labels[row] for row in examples.rows], vectors)
    for label in examples.labels:
        if label in examples.texts:
            moments.set_text(label, examples.texts[label])
    moments.gap = moments.find_gap()
    return moments
