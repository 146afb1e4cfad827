"""OpenTelemetry traces, joined to the caller's trace by W3C `traceparent`. Imported only if tracing is on.

OpenTelemetry's own gRPC interceptor is not used: it would be a second one, without stages and error reasons.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping

from opentelemetry import context, propagate, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

# An unreachable collector delays the end of the process by at most this.
_FLUSH_SECONDS = 3.0


class Tracing:
    """Sends spans. The standard OTEL_* variables set the endpoint, the sampling and the service name."""

    def __init__(self) -> None:
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence.
        own = Resource.create({SERVICE_NAME: "glimpse"}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=own)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("glimpse.server")

    def begin(self, rpc: str, metadata: Iterable[tuple[str, str | bytes]], request_id: str) -> tuple[trace.Span, str]:
        """Starts a call's span, the parent of further spans of this task. Returns it and the id of its trace."""
        carrier = {key: value for key, value in metadata if isinstance(value, str)}
        parent = propagate.extract(carrier)
        service, _, method = rpc.rpartition("/")
        attributes = {
            "rpc.system": "grpc",
            "rpc.service": service,
            "rpc.method": method,
            "glimpse.request_id": request_id,
        }
        span = self._tracer.start_span(rpc, parent, SpanKind.SERVER, attributes)
        context.attach(trace.set_span_in_context(span, parent))  # never detached: the task ends with the call
        return span, trace.format_trace_id(span.get_span_context().trace_id)

    @staticmethod
    def end(span: trace.Span, code: int, attributes: Mapping[str, str]) -> None:
        """Ends a call's span with its gRPC status code."""
        span.set_attributes({"rpc.grpc.status_code": code, **attributes})
        if code:
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def stage(self, stage: str, began: float, seconds: float) -> None:
        """Records a finished span below the current one. `began` is in time.monotonic() seconds."""
        if not trace.get_current_span().is_recording():
            return
        start = time.time_ns() - int((time.monotonic() - began) * 1e9)
        self._tracer.start_span(stage, start_time=start).end(start + int(seconds * 1e9))

    async def close(self) -> None:
        """Sends the remaining spans, if the collector takes them in time."""
        await asyncio.to_thread(self._provider.force_flush, int(_FLUSH_SECONDS * 1e3))
