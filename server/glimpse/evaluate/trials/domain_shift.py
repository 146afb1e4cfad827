"""Domain shift: a collection of examples from one or two domains predicts inputs of another domain.

Every domain adaptation is tried, and also none and the selected one. Adaptations see the examples, and half of the
other domain's inputs without labels; the other half are the queries. The head is LDA, or the nearest class mean if no
label has two examples: the head by which adaptations are selected.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from glimpse.evaluate.data.splits import Split, split
from glimpse.evaluate.errors import EvaluationError
from glimpse.evaluate.figures.metrics import Interval
from glimpse.evaluate.trials.trial import EmbeddedDataset
from glimpse.fewshot.domains.adaptation_selection import ADAPTATIONS, lda_scores, select_adaptation
from glimpse.fewshot.domains.domains import Adaptation
from glimpse.fewshot.statistics.unit_vectors import Rows

#: No adaptation, each adaptation, and the selected one.
OFF, GATE = "none", "gate"
FORCED = tuple(kind.name for kind in ADAPTATIONS)
_FEWEST_GATED = 3  # domains: two with examples, and one with queries


@dataclass(slots=True)
class DomainShift:
    """Accuracy in one domain with examples from one domain, or from two others that each trial draws again."""

    backbone: str
    shots: int
    taught_in: str | None  # None: two domains
    asked_in: str
    #: Accuracies by OFF, FORCED and GATE; one value per trial.
    right: dict[str, list[float]] = field(default_factory=dict)
    #: In how many trials each adaptation was selected.
    kept: Counter[str] = field(default_factory=Counter)

    def interval(self, way: str) -> Interval | None:
        """Returns the accuracy over the trials; None if not tried."""
        return Interval.of(self.right[way]) if way in self.right else None


@dataclass(frozen=True, slots=True)
class _Domain:
    """A draw within one domain: examples, queries, and unlabelled inputs."""

    name: str
    support: Rows
    asked: Rows
    loose: Rows

    @classmethod
    def of(cls, name: str, drawn: Split, seed: int) -> Self:
        order = np.random.default_rng(seed).permutation(drawn.queries)
        half = (len(order) + 1) // 2
        return cls(name, drawn.support, np.sort(order[:half]), np.sort(order[half:]))


def check_domains(domains: Sequence[str]) -> None:
    """Raises EvaluationError if there are fewer than two domains."""
    if len(domains) < 2:
        raise EvaluationError(f"there is only the domain {domains[0]!r}", "leave out --domains")


def domain_shifts(
    backbone: str,
    dataset: EmbeddedDataset,
    domains: Sequence[str],
    domain_rows: Rows,
    shots: int,
    seeds: int,
    advance: Callable[[int], None],
) -> list[DomainShift]:
    """Measures every pair of domains, and each domain from two others, over seeds.

    Queries are inputs of labels that have examples.

    Args:
        backbone: its name.
        material: its embedded data.
        domains: the domain names.
        domain_rows: `(N,)`, the inputs' domains.
        shots: examples per label.
        seeds: the number of draws.
        advance: advances the progress bar.
    """
    results: dict[tuple[str | None, str], DomainShift] = {}
    for seed in range(seeds):
        draws = [
            _Domain.of(name, _within(dataset, domain_rows == row, shots, seed), seed)
            for row, name in enumerate(domains)
        ]
        for target in draws:
            for taught_in, sources in _sources(draws, target, seed):
                key = taught_in, target.name
                shift = results.setdefault(key, DomainShift(backbone, shots, taught_in, target.name))
                _try(shift, dataset, sources, target)
            advance(1)
    return sorted((shift for shift in results.values() if shift.right), key=_order)


def _order(shift: DomainShift) -> tuple[bool, str, str]:
    return shift.taught_in is None, shift.taught_in or "", shift.asked_in


def _sources(draws: Sequence[_Domain], target: _Domain, seed: int) -> Iterator[tuple[str | None, list[_Domain]]]:
    """Yields each domain alone, and two others together if there are three or more."""
    yield from ((shift.name, [shift]) for shift in draws)
    others = [shift for shift in draws if shift is not target and len(shift.support)]
    if len(draws) >= _FEWEST_GATED and len(others) > 1:
        pair = np.random.default_rng(seed).permutation(len(others))[:2]
        yield None, [others[place] for place in sorted(pair)]


def _try(shift: DomainShift, dataset: EmbeddedDataset, sources: Sequence[_Domain], target: _Domain) -> None:
    """Runs one trial of every adaptation."""
    support = np.concatenate([domain.support for domain in sources])
    asked = target.asked[np.isin(dataset.rows[target.asked], dataset.rows[support])]
    if dataset.groups is not None:  # a group may have inputs in several domains
        asked = asked[~np.isin(dataset.groups[asked], dataset.groups[support])]
    if not len(asked):
        return
    vectors, names = dataset.of(support), [domain.name for domain in sources for _ in domain.support]
    queries, truth, rows = dataset.of(asked), dataset.rows[asked], dataset.rows[support]
    ways: dict[str, Adaptation | None] = {OFF: None}
    if target not in sources:
        loose, there = dataset.of(target.loose), [target.name] * len(target.loose)
        everything, everywhere = np.concatenate([vectors, loose]), [*names, *there]
        ways |= {kind.name: kind.of(everything, everywhere) for kind in ADAPTATIONS}
        if len(sources) > 1:
            kept = ways[GATE] = select_adaptation(vectors, rows, names, loose, there).kept
            shift.kept[kept.name if kept else OFF] += 1
    for name, way in ways.items():
        support_vectors = way.apply(vectors, names) if way else vectors
        query_vectors = way.apply(queries, [target.name] * len(asked)) if way else queries
        predicted = lda_scores(support_vectors, rows, query_vectors, len(dataset.labels)).argmax(1)
        shift.right.setdefault(name, []).append(float((predicted == truth).mean()))


def _within(dataset: EmbeddedDataset, inside: "np.typing.NDArray[np.bool_]", shots: int, seed: int) -> Split:
    """Splits one domain's inputs of the labels that have two or more there."""
    counts = np.bincount(dataset.rows[inside], minlength=len(dataset.labels))
    groups = dataset.groups
    places = np.flatnonzero(inside & (counts[dataset.rows] > 1))
    if not len(places):
        return Split(places, places)
    _, rows = np.unique(dataset.rows[places], return_inverse=True)
    results = split(rows.astype(np.intp), shots, seed, None if groups is None else groups[places])
    return Split(places[results.support], places[results.queries])
