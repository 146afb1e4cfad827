"""Every call of the contract, found in its descriptors: a new one is there by itself."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import message_factory
from google.protobuf.message import Message

import glimpse.v1


@dataclass(frozen=True)
class Rpc:
    """One call."""

    path: str
    request: type[Message]
    response: type[Message]
    streaming: bool

    def __str__(self) -> str:
        return self.path.rpartition("/")[2]


def rpcs() -> list[Rpc]:
    """All of glimpse.v1, in order."""
    return [
        Rpc(
            f"/{service.full_name}/{method.name}",
            message_factory.GetMessageClass(method.input_type),
            message_factory.GetMessageClass(method.output_type),
            method.client_streaming,
        )
        for service in _services()
        for method in service.methods
    ]


def _services() -> Iterator[Any]:
    for module in pkgutil.iter_modules(glimpse.v1.__path__):
        if module.name.endswith("_pb2"):
            found: Any = importlib.import_module(f"glimpse.v1.{module.name}")
            yield from found.DESCRIPTOR.services_by_name.values()
