"""ServerService: reports versions, limits, state and figures of the server."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnxruntime

from glimpse.fewshot import Decision
from glimpse.server.api.handlers import Context, unary
from glimpse.server.auth.caller import current_caller
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.drift import Tally, similarity
from glimpse.server.inference.backbones import LoadedBackbone
from glimpse.server.monitoring.collector import ledger_kind, queried_collections
from glimpse.server.resource_names import collection_name
from glimpse.server.runtime import Runtime
from glimpse.server.telemetry import stage_timer
from glimpse.server.telemetry.latency_stats import MethodFigures
from glimpse.server.telemetry.versions import versions
from glimpse.v1 import server_service_pb2 as pb
from glimpse.v1 import server_service_pb2_grpc

# The most collections in the response of GetCaller: under a megabyte.
_MAX_COLLECTIONS = 10_000
_LIMITS = [field.name for field in pb.Limits.DESCRIPTOR.fields]


class ServerService(server_service_pb2_grpc.ServerServiceServicer):
    """Collects the response from the parts of the server."""

    #: Answer while the server stops; see handlers.unary.
    at_the_end = True

    def __init__(self, runtime: Runtime) -> None:
        """Reports on the parts of `runtime`."""
        self.runtime = runtime
        self.settings = runtime.settings

    @unary
    async def GetServerInfo(self, request: pb.GetServerInfoRequest, context: Context) -> pb.GetServerInfoResponse:
        """Returns the state of the server; the figures of collections are limited to those that the caller may read."""
        runtime, catalog, may = self.runtime, self.runtime.catalog, current_caller().may
        decisions = _decisions(runtime)
        return pb.GetServerInfoResponse(
            versions=pb.Versions(**versions()),
            limits=pb.Limits(**{name: getattr(runtime.settings, name) for name in _LIMITS}),
            providers=onnxruntime.get_available_providers(),
            backbones=[_backbone(backbone) for backbone in runtime.backbones],
            collection_count=sum(may(view.record.id) for view in catalog),
            ledger=pb.LedgerState(
                kind=ledger_kind(runtime),
                revision=catalog.follower.revision,
                head=catalog.follower.head,
                seconds_since_reached=catalog.follower.health.seconds_since_read,
            ),
            uptime_seconds=time.monotonic() - runtime.calls.started,
            ready=runtime.inflight.ready,
            draining=runtime.inflight.stopping.is_set(),
            memory_bytes=_memory(),
            in_flight=runtime.calls.in_flight,
            calls=[_figures(rpc, figures) for rpc, figures in sorted(runtime.calls.methods.items())],
            decisions=_decision_figures(decisions),
            caller_limits=_caller_limits(),
            stages=_stages(),
            collections=[
                _collection(view, tally) for view, tally in queried_collections(runtime) if may(view.record.id)
            ],
        )

    @unary
    async def GetCaller(self, request: pb.GetCallerRequest, context: Context) -> pb.GetCallerResponse:
        """Returns the caller's name and scopes. The scopes' numbers are those of the contract."""
        caller = current_caller()
        general, scopes = caller.general_scope, list[pb.CollectionScope]()
        for view in self.runtime.catalog:
            if (scope := caller.scope_for(view.record.id)) > general:
                scopes.append(pb.CollectionScope(name=collection_name(view.record.id), scope=scope))  # type: ignore[arg-type]
            if len(scopes) == _MAX_COLLECTIONS:
                break
        return pb.GetCallerResponse(name=caller.name, scope=general, collections=scopes)  # type: ignore[arg-type]


def _decisions(runtime: Runtime) -> Mapping[Decision, int]:
    """Returns the number of each decision on the collections that the caller may read.

    A caller that may read all collections also gets the decisions on deleted collections, and on those that share one
    tally.
    """
    caller = current_caller()
    if caller.everywhere:
        return runtime.query_stats.total.decisions
    readable = [tally.decisions for view, tally in runtime.query_stats if caller.may(view.record.id)]
    return {decision: sum(decisions[decision] for decisions in readable) for decision in Decision}


def _decision_figures(decisions: Mapping[Decision, int]) -> pb.DecisionFigures:
    return pb.DecisionFigures(**{decision.value: decisions[decision] for decision in Decision})


def _caller_limits() -> pb.CallerLimits | None:
    rate_limiter = current_caller().rate_limiter
    limits = asdict(rate_limiter.limits) if rate_limiter else {}
    return pb.CallerLimits(**limits) if any(limits.values()) else None


def _stages() -> list[pb.StageFigures]:
    figures = [(stage, recent.percentiles()) for stage, recent in stage_timer.recent.items() if len(recent.values())]
    return [pb.StageFigures(stage=stage, p50_ms=p50 * 1e3, p99_ms=p99 * 1e3) for stage, (p50, p99) in figures]


def _collection(view: CollectionView, tally: Tally) -> pb.CollectionFigures:
    query_similarity = similarity(view, tally)
    return pb.CollectionFigures(
        name=collection_name(view.record.id),
        decisions=_decision_figures(tally.decisions),
        drift=query_similarity.drift if query_similarity else None,
    )


def _backbone(backbone: LoadedBackbone) -> pb.BackboneState:
    runs = np.concatenate([batcher.runs.values() for batcher in (backbone.images, backbone.texts)])
    return pb.BackboneState(
        name=backbone.name,
        providers=backbone.encoder.providers,
        queue_depth=backbone.images.depth + backbone.texts.depth,
        max_batch=backbone.images.max_batch,
        mean_batch=float(runs.mean()) if len(runs) else 0.0,
    )


def _figures(rpc: str, figures: MethodFigures) -> pb.CallFigures:
    p50, p99 = figures.recent.percentiles()
    return pb.CallFigures(
        rpc=rpc,
        count=figures.count,
        failed=figures.failed,
        per_second=figures.recent.per_second(),
        p50_ms=p50 * 1e3,
        p99_ms=p99 * 1e3,
    )


def _memory() -> int:
    """Returns the resident memory of the process in bytes; 0 if there is no /proc."""
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS:")), 0)
