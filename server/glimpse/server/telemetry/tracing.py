"""Traces by OpenTelemetry, joined to the caller's by W3C `traceparent`. Imported only where they are switched on.

OpenTelemetry's own interceptor for gRPC is not used: it would be a second one, and knows neither stages nor reasons.
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

# What a collector that is gone may hold up the end of the process.
_LAST_SECONDS = 3.0


class Tracing:
    """Sends spans as the standard OTEL_… variables say: where to, how many, under which name."""

    def __init__(self) -> None:
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
        own = Resource.create({SERVICE_NAME: "glimpse"}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=own)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("glimpse.server")

    def begin(self, rpc: str, metadata: Iterable[tuple[str, str | bytes]], request_id: str) -> tuple[trace.Span, str]:
        """A call's span, from here on the parent of what its task, and those it starts, do; and its trace's id."""
        carrier = {key: value for key, value in metadata if isinstance(value, str)}
        parent = propagate.extract(carrier)
        service, _, method = rpc.rpartition("/")
        told = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method, "glimpse.request_id": request_id}
        span = self._tracer.start_span(rpc, parent, SpanKind.SERVER, told)
        context.attach(trace.set_span_in_context(span, parent))  # the task is the call's own: nothing to detach from
        return span, trace.format_trace_id(span.get_span_context().trace_id)

    @staticmethod
    def end(span: trace.Span, code: int, told: Mapping[str, str]) -> None:
        """Closes a call's span with its gRPC status code."""
        span.set_attributes({"rpc.grpc.status_code": code, **told})
        if code:
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def stage(self, stage: str, began: float, seconds: float) -> None:
        """A span that is over, under the current one. `began` in time.monotonic() seconds."""
        if not trace.get_current_span().is_recording():
            return
        start = time.time_ns() - int((time.monotonic() - began) * 1e9)
        self._tracer.start_span(stage, start_time=start).end(start + int(seconds * 1e9))

    async def close(self) -> None:
        """Sends what is left, if somebody takes it."""
        await asyncio.to_thread(self._provider.force_flush, int(_LAST_SECONDS * 1e3))
