"""Errors of the Connect protocol: a google.rpc.Status as an HTTP status and a JSON body."""

import base64
import json
from typing import Any

import grpc
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2

from glimpse.server.errors import Code

# HTTP statuses of the Connect protocol, https://connectrpc.com/docs/protocol/#error-codes.
_HTTP_STATUS: dict[grpc.StatusCode, int] = {
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}
_BY_NUMBER = {code.value[0]: code for code in Code}
# The contract's own messages are in the descriptor pool, so their type names are enough to print them.
_PREFIX = "type.googleapis.com/"


def code_of(status: status_pb2.Status) -> grpc.StatusCode:
    """Returns the gRPC code of a status; UNKNOWN for a number that is none."""
    return _BY_NUMBER.get(status.code, Code.UNKNOWN)


def http_status(status: status_pb2.Status) -> int:
    """Returns the HTTP status of a refused call. An unknown method is 404, as for every HTTP server."""
    if reason_of(status) == "METHOD_NOT_FOUND":
        return 404
    return _HTTP_STATUS[code_of(status)]


def error_content(status: status_pb2.Status) -> bytes:
    """Returns the JSON body of a refused call: code, message and details.

    Each detail has its type, its bytes in base64 without padding, and `debug`, the same in JSON for people.
    """
    name = "canceled" if code_of(status) is Code.CANCELLED else code_of(status).name.lower()
    details = [_detail(detail) for detail in status.details]
    error = {"code": name, "message": status.message} | ({"details": details} if details else {})
    return json.dumps(error, ensure_ascii=False).encode()


def error_headers(status: status_pb2.Status) -> list[tuple[str, str]]:
    """Returns the headers of a refused call that every HTTP client knows."""
    headers = []
    if (delay := retry_seconds(status)) is not None:
        headers.append(("retry-after", str(max(1, -int(-delay // 1)))))
    if code_of(status) is Code.UNAUTHENTICATED:
        headers.append(("www-authenticate", "Bearer"))
    return headers


def reason_of(status: status_pb2.Status) -> str:
    """Returns the reason of a refused call; empty if it has none."""
    info = error_details_pb2.ErrorInfo()
    return next((str(info.reason) for detail in status.details if detail.Unpack(info)), "")


def field_of(status: status_pb2.Status) -> str:
    """Returns the request field at fault; empty if no field is."""
    bad = error_details_pb2.BadRequest()
    return next((str(bad.field_violations[0].field) for detail in status.details if detail.Unpack(bad)), "")


def retry_seconds(status: status_pb2.Status) -> float | None:
    """Returns the seconds after which the call may be sent again; None if that does not help."""
    retry = error_details_pb2.RetryInfo()
    return next((retry.retry_delay.ToMicroseconds() / 1e6 for one in status.details if one.Unpack(retry)), None)


def _detail(detail: Any) -> dict[str, Any]:
    value = base64.b64encode(detail.value).rstrip(b"=").decode()
    readable = json_format.MessageToDict(detail)
    readable.pop("@type")
    return {"type": detail.type_url.removeprefix(_PREFIX), "value": value, "debug": readable}
