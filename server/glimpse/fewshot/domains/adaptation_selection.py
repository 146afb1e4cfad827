"""Whether an adaptation to domains helps: each domain's examples, asked of the examples of the others.

The domain that is left out still counts in the statistics of domains, as unlabelled vectors. That is how it will be
used: vectors of a new domain come before their labels do. An adaptation is kept where it gets more of these examples
right, by more than a standard error of the paired difference; but not where it costs as much among the examples as
they are, each left out alone: it would pay for new domains with the ones there are. They are tried from the gentlest to
the one that changes most, and each has to be better than the one before by as much.

With labels in one domain only nothing can be measured, and nothing is kept, though it may have helped: PACS, 5 shots of
photo, 175 unlabelled vectors of either target with all labels alike, LDA: art 48.6 % right without, 52.6 with Centring,
58.3 with Coral; cartoon 33.9, 37.8, 42.1 (bench/domains.py). Nothing that needs no label of the target told when. Only
the part of a domain's shift that lies among the labels' means matters to class means, and there it looks as another mix
of labels does: Centring by vectors of all 7 labels makes 51.0 of 47.5 % (class means, all pairs of domains); by vectors
of 3 labels, which are then asked, 42.4 of 47.7; of 1, 17.8 of 49.0. Without that part it gains nothing (47.3). Kept by
the shift's size or part, by how sure the answers become or how alike those of neighbours, it gains 0.1 at most over all
of these and a domain's own vectors, where hindsight gains 2.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.calibration.leave_one_out import leave_one_out
from glimpse.fewshot.domains.domains import Adaptation, Centring, Coral, Leace
from glimpse.fewshot.heads.head_selection import is_better
from glimpse.fewshot.heads.lda import LdaHead
from glimpse.fewshot.statistics.class_statistics import Moments
from glimpse.fewshot.statistics.mahalanobis import Metric
from glimpse.fewshot.statistics.unit_vectors import Array, Rows, sample

ADAPTATIONS: tuple[type[Adaptation], ...] = (Centring, Leace, Coral)
# Examples that are asked and learnt from; the spread of their distances needs still fewer.
_SAMPLE, _SPREAD_SAMPLE = 2_000, 256
# With more domains than these several are left out at once.
_FOLDS = 8


@dataclass(frozen=True, slots=True)
class AdaptationTrial:
    """What an adaptation, or none, got right."""

    name: str
    #: Of the examples of domains left out, those whose labels other domains have.
    right: int
    total: int
    #: Of the examples left out one by one.
    home_right: int
    home_total: int


@dataclass(frozen=True, slots=True)
class AdaptationChoice:
    """The trials, none first; of nothing where there was nothing to measure."""

    trials: tuple[AdaptationTrial, ...]
    kept: Adaptation | None


@dataclass(frozen=True, slots=True)
class _Answers:
    """Scores, (n, C), and the labels that were right, (n,), from domains left out and from examples left out."""

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
    """Tries every adaptation: always the same for the same examples; O(D d^3 + N d^2), D domains left out.

    From examples, (N, d), their labels' numbers and domains, (N,); and unlabelled vectors, (n, d), with their domains.
    """
    some = sample(len(rows), _SAMPLE)
    asked, named = rows[some], [domains[i] for i in some]
    folds = [fold for fold in _folds(named, asked) if fold[1].any()]
    if not folds:
        return AdaptationChoice((), None)
    labels = int(rows.max()) + 1
    without = _answers(vectors[some], asked, folds, labels)
    trials = [without.trial("none")]
    kept: Adaptation | None = None
    best = without
    everything = np.concatenate([vectors, unlabelled])
    for kind in ADAPTATIONS:
        adaptation = kind.of(everything, [*domains, *unlabelled_domains])
        answers = _answers(adaptation.apply(vectors[some], named), asked, folds, labels)
        trials.append(answers.trial(kind.name))
        if answers.helps(best):
            kept, best = adaptation, answers
    return AdaptationChoice(tuple(trials), kept)


def _folds(domains: Sequence[str], rows: Rows) -> list[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
    """Which examples are learnt from, and which are asked: of other domains, with labels that were learnt."""
    names = sorted(set(domains) - {""})
    if len(names) < 2:
        return []
    found, each = [], np.array(domains, np.str_)
    for first in range(min(len(names), _FOLDS)):
        out = np.isin(each, names[first::_FOLDS])
        found.append((~out, out & np.isin(rows, rows[~out])))
    return found


def _answers(
    vectors: Array, rows: Rows, folds: list[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]], labels: int
) -> _Answers:
    away, truth = [], []
    for learnt, asked in folds:
        away.append(lda_scores(vectors[learnt], rows[learnt], vectors[asked], labels))
        truth.append(rows[asked])
    moments, own = _moments(vectors, rows)
    several = moments.counts[own] > 1
    left_out = leave_one_out(moments, Metric.of(moments), vectors[several], own[several])
    return _Answers(np.concatenate(away), np.concatenate(truth), np.asarray(left_out.scores, np.float32), own[several])


def lda_scores(vectors: Array, rows: Rows, queries: Array, labels: int) -> Array:
    """LDA's, (n, C); -inf for labels without examples. The class mean's, where no label has two."""
    head = LdaHead(vectors.shape[1])
    head.moments, own = _moments(vectors, rows)
    metric = Metric.of(head.moments)
    some = sample(len(rows), _SPREAD_SAMPLE)
    head.adopt(metric, leave_one_out(head.moments, metric, vectors[some], own[some]).spread)
    scores = np.full((len(queries), labels), -np.inf, np.float32)
    scores[:, [int(label) for label in head.labels]] = head.scores(queries)
    return scores


def _moments(vectors: Array, rows: Rows) -> tuple[Moments, Rows]:
    """And each example's row in them."""
    moments = Moments(vectors.shape[1])
    moments.add_all([str(row) for row in rows], vectors)
    place = {label: row for row, label in enumerate(moments.labels)}
    return moments, np.array([place[str(row)] for row in rows], np.intp)
