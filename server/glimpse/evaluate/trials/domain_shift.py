"""Domains: taught in one or two and asked in another, with what sets them apart left in, taken out, or as it is gated.

Adaptations see the examples, and half of the other domain's inputs without their labels; the other half is asked. The
head is LDA, the nearest class mean where no label has two examples: the head by which adaptations are chosen.
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

#: As they are, with each adaptation, and with the gate's choice.
OFF, GATE = "none", "gate"
FORCED = tuple(kind.name for kind in ADAPTATIONS)
_FEWEST_GATED = 3  # domains: two to be taught in, and one more


@dataclass(slots=True)
class DomainShift:
    """Accuracy in one domain, taught in one or in two. Two: of the others, drawn anew for each trial."""

    backbone: str
    shots: int
    taught_in: str | None  # None: in two
    asked_in: str
    #: By OFF, FORCED and GATE; one value a trial.
    right: dict[str, list[float]] = field(default_factory=dict)
    #: What the gate kept, in how many trials.
    kept: Counter[str] = field(default_factory=Counter)

    def interval(self, way: str) -> Interval | None:
        """Accuracy over the trials; None: not tried."""
        return Interval.of(self.right[way]) if way in self.right else None


@dataclass(frozen=True, slots=True)
class _Domain:
    """A draw within one domain: examples, inputs to ask about, and inputs that only show what the domain is like."""

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
    """Raises EvaluationError where there are no two."""
    if len(domains) < 2:
        raise EvaluationError(f"there is only the domain {domains[0]!r}", "leave out --domains")


def domain_shifts(
    backbone: str,
    material: EmbeddedDataset,
    domains: Sequence[str],
    domain_rows: Rows,
    shots: int,
    seeds: int,
    advance: Callable[[int], None],
) -> list[DomainShift]:
    """Every pair of domains, and each by two others, over seeds. Asked are inputs of labels that were taught."""
    found: dict[tuple[str | None, str], DomainShift] = {}
    for seed in range(seeds):
        draws = [
            _Domain.of(name, _within(material, domain_rows == row, shots, seed), seed)
            for row, name in enumerate(domains)
        ]
        for target in draws:
            for taught_in, learnt in _taught(draws, target, seed):
                key = taught_in, target.name
                one = found.setdefault(key, DomainShift(backbone, shots, taught_in, target.name))
                _try(one, material, learnt, target)
            advance(1)
    return sorted((one for one in found.values() if one.right), key=_order)


def _order(one: DomainShift) -> tuple[bool, str, str]:
    return one.taught_in is None, one.taught_in or "", one.asked_in


def _taught(draws: Sequence[_Domain], target: _Domain, seed: int) -> Iterator[tuple[str | None, list[_Domain]]]:
    """Each domain alone, and two others together where there are three or more."""
    yield from ((one.name, [one]) for one in draws)
    others = [one for one in draws if one is not target and len(one.support)]
    if len(draws) >= _FEWEST_GATED and len(others) > 1:
        pair = np.random.default_rng(seed).permutation(len(others))[:2]
        yield None, [others[place] for place in sorted(pair)]


def _try(one: DomainShift, material: EmbeddedDataset, learnt: Sequence[_Domain], target: _Domain) -> None:
    """One trial of every way that there is."""
    support = np.concatenate([domain.support for domain in learnt])
    asked = target.asked[np.isin(material.rows[target.asked], material.rows[support])]
    if not len(asked):
        return
    vectors, names = material.of(support), [domain.name for domain in learnt for _ in domain.support]
    queries, truth, rows = material.of(asked), material.rows[asked], material.rows[support]
    ways: dict[str, Adaptation | None] = {OFF: None}
    if target not in learnt:
        loose, there = material.of(target.loose), [target.name] * len(target.loose)
        everything, everywhere = np.concatenate([vectors, loose]), [*names, *there]
        ways |= {kind.name: kind.of(everything, everywhere) for kind in ADAPTATIONS}
        if len(learnt) > 1:
            kept = ways[GATE] = select_adaptation(vectors, rows, names, loose, there).kept
            one.kept[kept.name if kept else OFF] += 1
    for name, way in ways.items():
        seen = way.apply(vectors, names) if way else vectors
        given = way.apply(queries, [target.name] * len(asked)) if way else queries
        said = lda_scores(seen, rows, given, len(material.labels)).argmax(1)
        one.right.setdefault(name, []).append(float((said == truth).mean()))


def _within(material: EmbeddedDataset, inside: "np.typing.NDArray[np.bool_]", shots: int, seed: int) -> Split:
    """A split of one domain's inputs, of the labels that have two or more there."""
    counts = np.bincount(material.rows[inside], minlength=len(material.labels))
    places = np.flatnonzero(inside & (counts[material.rows] > 1))
    if not len(places):
        return Split(places, places)
    _, rows = np.unique(material.rows[places], return_inverse=True)
    found = split(rows.astype(np.intp), shots, seed)
    return Split(places[found.support], places[found.queries])
