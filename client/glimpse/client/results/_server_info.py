"""What a server says of itself: GetServerInfo as the client's types."""

from dataclasses import dataclass

from glimpse.client.requests._enums import Decision
from glimpse.client.transport._steps import Unary
from glimpse.v1 import server_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class BackboneState:
    """A loaded backbone at work. `queue_depth`: inputs admitted and without a vector yet.

    `mean_batch`: inputs in one run of late; 0: there was none.
    """

    name: str
    providers: tuple[str, ...]
    queue_depth: int
    max_batch: int
    mean_batch: float


@dataclass(frozen=True, slots=True)
class CallFigures:
    """The calls of one method, `Service/Method`: all since the start; rate and latency of those of late.

    Where `per_second` is 0 there was none of late, and the latencies are 0 too.
    """

    rpc: str
    count: int
    failed: int
    per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class StageFigures:
    """What inputs, or calls, of late spent in a stage: `decode`, `queue`, `encode`, `head` or `commit`."""

    stage: str
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class CollectionFigures:
    """What a collection said since the server started. `drift`: see the contract; None: too few queries to tell."""

    name: str
    decisions: dict[Decision, int]
    drift: float | None

    @property
    def unknown_rate(self) -> float | None:
        """The part of the inputs classified that were UNKNOWN. None: there were none."""
        return _unknown_rate(self.decisions)


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server is and how it is doing; the fields are the contract's.

    `versions`, `limits` and `caller_limits` by name; of the last, those there are. `ledger_kind`: sqlite or postgresql.
    `revision`: the last that is answered by; `head`: the last there is, as far as the server knows.
    `seconds_since_reached`: since it read the ledger; None: it does not tell. `collections`: those that were asked.
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
        """The part of the inputs classified that were UNKNOWN. None: there were none."""
        return _unknown_rate(self.decisions)


def _unknown_rate(decisions: dict[Decision, int]) -> float | None:
    count = sum(decisions.values())
    return decisions[Decision.UNKNOWN] / count if count else None


def server_info() -> Unary[ServerInfo]:
    """GetServerInfo."""
    return Unary("server.GetServerInfo", pb.GetServerInfoRequest(), _parse)


def _parse(message: pb.GetServerInfoResponse) -> ServerInfo:
    ledger = message.ledger
    return ServerInfo(
        versions={field.name: getattr(message.versions, field.name) for field in pb.Versions.DESCRIPTOR.fields},
        limits={field.name: getattr(message.limits, field.name) for field in pb.Limits.DESCRIPTOR.fields},
        providers=tuple(message.providers),
        backbones=tuple(
            BackboneState(one.name, tuple(one.providers), one.queue_depth, one.max_batch, one.mean_batch)
            for one in message.backbones
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
            CallFigures(one.rpc, one.count, one.failed, one.per_second, one.p50_ms, one.p99_ms) for one in message.calls
        ),
        decisions=_decisions(message.decisions),
        seconds_since_reached=ledger.seconds_since_reached if ledger.HasField("seconds_since_reached") else None,
        caller_limits={field.name: value for field, value in message.caller_limits.ListFields()},
        stages=tuple(StageFigures(one.stage, one.p50_ms, one.p99_ms) for one in message.stages),
        collections=tuple(_collection(one) for one in message.collections),
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
