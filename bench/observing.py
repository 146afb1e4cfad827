"""Measures the cost of telemetry: the server's processor time for each call, with telemetry and without.

    python -m bench.observing [--calls 200] [--repeats 40]

There are three calls: GetBackbone, which does next to nothing; Classify of one vector, the fastest call that does
work; and Classify of one drawing with glimpse-mini. One caller sends them to two servers in turn, so that a slow moment
of the machine affects both. The figure is the processor time of all threads of the server in the fastest round, because
other programs can only add to it. The script prints a table and the duration of one scrape of the metrics; it records
nothing.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np

from bench.inputs import drawings
from glimpse.client import Client, NewExample, Vector
from glimpse.v1 import classification_service_pb2 as pb
from glimpse.v1 import embedding_service_pb2, types_pb2
from glimpse.v1.classification_service_pb2_grpc import ClassificationServiceStub
from glimpse.v1.embedding_service_pb2_grpc import EmbeddingServiceStub

_LABELS, _SHOTS = 20, 5
_SCRAPES = 20
Calls = dict[str, Callable[[int], object]]


@dataclass(frozen=True)
class _Server:
    process_id: int
    address: str
    metrics_url: str  # empty for the server without telemetry

    def processor_seconds(self) -> float:
        """Returns the processor time of all its threads."""
        stats = (file.read_text() for file in Path(f"/proc/{self.process_id}/task").glob("*/schedstat"))
        return sum(int(line.split()[0]) for line in stats) / 1e9


@contextmanager
def _serve(folder: Path, *, telemetry: bool) -> Iterator[_Server]:
    folder.mkdir()
    config, log = folder / "config.toml", folder / "log"
    config.write_text('metrics_listen = "127.0.0.1:0"\n' if telemetry else "")
    module = "glimpse.cli.main" if telemetry else "bench.unobserved_server"
    command = [sys.executable, "-m", module, "serve", "--listen", "127.0.0.1:0"]
    command += ["--data", str(folder), "--config", str(config)]
    with log.open("w") as log_file:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log_file, text=True)
    assert process.stdout
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(log.read_text())
        yield _Server(process.pid, line.split()[-1], *(re.findall(r"http://\S+", log.read_text()) or [""]))
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _prepare(address: str) -> tuple[grpc.Channel, Calls]:
    """Fills a collection; returns a channel and the calls to measure, by name."""
    with Client(address) as client:
        backbone = client.get_backbone("glimpse-mini")
        rows = np.random.default_rng(0).normal(size=(_LABELS * _SHOTS, backbone.dimension))
        vectors = [Vector(row, backbone.embedding_space) for row in rows]
        client.create_collection("bench")
        examples = [NewExample(vector, f"label-{i % _LABELS}") for i, vector in enumerate(vectors)]
        client.enroll("bench", examples, create_labels=True)
        client.collection_report("bench")  # waits for the fit
    channel = grpc.insecure_channel(address)
    embedding, classification = EmbeddingServiceStub(channel), ClassificationServiceStub(channel)
    get_backbone = embedding_service_pb2.GetBackboneRequest(name=backbone.name)
    messages = [types_pb2.Vector(data=row.values.tobytes(), embedding_space=row.embedding_space) for row in vectors]
    by_vector = [_request(types_pb2.Input(vector=message)) for message in messages]
    by_image = [_request(types_pb2.Input(image=drawing)) for drawing in drawings()]
    return channel, {
        "GetBackbone": lambda _: embedding.GetBackbone(get_backbone),
        "Classify a vector": lambda i: classification.Classify(by_vector[i % len(by_vector)]),
        "Classify a drawing": lambda i: classification.Classify(by_image[i % len(by_image)]),
    }


def _request(query: types_pb2.Input) -> pb.ClassifyRequest:
    return pb.ClassifyRequest(collections=["collections/bench"], inputs=[query])


def _microseconds_per_call(server: _Server, call: Callable[[int], object], count: int) -> float:
    """Returns the server's processor time for each of `count` calls, after a warm-up."""
    for i in range(count // 10):
        call(i)
    before = server.processor_seconds()
    for i in range(count):
        call(i)
    return (server.processor_seconds() - before) / count * 1e6


def _scrape_microseconds(metrics_url: str) -> float:
    """Returns the wall-clock time of one scrape. Its thread ends with the answer, and its processor time is lost."""
    began = time.perf_counter()
    with urllib.request.urlopen(metrics_url, timeout=10) as response:
        response.read()
    return (time.perf_counter() - began) * 1e6


def _measure(calls: int, repeats: int) -> tuple[dict[str, list[tuple[float, float]]], float]:
    """Returns microseconds without and with telemetry, by call and repeat; and those of the fastest scrape."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        bare, observed = (
            stack.enter_context(_serve(Path(folder) / name, telemetry=telemetry))
            for name, telemetry in (("bare", False), ("observed", True))
        )
        prepared = [_prepare(server.address) for server in (bare, observed)]
        for channel, _ in prepared:
            stack.callback(channel.close)
        (_, bare_calls), (_, observed_calls) = prepared
        rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in bare_calls}
        for _ in range(repeats):
            for name, pairs in rounds.items():
                without = _microseconds_per_call(bare, bare_calls[name], calls)
                pairs.append((without, _microseconds_per_call(observed, observed_calls[name], calls)))
        return rounds, min(_scrape_microseconds(observed.metrics_url) for _ in range(_SCRAPES))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200, help="number of each kind in a round")
    parser.add_argument("--repeats", type=int, default=40)
    options = parser.parse_args()
    rounds, scrape = _measure(options.calls, options.repeats)
    print(f"{'processor time, us':20}{'without':>9}{'with':>9}{'cost':>7}")
    for name, pairs in rounds.items():
        without, with_telemetry = (min(pair[column] for pair in pairs) for column in (0, 1))
        print(f"{name:20}{without:9.0f}{with_telemetry:9.0f}{with_telemetry - without:7.0f}")
    print(f"{'one scrape, wall clock':29}{scrape:9.0f}")


if __name__ == "__main__":
    main()
