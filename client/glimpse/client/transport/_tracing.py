"""Adds calls to the caller's trace, with a W3C `traceparent` header."""

import sys
from importlib import import_module

from glimpse.client.transport._channel import Metadata


def traced(metadata: Metadata) -> Metadata:
    """Returns the metadata of a call, with the active OpenTelemetry span if there is one."""
    # A caller with a span has imported OpenTelemetry. The client itself does not depend on it.
    if "opentelemetry.trace" not in sys.modules:
        return metadata
    carrier: dict[str, str] = {}
    import_module("opentelemetry.propagate").inject(carrier)
    return (*metadata, *carrier.items())
