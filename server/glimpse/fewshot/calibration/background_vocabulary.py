"""The background vocabulary: takes its share of the probability from labels that have prompts and no examples.

A softmax over the prompts of a call gives noise to the prompt that is least unlike it, with any probability. So words
(or pictures) that describe none of the labels compete with them (NegLabel, Jiang et al. 2024). Words that are near a
label's prompts are left out, as they may describe the same inputs (NegRefine, Ansari et al. 2025).

For an input x with cosines c_1 >= c_2 >= … to the labels' prompts, cosines v_b to the n selected vectors of the
vocabulary, and the backbone's logit scale s, the mass of the background is

    G = w/n sum_b exp(s v_b) + exp(s m) + sum_k exp(s u_k)

with the weight w and the least cosine m that the bundle declares (`BackgroundRule`), and the cosines u_k to texts that
a request adds. The probability of label c is exp(s c) / (sum_c exp(s c) + G); the rest is the background's. The fit is

    log [exp(s c_1) / G] + log [exp(s c_1) / sum_c exp(s c)]

the log-odds of the best label against the background, plus its log-probability among the labels. A fit below 0 is
UNKNOWN. The second term makes fits comparable between 2 and 300 labels: with each label, the greatest cosine of an
input that none describes grows a little, and so does the sum. Measured with MiniLM, the 95 % quantile of the fits of
other data's texts to 2, 5, 20 and 77 intents of banking77, with w = 1, is 1.8, 2.1, 2.9 and 2.8; without the second
term it is 2.1, 2.7, 3.8 and 4.6. bench/results/zero_shot_unknown.md has the figures beside those of max-softmax and of
the greatest cosine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.calibration.open_set import Typicality
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, sample

#: The vectors of the vocabulary that compete in a call. 200, 500 and 1,000 differ by less than 0.001 in AUROC on
#: banking77; 500 take 0.02 ms.
SELECTED = 500
_MAX_REFERENCES = 2_000


@dataclass(frozen=True, slots=True)
class BackgroundRule:
    """The competition of a background vocabulary for inputs of one modality.

    Attributes:
        log_weight: natural logarithm of the weight w of the vocabulary.
        min_cosine: the background counts as at least this near to every input; -1 for no such limit.
    """

    log_weight: float = 0.0
    min_cosine: float = -1.0


@dataclass(frozen=True, slots=True)
class Competition:
    """The outcome for n queries.

    Attributes:
        shares: `(n,)`, the background's probability.
        fits: `(n,)`, see the module.
        min_fit: the fit below which an input is UNKNOWN.
    """

    shares: Floats
    fits: Floats
    min_fit: float


@dataclass(frozen=True, slots=True)
class Background:
    """The vectors that compete with the labels of one call.

    Attributes:
        vectors: `(k, d)` float32, the selected vectors of the vocabulary.
        scale: the backbone's logit scale.
        rules: the rule of each query, n of them.
        own: `(j, d)` float32, texts that the request adds.
        reference_rule: the rule for references of unknown modality.
    """

    vectors: Array
    scale: float
    rules: Sequence[BackgroundRule]
    own: Array | None = None
    reference_rule: BackgroundRule = BackgroundRule()

    def compete(self, queries: Array, scores: Array, min_fit: float = 0.0) -> Competition:
        """Lets the background compete for queries.

        Args:
            queries: `(n, d)` float32, unit rows, one for each rule.
            scores: `(n, C)`, cosines to the labels' prompts; -inf for a label that is not scored.
            min_fit: the fit below which an input is UNKNOWN.
        """
        log_weights = np.array([rule.log_weight for rule in self.rules])
        min_cosines = np.array([rule.min_cosine for rule in self.rules])
        shares, fits = self._measure(queries, scores, log_weights, min_cosines)
        return Competition(shares, fits, min_fit)

    def fits(self, queries: Array, scores: Array) -> Floats:
        """Returns the fits, `(n,)`, of vectors of unknown modality, `(n, d)`, with their scores, `(n, C)`."""
        count, rule = len(queries), self.reference_rule
        return self._measure(queries, scores, np.full(count, rule.log_weight), np.full(count, rule.min_cosine))[1]

    def _measure(
        self, queries: Array, scores: Array, log_weights: Floats, min_cosines: Floats
    ) -> tuple[Floats, Floats]:
        labels = log_sum(self.scale * scores.astype(np.float64))
        mass = np.where(min_cosines > -1, self.scale * min_cosines, -np.inf)
        if len(self.vectors):
            cosines = self.scale * (queries @ self.vectors.T).astype(np.float64)  # (n, k)
            mass = np.logaddexp(mass, log_weights - np.log(len(self.vectors)) + log_sum(cosines))
        if self.own is not None and len(self.own):
            mass = np.logaddexp(mass, log_sum(self.scale * (queries @ self.own.T).astype(np.float64)))
        best = self.scale * scores.max(1).astype(np.float64)
        shares = np.exp(-np.logaddexp(0.0, labels - mass))
        return shares, 2 * best - mass - labels


class References:
    """Negative examples and unlabelled inputs of a collection whose labels have prompts only.

    They replace the bundle's default: the threshold is then the fit that all but `false_reject` of the unlabelled
    inputs reach, and that at most 5 % of the negative examples do.
    """

    def __init__(self, unlabeled: Array, negatives: Array) -> None:
        """Keeps a sample of the unlabelled inputs, `(U, d)`, and of the negative examples, `(M, d)`."""
        self.unlabeled, self.negatives = (
            vectors[sample(len(vectors), _MAX_REFERENCES)] for vectors in (unlabeled, negatives)
        )
        self._known: tuple[Array, float, float | None, float] | None = None

    def min_fit(
        self, background: Background, score: Callable[[Array], Array], false_reject: float, false_accept: float | None
    ) -> float:
        """Returns the fit below which an input is UNKNOWN; 0, the bundle's default, if the references are too few.

        A few negative examples raise the default and never lower it.

        Args:
            background: what competes with the labels.
            score: returns the cosines of vectors, `(n, d)`, to the labels' prompts, `(n, C)`.
            false_reject: see `Policy`.
            false_accept: see `Policy`.
        """
        known = self._known
        if known and known[0] is background.vectors and known[1:3] == (false_reject, false_accept):
            return known[3]
        unlabeled, negatives = (
            np.sort(background.fits(vectors, score(vectors))) if len(vectors) else np.empty(0)
            for vectors in (self.unlabeled, self.negatives)
        )
        if len(unlabeled) < 1 / false_reject - 1:  # too few for the rate: one that does not belong would decide
            unlabeled = unlabeled[:0]
        typicality = Typicality(np.ones(1), unlabeled, np.empty(0), negatives)
        calibrated, ceiling = typicality.min_fit(false_reject, false_accept), typicality.negative_ceiling
        if calibrated is None:
            calibrated = 0.0 if ceiling is None else max(0.0, ceiling)
        self._known = background.vectors, false_reject, false_accept, calibrated
        return calibrated


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A bundle's background vocabulary: `(V, d)` float32 unit vectors, and a rule for each modality of an input."""

    vectors: Array
    image: BackgroundRule = BackgroundRule()
    text: BackgroundRule = BackgroundRule()

    def select(self, texts: Array, most: int = SELECTED) -> Array:
        """Returns the vectors that are farthest from the labels' prompts, `(C, d)`: `(min(V, most), d)`.

        A vector is as near as its nearest label.
        """
        if len(self.vectors) <= most or not len(texts):
            return self.vectors[:most]
        nearest = np.full(len(self.vectors), -np.inf, np.float32)
        for start in range(0, len(texts), 256):
            np.maximum(nearest, (self.vectors @ texts[start : start + 256].T).max(1), out=nearest)
        return np.ascontiguousarray(self.vectors[np.sort(np.argpartition(nearest, most)[:most])])


def log_sum(logits: Floats) -> Floats:
    """Returns the logarithm of the sum of exponentials of each row: `(n, k)` → `(n,)` float64."""
    greatest = logits.max(1, keepdims=True)
    return np.asarray(np.log(np.exp(logits - greatest).sum(1)) + greatest[:, 0], np.float64)
