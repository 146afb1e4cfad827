"""Builds one result per input, in order: values for the embedded inputs, a status for the others."""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from glimpse.fewshot import Prediction
from glimpse.fewshot.statistics.unit_vectors import Array, Rows
from glimpse.server.errors import RequestError, item_status
from glimpse.server.inference.embedder import Embedded
from glimpse.server.inference.views import kind_of
from glimpse.server.proto_enums import DECISIONS
from glimpse.v1 import classification_service_pb2 as pb
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
    """Returns `image`, `text` or `vector` for each embedded input, and then for each of their views."""
    pairs = [(item, outcome) for item, outcome in zip(inputs, outcomes, strict=True) if isinstance(outcome, Embedded)]
    views = [view for item, outcome in pairs if outcome.views for view in item.views.inputs]
    return [kind_of(item) for item in (*(item for item, _ in pairs), *views)]


def unknown_tokens(outcomes: Sequence[Outcome]) -> list[float]:
    """Returns the part of unknown tokens of each embedded input, and then of each of their views.

    It is 0 for images and vectors.
    """
    embedded = [outcome for outcome in outcomes if isinstance(outcome, Embedded)]
    return [one.unknown_tokens for one in (*embedded, *(view for outcome in embedded for view in outcome.views))]


def things_of_views(outcomes: Sequence[Outcome]) -> Rows | None:
    """Returns for each view of the embedded inputs the position of its input among them, (m,); None without views."""
    embedded = [outcome for outcome in outcomes if isinstance(outcome, Embedded)]
    if not any(outcome.views for outcome in embedded):
        return None
    return np.repeat(np.arange(len(embedded)), [len(outcome.views) for outcome in embedded])


def vectors_with_views(outcomes: Sequence[Outcome], dimension: int) -> Array:
    """Returns the vectors of the embedded inputs as rows, and then those of their views, (n + m, d)."""
    views = [view for outcome in outcomes if isinstance(outcome, Embedded) for view in outcome.views]
    return good_vectors([*outcomes, *views] if views else outcomes, dimension)


def add_views(messages: Sequence[pb.Classification], predictions: Sequence[Prediction], things: Rows) -> None:
    """Adds the views' own answers to the classifications of their things, and the part of the views that dissents.

    Args:
        messages: The classifications of n embedded inputs.
        predictions: Predictions of the inputs, and then of their m views.
        things: For each view the position of its input, (m,).
    """
    for thing, prediction in zip(things.tolist(), predictions[len(messages) :], strict=True):
        messages[thing].views.add(
            decision=DECISIONS[prediction.decision],
            label_id=prediction.labels[0] if prediction.labels else "",
            probability=prediction.probabilities[0] if prediction.labels else 0.0,
            similarity=prediction.similarity,
        )
    for message in messages:
        if message.views:
            message.dissent = float(np.mean([view.label_id != message.label_id for view in message.views]))


def good_vectors(outcomes: Sequence[Outcome], dimension: int) -> Array:
    """Returns the vectors of the embedded inputs as rows, (n, d)."""
    vectors = [outcome.vector for outcome in outcomes if isinstance(outcome, Embedded)]
    if len(vectors) == 1:
        return vectors[0][None]  # the usual call: no copy
    # Faster than np.stack, which makes a view of each row first.
    return np.concatenate(vectors).reshape(-1, dimension) if vectors else np.empty((0, dimension), np.float32)
