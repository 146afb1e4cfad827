"""`GET /healthz` and `GET /readyz`: calls of grpc.health.v1 without a body. They need no key."""

import json
from typing import Any

from grpc_health.v1 import health_pb2

from glimpse.server.http.codecs import JSON, Reply
from glimpse.server.http.errors import error_content, error_headers, http_status

CHECK = "/grpc.health.v1.Health/Check"


class Probe:
    """The codec of a probe: 200 while the service is SERVING, 503 otherwise."""

    def __init__(self, service: str) -> None:
        """Asks for a service's health; the empty name stands for the server."""
        self._service = service

    def decode(self, _: bytes) -> health_pb2.HealthCheckRequest:
        """Returns the request for the service's health."""
        return health_pb2.HealthCheckRequest(service=self._service)

    def encode(self, content: bytes) -> Reply:
        """Returns the service's status in JSON."""
        status = health_pb2.HealthCheckResponse.FromString(content).status
        serving = status == health_pb2.HealthCheckResponse.SERVING
        name = health_pb2.HealthCheckResponse.ServingStatus.Name(status)
        return Reply(200 if serving else 503, JSON, json.dumps({"status": name}).encode())

    def refuse(self, status: Any) -> Reply:
        """Returns the error of the Connect protocol."""
        return Reply(http_status(status), JSON, error_content(status), error_headers(status))
