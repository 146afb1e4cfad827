"""Selects a domain adaptation by leave-one-domain-out: the examples of each domain, predicted from those of the others.

The domain that is left out still counts in the domain statistics, as unlabelled vectors. It is used in the same way:
vectors of a new domain arrive before their labels. An adaptation is kept if it predicts more of these examples
correctly, by more than a standard error of the paired difference. It is not kept if it loses as much among the examples
themselves, each left out alone: new domains would then be paid for with the existing ones. Adaptations are tried from
the gentlest to the strongest, and each has to be better than the one before by as much.

If labels exist in one domain only, nothing can be measured and nothing is kept unless the collection allows it
(domains/unlabelled_target.py), although it might have helped. PACS, 5 shots of photo, 175 unlabelled vectors of either
target with all labels alike, LDA: art 48.6 % without, 52.6 with Centring, 58.3 with Coral; cartoon 33.9, 37.8, 42.1
(bench/domains.py). No statistic that needs no target label could predict this gain. Only the part of the domain shift
that lies among the label means matters to class means, and a different mix of labels looks the same: Centring by
vectors of all 7 labels turns 47.5 into 51.0 % (class means, all pairs of domains); by vectors of 3 labels, which are
then the queries, 47.7 into 42.4; of 1 label, 49.0 into 17.8. Without that part it gains nothing (47.3). Rules by the
size of the shift or of that part, by how certain the answers become, or by how alike neighbours' answers are, gain at
most 0.1 over all of these and a domain's own vectors, where hindsight gains 2.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.calibration.leave_one_out import leave_one_out
from glimpse.fewshot.domains.domains import Adaptation, Centring, Coral, Leace
from glimpse.fewshot.domains.unlabelled_target import Agreement
from glimpse.fewshot.heads.head_selection import is_better
from glimpse.fewshot.heads.lda import LdaHead
from glimpse.fewshot.statistics.class_statistics import Moments
from glimpse.fewshot.statistics.mahalanobis import Metric
from glimpse.fewshot.statistics.unit_vectors import Array, Rows, sample

ADAPTATIONS: tuple[type[Adaptation], ...] = (Centring, Leace, Coral)
# The most examples to use; the spread of their distances needs fewer.
_SAMPLE, _SPREAD_SAMPLE = 2_000, 256
# The most folds; with more domains, several are left out together.
_FOLDS = 8


@dataclass(frozen=True, slots=True)
class AdaptationTrial:
    """The accuracy with one adaptation, or with none."""

    name: str
    #: Correct predictions, and examples, of left-out domains; only of labels that other domains have.
    right: int
    total: int
    #: Correct predictions, and examples, left out one by one.
    home_right: int
    home_total: int


@dataclass(frozen=True, slots=True)
class AdaptationChoice:
    """The trials, the one without adaptation first (none if nothing could be measured), and the adaptation that is
    kept.
    """

    trials: tuple[AdaptationTrial, ...]
    kept: Adaptation | None
    #: Set if labels exist in one domain only, and the collection allows to adapt to others (see unlabelled_target.py).
    agreement: Agreement | None = None


@dataclass(frozen=True, slots=True)
class _Answers:
    """Scores `(n, C)` and right labels `(n,)`: of domains left out (away), and of examples left out (home)."""

    away: Array
    away_rows: Rows
    home: Array
    home_rows: Rows

    def trial(self, name: str) -> AdaptationTrial:
        right, home = (
            int((scores.argmax(1) == rows).sum())
            for scores, rows in ((self.away, self.away_rows), (self.home, self.home_rows))
        )
        return AdaptationTrial(name, right, len(self.away_rows), home, len(self.home_rows))

    def helps(self, without: "_Answers") -> bool:
        harms = is_better(without.home, self.home, self.home_rows)
        return is_better(self.away, without.away, self.away_rows) and not harms


def select_adaptation(
    vectors: Array, rows: Rows, domains: Sequence[str], unlabelled: Array, unlabelled_domains: Sequence[str]
) -> AdaptationChoice:
    """Tries every adaptation and keeps the best one that helps. Deterministic. O(D d³ + N d²) for D domains.

    Args:
        vectors: `(N, d)`, unit rows.
        rows: `(N,)`, their labels' numbers.
        domains: N domain names, "" for none.
        unlabelled: `(n, d)`, further vectors.
        unlabelled_domains: their n domain names.
    """
    sampled = sample(len(rows), _SAMPLE)
    target_rows, named = rows[sampled], [domains[i] for i in sampled]
    folds = [fold for fold in _folds(named, target_rows) if fold[1].any()]
    if not folds:
        return AdaptationChoice((), None)
    labels = int(rows.max()) + 1
    without = _answers(vectors[sampled], target_rows, folds, labels)
    trials = [without.trial("none")]
    kept: Adaptation | None = None
    best = without
    everything = np.concatenate([vectors, unlabelled])
    for kind in ADAPTATIONS:
        adaptation = kind.of(everything, [*domains, *unlabelled_domains])
        answers = _answers(adaptation.apply(vectors[sampled], named), target_rows, folds, labels)
        trials.append(answers.trial(kind.name))
        if answers.helps(best):
            kept, best = adaptation, answers
    return AdaptationChoice(tuple(trials), kept)


def _folds(domains: Sequence[str], rows: Rows) -> list[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
    """Returns pairs of masks: the examples to fit to, and those to predict, of other domains and known labels."""
    names = sorted(set(domains) - {""})
    if len(names) < 2:
        return []
    folds_found, each = [], np.array(domains, np.str_)
    for first in range(min(len(names), _FOLDS)):
        out = np.isin(each, names[first::_FOLDS])
        folds_found.append((~out, out & np.isin(rows, rows[~out])))
    return folds_found


def _answers(
    vectors: Array, rows: Rows, folds: list[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]], labels: int
) -> _Answers:
    away, truth = [], []
    for learnt, target_rows in folds:
        away.append(lda_scores(vectors[learnt], rows[learnt], vectors[target_rows], labels))
        truth.append(rows[target_rows])
    moments, own = _moments(vectors, rows)
    several = moments.counts[own] > 1
    left_out = leave_one_out(moments, Metric.of(moments), vectors[several], own[several])
    return _Answers(np.concatenate(away), np.concatenate(truth), np.asarray(left_out.scores, np.float32), own[several])


def lda_scores(vectors: Array, rows: Rows, queries: Array, labels: int) -> Array:
    """Fits LDA and scores queries; the class mean if no label has two examples.

    Args:
        vectors: `(N, d)`, unit rows.
        rows: `(N,)`, their labels' numbers.
        queries: `(n, d)`, unit rows.
        labels: C.

    Returns:
        `(n, C)` float32; -inf for labels without examples.
    """
    head = LdaHead(vectors.shape[1])
    head.moments, own = _moments(vectors, rows)
    metric = Metric.of(head.moments)
    sampled = sample(len(rows), _SPREAD_SAMPLE)
    head.adopt(metric, leave_one_out(head.moments, metric, vectors[sampled], own[sampled]).spread)
    scores = np.full((len(queries), labels), -np.inf, np.float32)
    scores[:, [int(label) for label in head.labels]] = head.scores(queries)
    return scores


def _moments(vectors: Array, rows: Rows) -> tuple[Moments, Rows]:
    """Returns the class statistics, and each example's row in them."""
    moments = Moments(vectors.shape[1])
    moments.add_all([str(row) for row in rows], vectors)
    place = {label: row for row, label in enumerate(moments.labels)}
    return moments, np.array([place[str(row)] for row in rows], np.intp)
