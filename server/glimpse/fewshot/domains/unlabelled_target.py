"""Adapts one labelled domain to domains without labels, where a collection allows it, and vetoes by agreement.

Nothing can be left out here, so no accuracy is known. CORAL assumes that the unlabelled vectors have about the same mix
of labels as the examples: a caller has to know that, since no statistic of the vectors separates a shift of the domain
from another mix. The veto only stops the worst. Two heads, fitted to random halves of the examples, answer the
unlabelled vectors; where labels are balanced, two such heads disagree about as often as they are wrong (Jiang et al.
2022), and agreement goes with accuracy over domains (Baek et al. 2022). If they agree less by more than two standard
errors with the adaptation, it is not kept. With sentiments in equal parts, that drops 15 of the 56 adaptations that
help; one standard error drops 25.

bench/unlabelled_domains.py records where the veto decides rightly and wrongly. It is too weak to adapt without being
asked: of the adaptations that harm a target of one label, it drops 25 of 39 on pictures and 19 of 54 on sentiments of
texts, whose labels lie nearer to each other than the domains. Tried on both and worse: how certain the answers are,
agreement of LDA with the class mean, the entropy of the answers, and predicting the examples back from the answers
(Zhong et al. 2010). A shift by expectation-maximisation over the mix of labels (Saerens et al. 2002) loses 5 to 14
points on average.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.domains.domains import Adaptation, Coral
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows, normalize, sample

# The fewest unlabelled vectors of other domains to adapt to, and the most to compare answers on.
_FEWEST, _SAMPLE = 10, 256
# Random halves of the examples, and the standard errors by which their agreement may fall.
_HALVES, _ERRORS = 20, 2


@dataclass(frozen=True, slots=True)
class Agreement:
    """The part of unlabelled vectors to which heads of two halves of the examples give the same label."""

    name: str  # of the adaptation
    without: float
    adapted: float
    #: The unlabelled vectors that were compared.
    count: int
    kept: bool


def adapt_to_unlabelled(
    vectors: Array, rows: Rows, domains: Sequence[str], unlabelled: Array, unlabelled_domains: Sequence[str]
) -> tuple[Agreement | None, Adaptation | None]:
    """Adapts to domains that have no labels. Deterministic. O((N + n) min(N, n) d) for N examples and n others.

    Args:
        vectors: `(N, d)`, unit rows.
        rows: `(N,)`, their labels' numbers.
        domains: N domain names, "" for none.
        unlabelled: `(n, d)`, further vectors.
        unlabelled_domains: their n domain names.

    Returns:
        The agreement, and the adaptation if it is kept. Both are None unless the examples have one domain and at least
        10 unlabelled vectors another. With one example a label nothing can be compared, and nothing is vetoed.
    """
    labelled = set(domains) - {""}
    targets = np.array([i for i, name in enumerate(unlabelled_domains) if name and name not in labelled], np.intp)
    if len(labelled) != 1 or len(targets) < _FEWEST:
        return None, None
    adaptation = Coral.of(np.concatenate([vectors, unlabelled]), [*domains, *unlabelled_domains])
    if np.bincount(rows).max() < 2:
        return None, adaptation
    asked = targets[sample(len(targets), _SAMPLE)]
    without = agreement(vectors, rows, unlabelled[asked])
    names = [unlabelled_domains[i] for i in asked]
    adapted = agreement(adaptation.apply(vectors, domains), rows, adaptation.apply(unlabelled[asked], names))
    gains = adapted - without
    kept = bool(gains.mean() >= -_ERRORS * gains.std(ddof=1) / np.sqrt(len(gains)))
    found = Agreement(adaptation.name, float(without.mean()), float(adapted.mean()), len(asked), kept)
    return found, adaptation if kept else None


def agreement(vectors: Array, rows: Rows, queries: Array) -> Floats:
    """Returns the part of 20 random halvings whose two class means give each query the same label, `(n,)`.

    Args:
        vectors: `(N, d)`, unit rows.
        rows: `(N,)`, their labels' numbers. A label with one example is in both halves.
        queries: `(n, d)`, unit rows.
    """
    rng, same = np.random.default_rng(0), np.zeros(len(queries))
    for _ in range(_HALVES):
        first, second = _halves(rows, rng)
        same += _nearest(vectors[first], rows[first], queries) == _nearest(vectors[second], rows[second], queries)
    return same / _HALVES


def _halves(rows: Rows, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Splits the examples of each label into two halves; an odd one falls to either."""
    halves: tuple[list[Rows], list[Rows]] = [], []
    for row in np.unique(rows):
        places = rng.permutation(np.flatnonzero(rows == row))
        middle = (len(places) + int(rng.integers(2))) // 2
        for half, part in zip(halves, (places[:middle], places[middle:]), strict=True):
            half.append(part if len(places) > 1 else places)
    return np.concatenate(halves[0]), np.concatenate(halves[1])


def _nearest(vectors: Array, rows: Rows, queries: Array) -> Rows:
    """Returns the label whose mean has the greatest cosine to each query, `(n,)`."""
    labels, places, counts = np.unique(rows, return_inverse=True, return_counts=True)
    sums = np.zeros((len(labels), vectors.shape[1]))
    np.add.at(sums, places, vectors)
    means = normalize((sums / counts[:, None]).astype(np.float32))
    return np.asarray(labels[(queries @ means.T).argmax(1)], np.intp)
