"""Domains: taught in one and asked in each, as they are and with their means brought together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.evaluate.errors import EvaluationError
from glimpse.evaluate.figures import Interval
from glimpse.evaluate.splits import Split, split
from glimpse.evaluate.trial import Material, taught
from glimpse.fewshot import Engine
from glimpse.fewshot.domains import Centring
from glimpse.fewshot.vectors import Array, Rows


@dataclass(frozen=True, slots=True)
class Across:
    """Accuracy in one domain, taught in one. `adapted`: with centring, where they are two."""

    backbone: str
    shots: int
    taught_in: str
    asked_in: str
    accuracy: Interval
    adapted: Interval | None


def check_domains(domains: Sequence[str]) -> None:
    """Raises EvaluationError where there are no two."""
    if len(domains) < 2:
        raise EvaluationError(f"there is only the domain {domains[0]!r}", "leave out --domains")


def across(
    backbone: str,
    material: Material,
    domains: Sequence[str],
    domain_rows: Rows,
    shots: int,
    seeds: int,
    advance: Callable[[int], None],
) -> list[Across]:
    """Every pair of domains, over seeds. Asked are inputs of the labels that the one taught in has."""
    plain: dict[tuple[int, int], list[float]] = {}
    closer: dict[tuple[int, int], list[float]] = {}
    for seed in range(seeds):
        splits = [_within(material, domain_rows == row, shots, seed) for row in range(len(domains))]
        for one, taught_in in enumerate(splits):
            engine = _engine(material, taught_in.support, material.of(taught_in.support))
            known = np.unique(material.rows[taught_in.support])
            for other, asked_in in enumerate(splits):
                queries = asked_in.queries[np.isin(material.rows[asked_in.queries], known)]
                if not len(queries):
                    continue
                plain.setdefault((one, other), []).append(_accuracy(engine, material, queries, material.of(queries)))
                if one != other:
                    adapted = _adapted(material, taught_in.support, queries)
                    closer.setdefault((one, other), []).append(adapted)
            advance(1)
    return [
        Across(
            backbone,
            shots,
            domains[one],
            domains[other],
            Interval.of(values),
            Interval.of(closer[one, other]) if (one, other) in closer else None,
        )
        for (one, other), values in sorted(plain.items())
    ]


def _within(material: Material, inside: "np.typing.NDArray[np.bool_]", shots: int, seed: int) -> Split:
    """A split of one domain's inputs, of the labels that have two or more there."""
    counts = np.bincount(material.rows[inside], minlength=len(material.labels))
    places = np.flatnonzero(inside & (counts[material.rows] > 1))
    if not len(places):
        return Split(places, places)
    _, rows = np.unique(material.rows[places], return_inverse=True)
    found = split(rows.astype(np.intp), shots, seed)
    return Split(places[found.support], places[found.queries])


def _engine(material: Material, support: Rows, vectors: Array) -> Engine:
    return taught(vectors, material.rows[support], material.labels, None)


def _adapted(material: Material, support: Rows, queries: Rows) -> float:
    """With the means of what there is: the examples of the one domain, and what is asked in the other."""
    learnt, asked = material.of(support), material.of(queries)
    here, there = ["here"] * len(learnt), ["there"] * len(asked)
    centring = Centring.of(np.concatenate([learnt, asked]), [*here, *there])
    engine = _engine(material, support, centring.apply(learnt, here))
    return _accuracy(engine, material, queries, centring.apply(asked, there))


def _accuracy(engine: Engine, material: Material, queries: Rows, vectors: Array) -> float:
    said = engine.scores(engine.head().kind, vectors).argmax(1)
    return float(
        np.mean([engine.labels[column] for column in said] == np.array(material.labels)[material.rows[queries]])
    )
