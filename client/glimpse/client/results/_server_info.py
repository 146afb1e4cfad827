"""The state of a server, as GetServerInfo returns it."""

from dataclasses import dataclass

from glimpse.client.requests._enums import Decision
from glimpse.client.transport._steps import Unary
from glimpse.v1 import server_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class BackboneState:
    """The state of a loaded backbone.

    Attributes:
        name: Full name of the backbone.
        providers: ONNX Runtime providers that it runs on, best first.
        queue_depth: Number of admitted inputs that have no vector yet.
        max_batch: Largest number of inputs in one run.
        mean_batch: Mean number of inputs in a run during the last minute. 0: there was no run.
    """

    name: str
    providers: tuple[str, ...]
    queue_depth: int
    max_batch: int
    mean_batch: float


@dataclass(frozen=True, slots=True)
class CallFigures:
    """The figures of one method.

    The rate and the latencies cover the last 1,000 calls of the last minute; they are 0 if there was none.

    Attributes:
        rpc: The method, as `Service/Method`.
        count: Number of calls that ended since the server started.
        failed: Number of these calls that ended with an error.
        per_second: Calls per second.
        p50_ms: Median latency, in milliseconds.
        p99_ms: 99th percentile of the latency, in milliseconds.
    """

    rpc: str
    count: int
    failed: int
    per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class StageFigures:
    """The time that inputs or calls spent in one stage during the last minute.

    Attributes:
        stage: `decode`, `queue`, `encode`, `head` or `commit`.
        p50_ms: Median time, in milliseconds.
        p99_ms: 99th percentile of the time, in milliseconds.
    """

    stage: str
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class CollectionFigures:
    """The figures of one collection since the server started.

    Attributes:
        name: Full name of the collection.
        decisions: Number of inputs by decision.
        drift: How much farther recent queries are from examples than examples are from each other, in standard
            deviations. About 0 is normal. None: there are fewer than 50 queries or 10 examples.
    """

    name: str
    decisions: dict[Decision, int]
    drift: float | None

    @property
    def unknown_rate(self) -> float | None:
        """The share of classified inputs that were UNKNOWN. None: no input was classified."""
        return _unknown_rate(self.decisions)


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """The state of a server.

    Attributes:
        versions: Versions of the software, by name.
        limits: Limits of the server, by name, for example `max_message_bytes`.
        providers: ONNX Runtime providers available on the machine, best first.
        backbones: The loaded backbones, ordered by name.
        collection_count: Number of collections that the caller may read.
        ledger_kind: `sqlite` or `postgresql`.
        revision: Revision of the ledger that the server answers with.
        head: Last revision of the ledger that the server knows of.
        uptime_seconds: Seconds since the server started.
        ready: Whether every backbone is warm.
        draining: Whether the server is shutting down.
        memory_bytes: Resident memory of the process, in bytes. 0: unknown.
        in_flight: Number of calls that have not ended, including this one.
        calls: Figures of each method that was called.
        decisions: Number of inputs by decision, over all collections.
        seconds_since_reached: Seconds since the server last read the ledger. None: unknown.
        caller_limits: Rate limits of the caller, by name. Only limits that are set.
        stages: Figures of each stage.
        collections: Figures of each collection that was queried.
    """

    versions: dict[str, str]
    limits: dict[str, float]
    providers: tuple[str, ...]
    backbones: tuple[BackboneState, ...]
    collection_count: int
    ledger_kind: str
    revision: int
    head: int
    uptime_seconds: float
    ready: bool
    draining: bool
    memory_bytes: int
    in_flight: int
    calls: tuple[CallFigures, ...]
    decisions: dict[Decision, int]
    seconds_since_reached: float | None
    caller_limits: dict[str, float]
    stages: tuple[StageFigures, ...]
    collections: tuple[CollectionFigures, ...]

    @property
    def unknown_rate(self) -> float | None:
        """The share of classified inputs that were UNKNOWN. None: no input was classified."""
        return _unknown_rate(self.decisions)


def _unknown_rate(decisions: dict[Decision, int]) -> float | None:
    count = sum(decisions.values())
    return decisions[Decision.UNKNOWN] / count if count else None


def server_info() -> Unary[ServerInfo]:
    """Builds the request of GetServerInfo."""
    return Unary("server.GetServerInfo", pb.GetServerInfoRequest(), _parse)


def _parse(message: pb.GetServerInfoResponse) -> ServerInfo:
    ledger = message.ledger
    return ServerInfo(
        versions={field.name: getattr(message.versions, field.name) for field in pb.Versions.DESCRIPTOR.fields},
        limits={field.name: getattr(message.limits, field.name) for field in pb.Limits.DESCRIPTOR.fields},
        providers=tuple(message.providers),
        backbones=tuple(
            BackboneState(state.name, tuple(state.providers), state.queue_depth, state.max_batch, state.mean_batch)
            for state in message.backbones
        ),
        collection_count=message.collection_count,
        ledger_kind=ledger.kind,
        revision=ledger.revision,
        head=ledger.head,
        uptime_seconds=message.uptime_seconds,
        ready=message.ready,
        draining=message.draining,
        memory_bytes=message.memory_bytes,
        in_flight=message.in_flight,
        calls=tuple(
            CallFigures(call.rpc, call.count, call.failed, call.per_second, call.p50_ms, call.p99_ms)
            for call in message.calls
        ),
        decisions=_decisions(message.decisions),
        seconds_since_reached=ledger.seconds_since_reached if ledger.HasField("seconds_since_reached") else None,
        caller_limits={field.name: value for field, value in message.caller_limits.ListFields()},
        stages=tuple(StageFigures(stage.stage, stage.p50_ms, stage.p99_ms) for stage in message.stages),
        collections=tuple(_collection(figures) for figures in message.collections),
    )


def _collection(message: pb.CollectionFigures) -> CollectionFigures:
    drift = message.drift if message.HasField("drift") else None
    return CollectionFigures(message.name, _decisions(message.decisions), drift)


def _decisions(message: pb.DecisionFigures) -> dict[Decision, int]:
    return {
        Decision.MATCH: message.match,
        Decision.UNKNOWN: message.unknown,
        Decision.AMBIGUOUS: message.ambiguous,
    }
