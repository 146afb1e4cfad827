"""What watching costs: processor time a call of a server as it is, and of one that nobody watches.

    python -m bench.observing [--calls 200] [--repeats 40]

Three calls: GetBackbone, which does next to nothing; Classify of one vector, the quickest that does work; and Classify
of one drawing with glimpse-mini. One caller; the two servers in turn, so that the machine's moods fall on both alike.
Processor time of all the server's threads is told, of the round that took least: what others do on the machine can only
add to it. Prints a table, and what one scrape of the metrics takes; nothing is recorded.
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
# A server without interceptor, stages and tallies.
_BARE = """
import grpc, sys
from glimpse.server import classifying, embedding, enrolling
from glimpse.server.observing.answered import Answered
make = grpc.aio.server
grpc.aio.server = lambda interceptors, options: make(options=options)
classifying.spent = embedding.spent = enrolling.spent = lambda *_: None
Answered.add = lambda *_: None
from glimpse.cli.main import main
main(sys.argv[1:])
"""


@dataclass(frozen=True)
class _Server:
    process: int
    address: str
    metrics: str  # their address; empty: bare

    def seconds(self) -> float:
        """Processor time of all its threads."""
        stats = (file.read_text() for file in Path(f"/proc/{self.process}/task").glob("*/schedstat"))
        return sum(int(one.split()[0]) for one in stats) / 1e9


@contextmanager
def _server(folder: Path, *, bare: bool) -> Iterator[_Server]:
    folder.mkdir()
    config, log = folder / "config.toml", folder / "log"
    config.write_text("" if bare else 'metrics_listen = "127.0.0.1:0"\n')
    run = ["-c", _BARE] if bare else ["-m", "glimpse.cli.main"]
    command = [sys.executable, *run, "serve", "--listen", "127.0.0.1:0", "--data", str(folder), "--config", str(config)]
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=out, text=True)
    assert process.stdout
    try:
        address = process.stdout.readline().split()[-1]
        yield _Server(process.pid, address, *(re.findall(r"http://\S+", log.read_text()) or [""]))
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _calls(address: str) -> tuple[grpc.Channel, dict[str, Callable[[int], object]]]:
    """What is called by its name, of a server whose collection is filled."""
    with Client(address) as client:
        backbone = client.get_backbone("glimpse-mini")
        rows = np.random.default_rng(0).normal(size=(_LABELS * _SHOTS, backbone.dimension))
        vectors = [Vector(row, backbone.embedding_space) for row in rows]
        client.create_collection("bench")
        examples = [NewExample(vector, f"label-{i % _LABELS}") for i, vector in enumerate(vectors)]
        client.enroll("bench", examples, create_labels=True)
        client.collection_report("bench")  # waits for the fit
    channel = grpc.insecure_channel(address)
    embed, classify = EmbeddingServiceStub(channel), ClassificationServiceStub(channel)
    which = embedding_service_pb2.GetBackboneRequest(name=backbone.name)
    given = [types_pb2.Vector(data=one.values.tobytes(), embedding_space=one.embedding_space) for one in vectors]
    by_vector = [_request(types_pb2.Input(vector=one)) for one in given]
    by_image = [_request(types_pb2.Input(image=one)) for one in drawings()]
    return channel, {
        "GetBackbone": lambda _: embed.GetBackbone(which),
        "Classify a vector": lambda i: classify.Classify(by_vector[i % len(by_vector)]),
        "Classify a drawing": lambda i: classify.Classify(by_image[i % len(by_image)]),
    }


def _request(given: types_pb2.Input) -> pb.ClassifyRequest:
    return pb.ClassifyRequest(collections=["collections/bench"], inputs=[given])


def _each(server: _Server, call: Callable[[int], object], count: int) -> float:
    """Microseconds of processor time a call."""
    for i in range(count // 10):
        call(i)
    before = server.seconds()
    for i in range(count):
        call(i)
    return (server.seconds() - before) / count * 1e6


def _scrape(metrics: str) -> float:
    """Microseconds by the clock: its thread, with its processor time, is gone when it is answered."""
    began = time.perf_counter()
    with urllib.request.urlopen(metrics, timeout=10) as response:
        response.read()
    return (time.perf_counter() - began) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200, help="of each kind in a round")
    parser.add_argument("--repeats", type=int, default=40)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        servers = [stack.enter_context(_server(Path(place) / str(bare), bare=bare)) for bare in (True, False)]
        made = [_calls(server.address) for server in servers]
        for channel, _ in made:
            stack.callback(channel.close)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in made[0][1]}
        for _ in range(given.repeats):
            for name, rounds in found.items():
                bare, watched = (
                    _each(server, calls[name], given.calls) for server, (_, calls) in zip(servers, made, strict=True)
                )
                rounds.append((bare, watched))
        scraped = min(_scrape(servers[1].metrics) for _ in range(20))
    print(f"{'processor time, us':20}{'bare':>8}{'watched':>9}{'more':>7}")
    for name, rounds in found.items():
        bare, watched = (min(one[which] for one in rounds) for which in (0, 1))
        print(f"{name:20}{bare:8.0f}{watched:9.0f}{watched - bare:7.0f}")
    print(f"{'a scrape, by the clock':28}{scraped:9.0f}")


if __name__ == "__main__":
    main()
