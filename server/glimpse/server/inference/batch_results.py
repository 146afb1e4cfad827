"""Builds one result per input, in order: values for the embedded inputs, a status for the others."""

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
    values: Iterable[dict[str, Any]],
    started: float,
    head_seconds: float = 0.0,
) -> list[M]:
    """Builds the results of a call.

    Args:
        kind: Message of a result.
        inputs: All inputs.
        outcomes: The embedded input or the error of each input.
        values: Further fields of the results of the embedded inputs, in order.
        started: Start of the call, in time.monotonic() seconds.
        head_seconds: Time after the embedding.
    """
    values = iter(values)
    results = []
    for item, outcome in zip(inputs, outcomes, strict=True):
        if isinstance(outcome, RequestError):
            results.append(kind(id=item.id, status=item_status(outcome)))
            continue
        timings = outcome.timings
        timings.head_ms = head_seconds * 1e3
        timings.total_ms = (time.monotonic() - started) * 1e3
        results.append(kind(id=item.id, truncated=outcome.truncated, timings=timings, **next(values)))
    return results


def good_kinds(inputs: Sequence[types_pb2.Input], outcomes: Sequence[Outcome]) -> list[str]:
    """Returns `image`, `text` or `vector` for each embedded input."""
    pairs = zip(inputs, outcomes, strict=True)
    return [item.WhichOneof("content") or "vector" for item, outcome in pairs if isinstance(outcome, Embedded)]


def unknown_tokens(outcomes: Sequence[Outcome]) -> list[float]:
    """Returns the part of unknown tokens of each embedded input; 0 for images and vectors."""
    return [outcome.unknown_tokens for outcome in outcomes if isinstance(outcome, Embedded)]


def good_vectors(outcomes: Sequence[Outcome], dimension: int) -> Array:
    """Returns the vectors of the embedded inputs as rows, (n, d)."""
    vectors = [outcome.vector for outcome in outcomes if isinstance(outcome, Embedded)]
    if len(vectors) == 1:
        return vectors[0][None]  # the usual call: no copy
    return np.stack(vectors) if vectors else np.empty((0, dimension), np.float32)
