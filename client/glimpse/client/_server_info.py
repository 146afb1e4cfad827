"""What a server says of itself: GetServerInfo as the client's types."""

from dataclasses import dataclass

from glimpse.client._enums import Decision
from glimpse.client._exchange import Unary
from glimpse.v1 import server_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class BackboneState:
    """A loaded backbone at work. `queue_depth`: inputs admitted and without a vector yet."""

    name: str
    providers: tuple[str, ...]
    queue_depth: int
    max_batch: int


@dataclass(frozen=True, slots=True)
class CallFigures:
    """The calls of one method, `Service/Method`: all since the start; rate and latency of those of late."""

    rpc: str
    count: int
    failed: int
    per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server is and how it is doing; the fields are the contract's.

    `versions` and `limits` by name. `ledger_kind`: sqlite or postgresql. `revision`: the last that is answered by;
    `head`: the last there is, as far as the server knows.
    """

    versions: dict[str, str]
    limits: dict[str, int]
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

    @property
    def unknown_rate(self) -> float | None:
        """The part of the inputs classified that were UNKNOWN. None: there were none."""
        count = sum(self.decisions.values())
        return self.decisions[Decision.UNKNOWN] / count if count else None


def server_info() -> Unary[ServerInfo]:
    """GetServerInfo."""
    return Unary("server.GetServerInfo", pb.GetServerInfoRequest(), _parse)


def _parse(message: pb.GetServerInfoResponse) -> ServerInfo:
    return ServerInfo(
        versions={field.name: getattr(message.versions, field.name) for field in pb.Versions.DESCRIPTOR.fields},
        limits={field.name: getattr(message.limits, field.name) for field in pb.Limits.DESCRIPTOR.fields},
        providers=tuple(message.providers),
        backbones=tuple(
            BackboneState(one.name, tuple(one.providers), one.queue_depth, one.max_batch) for one in message.backbones
        ),
        collection_count=message.collection_count,
        ledger_kind=message.ledger.kind,
        revision=message.ledger.revision,
        head=message.ledger.head,
        uptime_seconds=message.uptime_seconds,
        ready=message.ready,
        draining=message.draining,
        memory_bytes=message.memory_bytes,
        in_flight=message.in_flight,
        calls=tuple(
            CallFigures(one.rpc, one.count, one.failed, one.per_second, one.p50_ms, one.p99_ms) for one in message.calls
        ),
        decisions={
            Decision.MATCH: message.decisions.match,
            Decision.UNKNOWN: message.decisions.unknown,
            Decision.AMBIGUOUS: message.decisions.ambiguous,
        },
    )
