"""Tests trials: in the span of the examples they answer as in all dimensions, and several run side by side."""

import threading
from dataclasses import fields

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from glimpse.evaluate.data.splits import Split
from glimpse.evaluate.trials import parallel, span
from glimpse.evaluate.trials.parallel import run_parallel
from glimpse.evaluate.trials.span import Span
from glimpse.evaluate.trials.trial import Contender, EmbeddedDataset, QueryPredictions, may_project, run
from glimpse.fewshot import DecisionSettings, HeadKind, Policy
from glimpse.fewshot.decision import EXAMPLE_SCALE
from glimpse.fewshot.statistics.unit_vectors import normalize

DIMENSION, LABELS = 160, 5


def dataset(*, groups: bool = False) -> EmbeddedDataset:
    """Returns 40 inputs of each label, 30 unknown inputs, and texts."""
    rng = np.random.default_rng(3)
    rows = np.arange(200) % LABELS
    centers = rng.normal(size=(LABELS, DIMENSION))
    known = centers[rows] + 1.5 * rng.normal(size=(200, DIMENSION))
    vectors = normalize(np.concatenate([known, rng.normal(size=(30, DIMENSION))]).astype(np.float32))
    texts = normalize((centers + rng.normal(size=centers.shape) + 2).astype(np.float32))
    return EmbeddedDataset(
        vectors,
        np.arange(200),
        rows,
        [f"label {row}" for row in range(LABELS)],
        np.arange(200, 230),
        texts,
        DecisionSettings(Policy(), EXAMPLE_SCALE),
        np.arange(200) // 10 if groups else None,
    )


@pytest.mark.parametrize(
    ("shots", "contender", "groups"),
    [
        (1, Contender(None), False),
        (3, Contender(None), False),
        (8, Contender(None), False),
        (16, Contender(HeadKind.KERNEL_RIDGE), False),
        (16, Contender(HeadKind.LDA), True),
        (1, Contender(None, text=True), False),
        (8, Contender(None, text=True), False),
        (8, Contender(HeadKind.NEIGHBORS), False),
    ],
)
def test_a_trial_in_the_span_of_its_examples_equals_one_in_all_dimensions(
    shots: int, contender: Contender, groups: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = dataset(groups=groups)
    split = Split(np.arange(shots * LABELS), np.arange(100, 200))
    assert Span.of(data.of(split.support)).basis is not None
    found = run(data, contender, split)
    monkeypatch.setattr(span, "_MOST", 0.0)
    assert Span.of(data.of(split.support)).basis is None
    wanted = run(data, contender, split)
    assert (found.head, found.calibrated, found.by_fit) == (wanted.head, wanted.calibrated, wanted.by_fit)
    assert found.left_out == pytest.approx(wanted.left_out, nan_ok=True)
    for one, other in ((found.queries, wanted.queries), (found.unknown, wanted.unknown)):
        assert one is not None
        for field in fields(QueryPredictions):
            error = f"{field.name} differs"
            np.testing.assert_allclose(getattr(one, field.name), getattr(other, field.name), 2e-4, 2e-4, err_msg=error)


def test_coordinates_keep_lengths_and_products_with_the_span() -> None:
    vectors = dataset().vectors
    examples = np.concatenate([vectors[:20], vectors[:3]])  # copies, so the span has fewer dimensions than vectors
    reduced = Span.of(examples)
    inside, outside = reduced.coordinates(examples), reduced.coordinates(vectors[20:])
    assert inside.shape == (23, 24)
    np.testing.assert_allclose(outside @ inside.T, vectors[20:] @ examples.T, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(outside, axis=1), 1, atol=1e-6)
    assert not inside[:, -1].any()


@pytest.mark.parametrize(
    ("shots", "head", "whole"),
    [(8, None, False), (30, None, True), (8, HeadKind.PROJECTED_RIDGE, True), (30, HeadKind.LDA, False)],
)
def test_a_trial_that_may_project_keeps_all_dimensions(shots: int, head: HeadKind | None, whole: bool) -> None:
    assert may_project(head, np.arange(shots * LABELS) % LABELS) is whole


def test_trials_side_by_side_keep_their_order_and_divide_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "cores", lambda: 2)

    def work(item: int) -> tuple[int, int, str]:
        most = max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return item, most, threading.current_thread().name

    results = list(run_parallel(work, range(20)))
    assert [item for item, _, _ in results] == list(range(20))
    assert {most for _, most, _ in results} == {1}
    assert [most for _, most, _ in run_parallel(work, [0])] == [2]
    assert list(run_parallel(work, [])) == []
    assert threading.current_thread().name not in {name for _, _, name in results}


def test_an_error_in_a_trial_ends_the_others() -> None:
    begun: list[int] = []
    failed = threading.Event()

    def work(item: int) -> int:
        begun.append(item)
        if item:
            failed.wait(5)
        return 1 // item

    def read() -> None:
        try:
            list(run_parallel(work, range(1_000)))
        finally:
            failed.set()

    with pytest.raises(ZeroDivisionError):
        read()
    assert len(begun) < 1_000
