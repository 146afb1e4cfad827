"""Every rpc of a server, found in its descriptors, so that a new rpc is included automatically."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf import message_factory
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

import glimpse.v1


@dataclass(frozen=True)
class Rpc:
    """One rpc. `watching` means one request and any number of responses."""

    path: str
    request: type[Message]
    response: type[Message]
    streaming: bool
    watching: bool

    def __str__(self) -> str:
        return self.path.rpartition("/")[2]


def rpcs() -> list[Rpc]:
    """Returns every rpc of glimpse.v1, in order."""
    return [rpc for service in _services() for rpc in _of(service)]


def health_rpcs() -> list[Rpc]:
    """Returns the rpcs of grpc.health.v1, which anonymous callers may call."""
    return list(_of(health_pb2.DESCRIPTOR.services_by_name["Health"]))


def reflection_rpcs() -> list[Rpc]:
    """Returns the rpcs of both versions of reflection, which have the same messages."""
    [old] = _of(reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"])
    return [old, replace(old, path=old.path.replace("v1alpha", "v1"))]


def _of(service: Any) -> Iterator[Rpc]:
    for method in service.methods:
        yield Rpc(
            f"/{service.full_name}/{method.name}",
            message_factory.GetMessageClass(method.input_type),
            message_factory.GetMessageClass(method.output_type),
            method.client_streaming,
            method.server_streaming and not method.client_streaming,
        )


def _services() -> Iterator[Any]:
    for module in pkgutil.iter_modules(glimpse.v1.__path__):
        if module.name.endswith("_pb2"):
            found: Any = importlib.import_module(f"glimpse.v1.{module.name}")
            yield from found.DESCRIPTOR.services_by_name.values()
