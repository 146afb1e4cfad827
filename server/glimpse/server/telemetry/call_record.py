"""Records the outcome of one call in metrics, traces, logs and the audit log."""

import asyncio
import logging
import time
import traceback
from types import TracebackType
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from glimpse.server.auth.caller import Caller, current_caller
from glimpse.server.auth.rate_limits import LogRateLimiter
from glimpse.server.request_context import REQUEST_ID, Call
from glimpse.server.telemetry import audit, metrics, stage_timer
from glimpse.server.telemetry.latency_stats import CallFigures

logger = logging.getLogger(__name__)
Context = grpc.aio.ServicerContext[Any, Any]
Code = grpc.StatusCode
_DETAILS = "grpc-status-details-bin"
# A caller whose deadline passes cancels the call, and the cancellation can arrive before the server's own deadline: by
# the time that a message takes, in seconds.
_TRANSIT_SECONDS = 0.1
# A write that is refused with one of these codes never started, and a caller can repeat it any number of times.
_TURNED_AWAY = {Code.UNAUTHENTICATED, Code.PERMISSION_DENIED, Code.RESOURCE_EXHAUSTED}
# Anonymous callers must not fill the disk, and an overloaded server must not spend its time on log lines. Beyond these
# rates such calls are counted in the metrics only.
_anonymous_lines, _overload_lines = LogRateLimiter(), LogRateLimiter()


class CallRecord:
    """A context around the work of a call, from its message to its end. Records the outcome when it ends."""

    def __init__(self, call: Call | None, context: Context, figures: CallFigures) -> None:
        """Records `call`, which the telemetry interceptor has set, in `figures`."""
        assert call is not None  # noqa: S101 (the interceptor sets it before it returns a handler)
        self.call, self._context, self._figures = call, context, figures

    def __enter__(self) -> "CallRecord":
        self.call.began = time.monotonic()
        self._figures.in_flight += 1
        self._context.set_trailing_metadata(((REQUEST_ID, self.call.request_id),))
        self._peer = self._context.peer()  # unknown once a call is cut off
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        seconds = time.monotonic() - self.call.began
        self._figures.in_flight -= 1
        code, reason = status_of(self._context, error)
        writes = audit.is_write(self.call.rpc)
        record_call(self.call, code, reason, seconds, self._figures, self._peer, writes=writes)
        if audit.is_audited(self.call.rpc):
            self._audit(code, reason)
        # gRPC keeps the error of an aborted call in its context, and the error's frames keep the context: a cycle that
        # holds the request until the garbage collector runs. The call itself lives until its response is sent. The
        # frames of other errors may belong to tasks that still run.
        self.call.request = self.call.response = None
        if isinstance(error, grpc.aio.AbortError):
            traceback.clear_frames(error.__traceback__)

    def count_refusals(self, response: Any) -> None:
        """Counts the inputs that a response refuses one by one, for a whole response or one of a stream."""
        results = getattr(response, "results", None)
        if results is None:
            results = [result] if (result := getattr(response, "result", None)) else ()
        for result in results:
            if reason := result.status.reason:
                metrics.inputs_rejected.labels(reason).inc()

    def _audit(self, code: Code, reason: str) -> None:
        caller = current_caller()
        # A call without a message was refused by the auth interceptor. An anonymous one is not audited.
        left_out = None if self.call.request is None else 0
        if code in _TURNED_AWAY and caller.rate_limiter:
            left_out = caller.rate_limiter.lines.next()
        if left_out is not None:
            audit.write(self.call.rpc, caller.name, self.call.request, self.call.response, code.name, reason, left_out)


def record_call(
    call: Call,
    code: Code,
    reason: str,
    seconds: float,
    figures: CallFigures,
    peer: str,
    *,
    writes: bool = False,
) -> None:
    """Counts, traces and logs a call that has ended.

    Args:
        call: The call.
        code: Its status code.
        reason: The reason in its ErrorInfo; empty if it succeeded.
        seconds: Its latency.
        figures: Takes the latency.
        peer: Address of the caller's connection.
        writes: Whether the call changes the ledger.
    """
    succeeded, caller = code is Code.OK, current_caller()
    metrics.requests_of(call.rpc, code.name, reason).inc()
    metrics.request_seconds_of(call.rpc).observe(seconds)
    figures.add(call.rpc, seconds, succeeded=succeeded)
    if call.span is not None and stage_timer.tracing is not None:
        stage_timer.tracing.end(call.span, code.value[0], {"glimpse.reason": reason, "enduser.id": caller.name})
    level = logging.DEBUG if succeeded and not writes else logging.INFO
    if not logger.isEnabledFor(level) or _is_left_out(caller, code):
        return
    fields = {
        "rpc": call.rpc,
        "code": code.name,
        "reason": reason,
        "seconds": round(seconds, 6),
        "caller": caller.name,
        "peer": peer,
    }
    outcome = f"{code.name} {reason}".rstrip()
    by = f"caller {caller.name}" if caller.name else "anonymous caller"
    text = f"{call.rpc}: {outcome} after {seconds * 1e3:.1f} ms, {by} at {peer or 'unknown address'}"
    logger.log(level, "%s", text, extra={"fields": fields})


def _is_left_out(caller: Caller, code: Code) -> bool:
    """Returns whether the log already has too many lines of such calls."""
    # Calls that need no key, or that were refused because they have none, whatever their code.
    if not caller.admitted:
        return _anonymous_lines.next() is None
    # An ended key has a limit of its own, so that anonymous calls do not hide who still uses it.
    if code is Code.UNAUTHENTICATED and caller.rate_limiter:
        return caller.rate_limiter.lines.next() is None
    return code is Code.RESOURCE_EXHAUSTED and _overload_lines.next() is None


def status_of(context: Context, error: BaseException | None) -> tuple[Code, str]:
    """Returns a call's status code and reason, given its context and the exception that ended it."""
    if error is None or isinstance(error, grpc.aio.AbortError):
        code: Any = context.code()
        if not isinstance(code, Code) or code is Code.OK:  # no code was set
            return Code.OK, ""
        return code, _reason(context)
    # gRPC fails to send (InternalError) only if the caller has left.
    if isinstance(error, asyncio.CancelledError | GeneratorExit | grpc.aio.InternalError):
        left = context.time_remaining()
        return Code.CANCELLED if left is None or left > _TRANSIT_SECONDS else Code.DEADLINE_EXCEEDED, ""
    return Code.UNKNOWN, ""


def _reason(context: Context) -> str:
    """Returns the reason in the ErrorInfo of a refused call."""
    trailers: Any = context.trailing_metadata()
    for key, value in trailers or ():
        if key == _DETAILS:
            info = error_details_pb2.ErrorInfo()
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Unpack(info):
                    return str(info.reason)
    return ""
