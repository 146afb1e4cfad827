"""One result an input, in order: what was found for the good ones, the status of the others."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.server.errors import RequestError, item_status
from glimpse.server.inference.embedder import Embedded
from glimpse.v1 import types_pb2

Outcome = Embedded | RequestError
M = TypeVar("M")


def build_results(
    kind: Callable[..., M],
    inputs: Sequence[types_pb2.Input],
    outcomes: Sequence[Outcome],
    found: Iterable[dict[str, Any]],
    started: float,
    head_seconds: float = 0.0,
) -> list[M]:
    """Results of message `kind`; `found` has the fields of each good input's result, in order."""
    found = iter(found)
    results = []
    for item, outcome in zip(inputs, outcomes, strict=True):
        if isinstance(outcome, RequestError):
            results.append(kind(id=item.id, status=item_status(outcome)))
            continue
        timings = outcome.timings
        timings.head_ms = head_seconds * 1e3
        timings.total_ms = (time.monotonic() - started) * 1e3
        results.append(kind(id=item.id, truncated=outcome.truncated, timings=timings, **next(found)))
    return results


def good_vectors(outcomes: Sequence[Outcome], dimension: int) -> Array:
    """The vectors of the good ones as rows: (n, d)."""
    vectors = [outcome.vector for outcome in outcomes if isinstance(outcome, Embedded)]
    if len(vectors) == 1:
        return vectors[0][None]  # as most calls: nothing to copy
    return np.stack(vectors) if vectors else np.empty((0, dimension), np.float32)
