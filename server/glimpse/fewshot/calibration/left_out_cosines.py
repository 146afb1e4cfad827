"""The cosines by which examples are decided while they are left out."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from glimpse.fewshot.calibration.fit_context import FitContext
from glimpse.fewshot.calibration.open_set import nearest_similarities
from glimpse.fewshot.examples import Examples
from glimpse.fewshot.heads.head_evaluation import HeadEvaluation
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Mask


@dataclass(frozen=True, slots=True)
class LeftOutCosines:
    """Cosines of n examples, each left out: `(n,)` each."""

    #: Cosines to the centre of the predicted label, and the lead over that of the next label.
    similarity: Floats
    lead: Floats
    #: Cosines to the nearest negative example; -1 without any.
    nearest_negative: Floats
    #: Whether the predicted label has an example beside the one that is left out.
    has_examples: Mask

    @classmethod
    def of(cls, context: FitContext, examples: Examples, centres: Array | Floats, evaluation: HeadEvaluation) -> Self:
        """Collects the cosines for the labels that a head predicts.

        Args:
            context: the state after fitting LDA.
            examples: the examples.
            centres: `(n, C)`, cosines of the examples left out to the centre of each label.
            evaluation: the head's evaluation.
        """
        each, sampled, predicted = np.arange(len(context.sampled)), context.sampled, evaluation.predicted
        # The score of a label that has nothing but the example is -inf, which no cosine is.
        similarity, second = (
            np.maximum(np.asarray(centres[each, rows], np.float64), -1.0) for rows in (predicted, evaluation.second)
        )
        own = predicted == context.rows[sampled]
        return cls(
            similarity,
            similarity - second,
            nearest_similarities(examples.vectors[sampled], examples.negative_vectors),
            np.where(own, context.left_out.others > 0, context.lda.moments.counts[predicted] > 0),
        )
