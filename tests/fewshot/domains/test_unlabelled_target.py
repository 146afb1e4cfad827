"""Tests the adaptation of one labelled domain to domains without labels, and its veto by agreement."""

from collections.abc import Sequence

import numpy as np
import pytest

from glimpse.fewshot import Examples, fit
from glimpse.fewshot.domains.domains import Coral
from glimpse.fewshot.domains.unlabelled_target import adapt_to_unlabelled, agreement
from glimpse.fewshot.examples import DomainVectors
from glimpse.fewshot.statistics.unit_vectors import Array, Rows, normalize

LABELS, D = 5, 64
RNG = np.random.default_rng(7)
CENTRES = RNG.normal(size=(LABELS, D)) / np.sqrt(D)
SHIFT = 1.5 * RNG.normal(size=D) / np.sqrt(D)


def of(rows: Sequence[int], seed: int, shift: float = 0.0) -> Array:
    noise = 0.09 * np.random.default_rng(seed).normal(size=(len(rows), D))
    return normalize((CENTRES[list(rows)] + shift * SHIFT + noise).astype(np.float32))


ROWS = np.repeat(np.arange(LABELS), 6).astype(np.intp)
EXAMPLES = of(ROWS.tolist(), 0)
SOURCE = ["photo"] * len(ROWS)
BALANCED = np.arange(60) % LABELS


def right(queries: Array, truth: Sequence[int], examples: Array = EXAMPLES) -> float:
    means = normalize(np.stack([examples[row == ROWS].mean(0) for row in range(LABELS)]))
    return float(((queries @ means.T).argmax(1) == np.array(truth)).mean())


def test_a_target_with_the_same_mix_of_labels_is_adapted_to() -> None:
    target, queries, truth = of(BALANCED.tolist(), 1, 4), of(BALANCED.tolist(), 2, 4), BALANCED.tolist()
    found, kept = adapt_to_unlabelled(EXAMPLES, ROWS, SOURCE, target, ["drawing"] * 60)
    assert found is not None
    assert kept is not None
    assert (found.name, found.count, found.kept) == ("coral", 60, True)
    direct = Coral.of(np.concatenate([EXAMPLES, target]), [*SOURCE, *["drawing"] * 60])
    assert kept.apply(queries, ["drawing"] * 60).tobytes() == direct.apply(queries, ["drawing"] * 60).tobytes()
    adapted = right(kept.apply(queries, ["drawing"] * 60), truth, kept.apply(EXAMPLES, SOURCE))
    assert adapted > right(queries, truth)


def test_a_target_of_one_label_is_vetoed() -> None:
    target = of([2] * 60, 1)
    found, kept = adapt_to_unlabelled(EXAMPLES, ROWS, SOURCE, target, ["drawing"] * 60)
    assert found is not None
    assert kept is None
    assert (found.kept, found.without) == (False, 1)
    assert found.adapted < 0.9
    # The veto is right: the label's vectors would become the mean of all labels.
    coral = Coral.of(np.concatenate([EXAMPLES, target]), [*SOURCE, *["drawing"] * 60])
    queries = of([2] * 60, 2)
    assert right(queries, [2] * 60) > 0.95
    assert right(coral.apply(queries, ["drawing"] * 60), [2] * 60, coral.apply(EXAMPLES, SOURCE)) < 0.9


@pytest.mark.parametrize(
    ("domains", "target", "names"),
    [
        (SOURCE, 9, ["drawing"] * 9),  # too few
        (SOURCE, 60, ["photo"] * 60),  # the domain of the examples
        (SOURCE, 60, [""] * 60),
        ([""] * len(ROWS), 60, ["drawing"] * 60),
        (["photo", "scan"] * (len(ROWS) // 2), 60, ["drawing"] * 60),  # leave-one-domain-out decides
    ],
)
def test_without_one_labelled_and_another_domain_nothing_is_adapted(
    domains: Sequence[str], target: int, names: Sequence[str]
) -> None:
    assert adapt_to_unlabelled(EXAMPLES, ROWS, domains, of([0] * target, 1, 1), names) == (None, None)


def test_one_example_a_label_cannot_be_compared_and_is_adapted() -> None:
    first = [int(np.flatnonzero(row == ROWS)[0]) for row in range(LABELS)]
    target = of(BALANCED.tolist(), 1, 1)
    found, kept = adapt_to_unlabelled(EXAMPLES[first], ROWS[first], SOURCE[:LABELS], target, ["drawing"] * 60)
    assert found is None
    assert isinstance(kept, Coral)


def test_agreement_is_that_of_all_halves() -> None:
    assert agreement(EXAMPLES, ROWS, EXAMPLES).tolist() == [1.0] * len(ROWS)
    between = normalize(((CENTRES[0] + CENTRES[1])[None] + np.zeros((1, D))).astype(np.float32))
    assert 0 < agreement(EXAMPLES, ROWS, between)[0] < 1
    assert agreement(EXAMPLES, ROWS, between) == agreement(EXAMPLES, ROWS, between)
    single = np.array([0, 1], np.intp)  # one example is in both halves
    assert agreement(EXAMPLES[[0, 6]], single, EXAMPLES).tolist() == [1.0] * len(ROWS)


@pytest.mark.parametrize("allowed", [False, True])
def test_a_fit_adapts_to_unlabelled_domains_only_if_allowed(allowed: bool) -> None:
    target = DomainVectors(of(BALANCED.tolist(), 1, 1), ["drawing"] * 60)
    names: list[str] = [f"l{row}" for row in range(LABELS)]
    rows: Rows = ROWS
    examples = Examples(EXAMPLES, rows, names, domains=SOURCE, unlabeled=target, adapt_to_unlabeled=allowed)
    fitted = fit(examples)
    assert (fitted.adaptation is not None) is allowed
    assert (fitted.agreement is not None) is allowed
    assert fitted.adaptation_trials == ()
