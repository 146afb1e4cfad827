"""Runs the `glimpse` command with a server that records nothing, as the floor of bench.observing.

    python -m bench.unobserved_server serve [OPTION ...]

The server has no telemetry interceptor, times no stages and keeps no statistics of queries.
"""

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import grpc

from glimpse.cli.main import main
from glimpse.server.api import classification_service
from glimpse.server.classification import classifier, zero_shot
from glimpse.server.collections.drift import QueryStats
from glimpse.server.enrollment import enroll
from glimpse.server.inference import embedder
from glimpse.server.telemetry.interceptor import TelemetryInterceptor

_TIMED_MODULES = (classification_service, classifier, zero_shot, embedder, enroll)
_make_server = grpc.aio.server


def _server_without_telemetry(interceptors: Sequence[Any], **options: Any) -> Any:
    kept = [interceptor for interceptor in interceptors if not isinstance(interceptor, TelemetryInterceptor)]
    return _make_server(interceptors=kept, **options)


def _record_nothing(*_: object) -> None:
    """Takes the place of `record_stage` and `QueryStats.add`."""


def remove_telemetry() -> None:
    """Replaces the parts that record. Raises AttributeError if one of them has another name."""
    patch.object(grpc.aio, "server", _server_without_telemetry).start()
    patch.object(QueryStats, "add", _record_nothing).start()
    for module in _TIMED_MODULES:
        patch.object(module, "record_stage", _record_nothing).start()


if __name__ == "__main__":
    remove_telemetry()
    main()
