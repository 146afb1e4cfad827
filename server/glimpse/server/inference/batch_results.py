"""Builds one result per input, in order: values for the embedded inputs, a status for the others."""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.server.errors import RequestError, item_status
from glimpse.server.inference.embedder import Embedded
from glimpse.v1 import types_pb2

Outcome = Embedded | RequestError
M = TypeVar("M")


def add_results(add: Callable[..., M], inputs: Sequence[types_pb2.Input], outcomes: Sequence[Outcome]) -> list[M]:
    """Adds a result for each input to a response, in order; that of a failed input has its status.

    Args:
        add: Adds a result with some fields to the response, and returns it.
        inputs: All inputs.
        outcomes: The embedded input or the error of each input.

    Returns:
        The results of the embedded inputs, to be filled in.
    """
    results = []
    for item, outcome in zip(inputs, outcomes, strict=True):
        if isinstance(outcome, RequestError):
            add(id=item.id, status=item_status(outcome))
        else:
            results.append(add(id=item.id, truncated=outcome.truncated))
    return results


def set_timings(results: Sequence[Any], outcomes: Sequence[Outcome], started: float, head_seconds: float = 0.0) -> None:
    """Sets the timings of results.

    Args:
        results: The results of the embedded inputs, as `add_results` returns them.
        outcomes: The embedded input or the error of each input.
        started: Start of the call, in time.monotonic() seconds.
        head_seconds: Time after the embedding.
    """
    head_ms, total_ms = head_seconds * 1e3, (time.monotonic() - started) * 1e3
    embedded = (outcome for outcome in outcomes if isinstance(outcome, Embedded))
    for result, outcome in zip(results, embedded, strict=True):
        timings: types_pb2.Timings = result.timings
        timings.CopyFrom(outcome.timings)
        timings.head_ms, timings.total_ms = head_ms, total_ms


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
    # Faster than np.stack, which makes a view of each row first.
    return np.concatenate(vectors).reshape(-1, dimension) if vectors else np.empty((0, dimension), np.float32)
