"""Calls join the trace that the caller is in, by W3C `traceparent`."""

import sys
from importlib import import_module

from glimpse.client.transport._channel import Metadata


def traced(metadata: Metadata) -> Metadata:
    """A call's metadata, with the active span of OpenTelemetry where there is one."""
    # Nobody has a span who has not imported it; and this client needs no package of it.
    if "opentelemetry.trace" not in sys.modules:
        return metadata
    carrier: dict[str, str] = {}
    import_module("opentelemetry.propagate").inject(carrier)
    return (*metadata, *carrier.items())
