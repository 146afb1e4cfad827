"""Measures Classify over gRPC and its floors in the same run.

    make bench            or: python -m bench.serve [--quick] [--seconds S] [--repeats N] [--out DIR]

Two real `glimpse serve` processes have one backbone each: the bundled glimpse-mini, and a ViT-B/32 with random weights.
A closed loop of 1, 8 and 32 callers sends one image or one vector per call, or 64 vectors with a top_k of 3; or as many
vectors are in flight on one StreamClassify call, beside the unary floors. The floors are the bare ONNX Runtime session
at batches of the same size, and two grpc.aio servers: one only returns a response of the same size (echo), the other
parses the request and builds an equal response (protobuf). Every figure is the median of the repeats. The callers run
on the same cores as the server.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
from rich.progress import Progress

from bench.baselines import BATCHES, Floor, measure_floor
from bench.classify_stream import open_stream
from bench.closed_loop import Load, closed_loop, median_load
from bench.inputs import drawings, photographs
from bench.open_loop import until_answered
from bench.report import Row, Target, write_report
from bench.server import server_of
from bench.vit import vit_bundle
from glimpse.backbone import Bundle, bundled, cores, load_bundle
from glimpse.client import Client, NewExample, Vector
from glimpse.server.settings import load_settings
from glimpse.v1 import classification_service_pb2 as pb
from glimpse.v1 import types_pb2
from glimpse.v1.classification_service_pb2_grpc import ClassificationServiceStub

CALLERS = BATCHES
_LABELS, _SHOTS = 20, 5
_STREAM = "vector, stream"
# The kinds of calls, and the number of inputs in each.
KINDS = {"image": 1, "vector": 1, _STREAM: 1, "64 vectors": 64}


@dataclass(frozen=True)
class Subject:
    """A backbone under test, its pictures and its collection."""

    bundle: Bundle
    pictures: list[bytes]

    @property
    def name(self) -> str:
        return self.bundle.manifest.name

    def requests(self, kind: str) -> list[pb.ClassifyRequest]:
        """Returns requests of a kind, which KINDS lists."""
        count, each = len(self.pictures), KINDS[kind]
        if kind == "image":
            inputs = [types_pb2.Input(image=picture) for picture in self.pictures]
        else:
            space = self.bundle.manifest.embedding_space
            rows = _vectors(count * each, self.bundle.manifest.dimension, seed=1)
            inputs = [types_pb2.Input(vector=types_pb2.Vector(data=v.tobytes(), embedding_space=space)) for v in rows]
        names, options = [f"collections/{self.name}"], pb.ClassifyOptions(top_k=3) if each > 1 else None
        return [
            pb.ClassifyRequest(collections=names, inputs=inputs[i * each : (i + 1) * each], options=options)
            for i in range(count)
        ]


def _vectors(count: int, dimension: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dimension)).astype("<f4")
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short repeat; for trying out, not for recording")
    parser.add_argument("--seconds", type=float, default=4.0, help="duration of every load")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    seconds, repeats = (1.0, 1) if options.quick else (options.seconds, options.repeats)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subjects = [Subject(load_bundle(bundled()), drawings()), Subject(vit_bundle(folder / "vit"), photographs())]
        with ExitStack() as servers:
            addresses = {
                subject.name: servers.enter_context(server_of(subject.bundle, folder / subject.name))
                for subject in subjects
            }
            for subject in subjects:
                enroll(addresses[subject.name], subject)
            responses = {
                (subject.name, kind): response_to(addresses[subject.name], subject.requests(kind)[0])
                for subject in subjects
                for kind in KINDS
            }
            rows, floors = _repeat(folder, addresses, subjects, responses, seconds, repeats)
    conditions = {"seconds a load": str(seconds), "repeats": str(repeats)}
    write_report(None if options.quick else options.out, rows, _targets(rows, floors), floors, conditions)


def enroll(address: str, subject: Subject) -> None:
    """Fills the subject's collection."""
    manifest = subject.bundle.manifest
    rows = _vectors(_LABELS * _SHOTS, manifest.dimension, seed=0)
    with Client(address) as client:
        client.create_collection(subject.name, backbone=manifest.name)
        examples = [
            NewExample(Vector(row, manifest.embedding_space), f"label-{i % _LABELS}") for i, row in enumerate(rows)
        ]
        client.enroll(subject.name, examples, create_labels=True)


def response_to(address: str, request: pb.ClassifyRequest) -> pb.ClassifyResponse:
    """Returns the response of a server, which has the size that the measured calls get."""
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(
            "/glimpse.v1.ClassificationService/Classify",
            request_serializer=pb.ClassifyRequest.SerializeToString,
            response_deserializer=pb.ClassifyResponse.FromString,
        )
        response: pb.ClassifyResponse = call(request)
        return response


@contextmanager
def echo_server(folder: Path, response: pb.ClassifyResponse, *options: str) -> Iterator[str]:
    """Runs a server that always returns `response`; `options` are those of bench.echo. Yields its address."""
    file = folder / "response"
    file.write_bytes(response.SerializeToString())
    command = [sys.executable, "-m", "bench.echo", *options, str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _repeat(
    folder: Path,
    addresses: dict[str, str],
    subjects: list[Subject],
    responses: dict[tuple[str, str], pb.ClassifyResponse],
    seconds: float,
    repeats: int,
) -> tuple[list[Row], dict[str, Floor]]:
    """Measures the floors and the server in turn, so that a slow moment of the machine affects all of them."""
    loads: dict[tuple[str, str, int], list[list[Load]]] = {}
    floors: dict[str, list[Floor]] = {subject.name: [] for subject in subjects}
    threads = load_settings().encode_threads or cores()
    with Progress() as progress:
        task = progress.add_task("measuring", total=repeats * len(subjects) * (1 + len(KINDS) * len(CALLERS)))
        for _ in range(repeats):
            for subject in subjects:
                floors[subject.name].append(measure_floor(subject.bundle, subject.pictures, threads, seconds / 2))
                progress.advance(task)
                for kind in KINDS:
                    response = responses[subject.name, kind]
                    with echo_server(folder, response) as echo, echo_server(folder, response, "--build") as builder:
                        for callers in CALLERS:
                            targets = [echo, builder, addresses[subject.name]]
                            measured = asyncio.run(_loads(kind, subject.requests(kind), targets, callers, seconds))
                            loads.setdefault((subject.name, kind, callers), []).append(measured)
                            progress.advance(task)
    medians = {name: _median_floor(repeated) for name, repeated in floors.items()}
    return [_row(*key, repeated, medians[key[0]]) for key, repeated in loads.items()], medians


async def _loads(
    kind: str, requests: list[pb.ClassifyRequest], addresses: list[str], callers: int, seconds: float
) -> list[Load]:
    """Returns the load of each server, the last of which is Glimpse."""
    loads = []
    for target in addresses:
        if kind == _STREAM and target == addresses[-1]:
            loads.append(await _stream_load(requests, target, callers, seconds))
            continue
        async with grpc.aio.insecure_channel(target) as channel:
            stub = ClassificationServiceStub(channel)

            def classify(number: int, stub: ClassificationServiceStub = stub) -> Awaitable[object]:
                return stub.Classify(requests[number % len(requests)])  # type: ignore[return-value]

            # On a slow machine the server refuses calls; these callers wait as it asks.
            loads.append(
                await closed_loop(lambda number, call=classify: until_answered(call, number), callers, seconds)  # type: ignore[misc]
            )
    return loads


async def _stream_load(requests: list[pb.ClassifyRequest], address: str, callers: int, seconds: float) -> Load:
    messages = [pb.StreamClassifyRequest(input=request.inputs[0]) for request in requests]
    async with open_stream(address, requests[0].collections) as stream:
        return await closed_loop(lambda number: stream.classify(messages[number % len(messages)]), callers, seconds)


def _median_floor(floors: list[Floor]) -> Floor:
    def rates(pick: Callable[[Floor], dict[int, float]]) -> dict[int, float]:
        return {n: statistics.median(pick(floor)[n] for floor in floors) for n in BATCHES}

    return Floor(
        statistics.median(floor.decode_ms for floor in floors),
        statistics.median(floor.session_ms for floor in floors),
        rates(lambda floor: floor.session_rate),
        rates(lambda floor: floor.decode_and_session_rate),
    )


def _row(name: str, kind: str, callers: int, repeated: list[list[Load]], floor: Floor) -> Row:
    echo, builder, load = (median_load([loads[i] for loads in repeated]) for i in range(3))
    to_echo, to_builder = (
        statistics.median(loads[2].per_second / loads[i].per_second for loads in repeated) for i in (0, 1)
    )
    to_session = load.per_second / floor.session_rate[callers] if kind == "image" else None
    return Row(name, kind, callers, load, echo, to_echo, builder, to_builder, to_session)


def _targets(rows: list[Row], floors: dict[str, Floor]) -> list[Target]:
    """Returns the targets and the measured values."""
    by_key = {(row.backbone, row.kind, row.callers): row for row in rows}
    slow = max(floors, key=lambda name: floors[name].session_ms)
    targets = []
    for callers in CALLERS[1:]:
        ratio = by_key[slow, "image", callers].to_session
        targets.append(Target(f"{slow}: images/s to bare session, n={callers}", ratio, ">=", 0.90))
    for name, floor in floors.items():
        over = by_key[name, "image", 1].load.p50_ms - floor.decode_ms - floor.session_ms
        targets.append(Target(f"{name}: p50 over decode + session, n=1, ms", over, "<=", 1.5))
        for callers in CALLERS:
            ratio = by_key[name, "vector", callers].to_echo
            targets.append(Target(f"{name}: vectors/s to echo, n={callers}", ratio, ">=", 0.6))
    fast = min(floors, key=lambda name: floors[name].session_ms)
    rate = KINDS["64 vectors"] * by_key[fast, "64 vectors", 8].load.per_second
    targets.append(Target(f"{fast}: vectors/s in calls of 64, n=8", rate, ">=", 20_000))
    return targets


if __name__ == "__main__":
    main()
