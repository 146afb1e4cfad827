"""Where the time of inputs and calls goes: one word to say it, for the metrics and the trace alike."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal, get_args

from glimpse.server.settings import SettingsError
from glimpse.server.telemetry import metrics
from glimpse.server.telemetry.latency_stats import LatencyWindow

if TYPE_CHECKING:
    from glimpse.server.telemetry.tracing import Tracing

Stage = Literal["decode", "queue", "encode", "head", "commit"]
_SECONDS = {stage: metrics.stage_seconds.labels(stage) for stage in get_args(Stage)}
#: The seconds of late of each.
recent: Final[dict[str, LatencyWindow]] = {stage: LatencyWindow() for stage in get_args(Stage)}
#: Set where traces are sent.
tracing: "Tracing | None" = None


def _wanted(environment: Mapping[str, str]) -> bool:
    """Whether the standard variables of OpenTelemetry ask for traces: an exporter of OTLP, or where that sends to."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if exporter := environment.get("OTEL_TRACES_EXPORTER", ""):
        return exporter == "otlp"
    return any(environment.get(f"OTEL_EXPORTER_OTLP_{name}") for name in ("ENDPOINT", "TRACES_ENDPOINT"))


@asynccontextmanager
async def traced(environment: Mapping[str, str]) -> AsyncIterator[None]:
    """Sends traces while the context is open, where the environment asks for it. Raises SettingsError."""
    global tracing
    if not _wanted(environment):
        yield
        return
    try:
        from glimpse.server.telemetry.tracing import Tracing
    except ImportError as error:
        message = f"OTEL_… asks for traces, and {error.name} is missing: pip install 'glimpse-fewshot[otel]'"
        raise SettingsError(message) from error
    tracing = Tracing()
    try:
        yield
    finally:
        await tracing.close()
        tracing = None


def record_stage(stage: Stage, began: float, seconds: float | None = None) -> None:
    """Notes a stage of what this task works for. `began` in time.monotonic() seconds; without `seconds`: until now."""
    if seconds is None:
        seconds = time.monotonic() - began
    _SECONDS[stage].observe(seconds)
    recent[stage].note(seconds)
    if tracing is not None:
        tracing.stage(stage, began, seconds)
