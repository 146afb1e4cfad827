"""Metrics that are updated by events. Metrics of the current state are collected on request: monitoring/collector.py.

No label has a value that a caller can invent: unknown methods count as one method, and collections are existing ones.
"""

import functools

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # would double the number of series
registry = CollectorRegistry()
ProcessCollector(registry=registry)

requests = Counter(
    "glimpse_requests",
    "Calls that ended, by method, status code and reason (docs/errors.md; empty: none).",
    ("rpc", "code", "reason"),
    registry=registry,
)
request_seconds = Histogram(
    "glimpse_request_seconds",
    "Seconds from a call's message to its answer; of a stream, until its end.",
    ("rpc",),
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    registry=registry,
)
# Every call needs these two. No label has many values, so the caches stay small, and they take a tenth of the time that
# `labels` takes.
requests_of = functools.cache(requests.labels)
request_seconds_of = functools.cache(request_seconds.labels)
stage_seconds = Histogram(
    "glimpse_stage_seconds",
    "Seconds of one input in decode, queue and encode; of one call in head and commit.",
    ("stage",),
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    registry=registry,
)
batch_size = Histogram(
    "glimpse_batch_size",
    "Inputs in one run of a backbone.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    registry=registry,
)
inputs_rejected = Counter(
    "glimpse_inputs_rejected",
    "Inputs that were refused in the answer of a call that was not, by reason (docs/errors.md).",
    ("reason",),
    registry=registry,
)
review_kept = Counter(
    "glimpse_review_kept",
    "Queries kept for review: as a new item, as one more of an item, or in the sample of queries.",
    ("kind",),
    registry=registry,
)
review_dropped = Counter(
    "glimpse_review_dropped",
    "Queries that a review policy would keep and that were not kept, by reason.",
    ("reason",),
    registry=registry,
)
