"""Times the stages of inputs and calls, for metrics and traces."""

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
#: Recent durations of each stage, in seconds.
recent: Final[dict[str, LatencyWindow]] = {stage: LatencyWindow() for stage in get_args(Stage)}
#: Sends traces; None if tracing is off.
tracing: "Tracing | None" = None


def _tracing_enabled(environment: Mapping[str, str]) -> bool:
    """Returns whether the standard OpenTelemetry variables enable traces: the OTLP exporter, or an endpoint for it."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if exporter := environment.get("OTEL_TRACES_EXPORTER", ""):
        return exporter == "otlp"
    return any(environment.get(f"OTEL_EXPORTER_OTLP_{name}") for name in ("ENDPOINT", "TRACES_ENDPOINT"))


@asynccontextmanager
async def export_traces(environment: Mapping[str, str]) -> AsyncIterator[None]:
    """Sends traces while the context is open, if the environment enables them. Raises SettingsError."""
    global tracing
    if not _tracing_enabled(environment):
        yield
        return
    try:
        from glimpse.server.telemetry.tracing import Tracing
    except ImportError as error:
        message = (
            f"OTEL_* variables enable traces, but {error.name} is not installed: pip install 'glimpse-fewshot[otel]'"
        )
        raise SettingsError(message) from error
    tracing = Tracing()
    try:
        yield
    finally:
        await tracing.close()
        tracing = None


def record_stage(stage: Stage, began: float, seconds: float | None = None) -> None:
    """Records a stage of the call that this task works for.

    Args:
        stage: The stage.
        began: When it began, in time.monotonic() seconds.
        seconds: How long it took; by default until now.
    """
    if seconds is None:
        seconds = time.monotonic() - began
    _SECONDS[stage].observe(seconds)
    recent[stage].add(seconds)
    if tracing is not None:
        tracing.stage(stage, began, seconds)
