"""One call as it is seen from outside: what is told of it when it ends."""

import asyncio
import logging
import time
import traceback
from types import TracebackType
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from glimpse.server.auth import caller
from glimpse.server.auth.rate_limits import LogRateLimiter
from glimpse.server.request_context import REQUEST_ID, Call
from glimpse.server.telemetry import audit, metrics, stage_timer
from glimpse.server.telemetry.latency_stats import CallFigures

logger = logging.getLogger(__name__)
Context = grpc.aio.ServicerContext[Any, Any]
Code = grpc.StatusCode
_DETAILS = "grpc-status-details-bin"
# A caller whose deadline passes cancels, and that is here before the deadline is: by a message's way, in seconds.
_TRANSIT = 0.1
# A write that is refused so was not begun, and could be asked for ever so often.
_TURNED_AWAY = {Code.UNAUTHENTICATED, Code.PERMISSION_DENIED, Code.RESOURCE_EXHAUSTED}
# Who has no key fills no disk, and a server that has no time for more loses none of it by saying so of each call: past
# so many lines a second such calls are counted in the metrics alone.
_strangers, _turned_away = LogRateLimiter(), LogRateLimiter()


class CallRecord:
    """`with Watch(…)` around the work of a call, from its message to its end."""

    def __init__(self, call: Call, context: Context, figures: CallFigures, span: Any) -> None:
        """`span`: of the call's trace, or None."""
        self.call = call
        self._context, self._figures, self._span = context, figures, span

    def __enter__(self) -> "CallRecord":
        self.call.began = time.monotonic()
        self._figures.in_flight += 1
        self._context.set_trailing_metadata(((REQUEST_ID, self.call.request_id),))
        self._peer = self._context.peer()  # of a call that is cut off nobody knows it any more
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        seconds = time.monotonic() - self.call.began
        self._figures.in_flight -= 1
        code, reason = ended(self._context, error)
        tell(self.call, code, reason, seconds, self._figures, self._span, self._peer)
        if audit.is_write(self.call.rpc):
            self._audit(code, reason)
        # gRPC keeps the error of a call that was aborted in its context, and the error's frames keep the context: a
        # cycle, with the request in it, until the garbage collector runs; and the call itself lives until its answer is
        # sent. The frames of other errors may belong to tasks that go on.
        self.call.request = self.call.response = None
        if isinstance(error, grpc.aio.AbortError):
            traceback.clear_frames(error.__traceback__)

    def count_refusals(self, response: Any) -> None:
        """Of an answer that is sent, or one of a stream's: each input that it refuses by itself."""
        results = getattr(response, "results", None)
        if results is None:
            results = [result] if (result := getattr(response, "result", None)) else ()
        for result in results:
            if reason := result.status.reason:
                metrics.inputs_rejected.labels(reason).inc()

    def _audit(self, code: Code, reason: str) -> None:
        who = caller.current()
        # Without a message it was refused at the gate: a stranger, of whom there is nothing to tell.
        left_out = None if self.call.request is None else 0
        if code in _TURNED_AWAY and who.meter:
            left_out = who.meter.lines.next()
        if left_out is not None:
            audit.write(self.call.rpc, who.name, self.call.request, self.call.response, code.name, reason, left_out)


def tell(call: Call, code: Code, reason: str, seconds: float, figures: CallFigures, span: Any, peer: str) -> None:
    """Counts, traces and logs a call that has ended."""
    well, name = code is Code.OK, caller.current().name
    metrics.requests.labels(call.rpc, code.name, reason).inc()
    metrics.request_seconds.labels(call.rpc).observe(seconds)
    figures.ended(call.rpc, seconds, well=well)
    if span is not None and stage_timer.tracing is not None:
        stage_timer.tracing.end(span, code.value[0], {"glimpse.reason": reason, "enduser.id": name})
    level = logging.INFO if not well or audit.is_write(call.rpc) else logging.DEBUG
    if not logger.isEnabledFor(level) or _is_left_out(code):
        return
    fields = {
        "rpc": call.rpc,
        "code": code.name,
        "reason": reason,
        "seconds": round(seconds, 6),
        "caller": name,
        "peer": peer,
    }
    outcome = f"{code.name} {reason}".rstrip()
    text = f"{call.rpc}: {outcome} after {seconds * 1e3:.1f} ms, for {name or 'anyone'} at {peer or 'nowhere'}"
    logger.log(level, "%s", text, extra={"fields": fields})


def _is_left_out(code: Code) -> bool:
    """Whether there were too many lines of such calls already."""
    who = caller.current()
    # Calls that anybody can make, whatever their code: without a key where one is required.
    if not who.admitted:
        return _strangers.next() is None
    # A key that has ended has lines of its own, so that strangers do not hide who still uses it.
    if code is Code.UNAUTHENTICATED and who.meter:
        return who.meter.lines.next() is None
    return code is Code.RESOURCE_EXHAUSTED and _turned_away.next() is None


def ended(context: Context, error: BaseException | None) -> tuple[Code, str]:
    """A call's status code and reason."""
    if error is None or isinstance(error, grpc.aio.AbortError):
        code: Any = context.code()
        if not isinstance(code, Code) or code is Code.OK:  # nobody set one
            return Code.OK, ""
        return code, _reason(context)
    # gRPC fails to send (an InternalError) only to a caller who has left.
    if isinstance(error, asyncio.CancelledError | GeneratorExit | grpc.aio.InternalError):
        left = context.time_remaining()
        return Code.CANCELLED if left is None or left > _TRANSIT else Code.DEADLINE_EXCEEDED, ""
    return Code.UNKNOWN, ""


def _reason(context: Context) -> str:
    """Of the ErrorInfo that a call was refused with."""
    trailers: Any = context.trailing_metadata()
    for key, value in trailers or ():
        if key == _DETAILS:
            info = error_details_pb2.ErrorInfo()
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Unpack(info):
                    return str(info.reason)
    return ""
