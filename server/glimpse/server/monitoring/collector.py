"""Metrics that are collected on request: queues, the ledger, and the decisions of collections."""

import time
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.drift import Tally, similarity
from glimpse.server.runtime import Runtime
from glimpse.server.telemetry.versions import versions

#: Label of the collections that are not counted one by one; no collection can have this id.
OTHERS = "(others)"


class StateCollector(Collector):
    """Collects the metrics in the thread of the metrics endpoint, while the event loop may change their values."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        """Yields every metric."""
        runtime = self._runtime
        yield _gauge("build_info", "Always 1; the labels are versions.", 1, versions())
        ready = runtime.inflight.ready and not runtime.inflight.stopping.is_set()
        yield _gauge("ready", "1 when every backbone is warm and the server is not stopping.", ready)
        yield _gauge("uptime_seconds", "Seconds since the server started.", time.monotonic() - runtime.calls.started)
        yield _gauge("requests_in_flight", "Calls that have not ended.", runtime.calls.in_flight)
        yield _gauge("collections", "Number of collections.", len(list(runtime.catalog)))
        yield self._queues()
        yield _gauge(
            "ledger_revision",
            "Ledger revision that this server answers with.",
            runtime.catalog.follower.revision,
        )
        yield _gauge(
            "ledger_head", "Last revision of the ledger that this server knows of.", runtime.catalog.follower.head
        )
        yield _gauge(
            "ledger_seconds_since_reached",
            "Seconds since this server last read the ledger, which it does every second.",
            runtime.catalog.follower.health.seconds_since_read,
        )
        usage = runtime.review.usage
        yield _gauge("review_items", "Queries kept for review in the ledger, read every half minute.", usage.items)
        yield _gauge("review_bytes", "Bytes of their inputs and vectors.", sum(list(usage.bytes.values())))
        yield self._decisions()
        yield from self._similarities()

    def _queues(self) -> Metric:
        depth = GaugeMetricFamily(
            "glimpse_queue_depth", "Inputs admitted and without a vector yet.", labels=("backbone", "modality")
        )
        for backbone in self._runtime.backbones:
            for modality, batcher in (("image", backbone.images), ("text", backbone.texts)):
                if modality in backbone.manifest.modalities:
                    depth.add_metric((backbone.manifest.name, modality), batcher.depth)
        return depth

    def _decisions(self) -> Metric:
        counter = CounterMetricFamily(
            "glimpse_decisions", "Inputs classified, by collection and decision.", labels=("collection", "decision")
        )
        named = [(view.record.id, tally) for view, tally in queried_collections(self._runtime)]
        for name, tally in (*named, (OTHERS, self._runtime.query_stats.others)):
            for decision, count in tally.decisions.items():
                counter.add_metric((name, decision.name), count)
        return counter

    def _similarities(self) -> Iterator[Metric]:
        queries, examples, drift = (
            GaugeMetricFamily(f"glimpse_{name}", meaning, labels=("collection",))
            for name, meaning in (
                ("query_similarity", "Mean cosine of about 1,000 recent queries to their nearest example."),
                ("example_similarity", "Mean cosine of each example to the nearest other one, at the last fit."),
                ("drift", "example_similarity minus query_similarity, in standard deviations of the former."),
            )
        )
        for view, tally in queried_collections(self._runtime):
            if (mean := similarity(view, tally)) is not None:
                queries.add_metric((view.record.id,), mean.queries)
                examples.add_metric((view.record.id,), mean.examples)
                drift.add_metric((view.record.id,), mean.drift)
        yield from (queries, examples, drift)


def queried_collections(runtime: Runtime) -> list[tuple[CollectionView, Tally]]:
    """Returns the existing collections that were queried, with their tallies."""
    current = {view.record.id: view for view in runtime.catalog}
    return [(view, tally) for view, tally in runtime.query_stats if current.get(view.record.id) is view]


def ledger_kind(runtime: Runtime) -> str:
    """Returns the kind of the ledger's database: `sqlite` or `postgresql`."""
    return runtime.settings.ledger_url.partition(":")[0].partition("+")[0]  # of dialect+driver://…


def _gauge(name: str, meaning: str, value: float, labels: dict[str, str] | None = None) -> Metric:
    gauge = GaugeMetricFamily(f"glimpse_{name}", meaning, labels=tuple(labels or ()))
    gauge.add_metric(tuple((labels or {}).values()), value)
    return gauge
