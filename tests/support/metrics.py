"""Reads a server's metrics as Prometheus does."""

import re
import urllib.request

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from support.server import ServerProcess


def address_of(server: ServerProcess) -> str:
    """Returns the metrics address that a server started with `metrics_listen` logs."""
    return str(re.findall(r"http://[\w.:]+/metrics", server.log())[-1])


def families(server: ServerProcess) -> list[Metric]:
    with urllib.request.urlopen(address_of(server), timeout=10) as response:
        return list(text_string_to_metric_families(response.read().decode()))


def samples(server: ServerProcess, name: str) -> dict[tuple[str, ...], float]:
    """Returns the values of a metric by the values of its labels, in the order of their names."""
    return {
        tuple(sample.labels[label] for label in sorted(sample.labels)): sample.value
        for family in families(server)
        for sample in family.samples
        if sample.name == name
    }
