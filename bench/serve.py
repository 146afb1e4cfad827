"""Measures Classify over gRPC and its floors in the same run.

    make bench            or: python -m bench.serve [--quick] [--seconds S] [--repeats N] [--out DIR]

Two real `glimpse serve` processes have one backbone each: the bundled glimpse-mini, and a ViT-B/32 with random weights.
A closed loop of 1, 8 and 32 callers sends one input per call. The floors are the bare ONNX Runtime session at batches
of the same size, and a grpc.aio server that only returns a response of the same size. Every figure is the median of the
repeats. The callers run on the same cores as the server.
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
from bench.closed_loop import Load, closed_loop
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


@dataclass(frozen=True)
class Subject:
    """A backbone under test, its pictures and its collection."""

    bundle: Bundle
    pictures: list[bytes]

    @property
    def name(self) -> str:
        return self.bundle.manifest.name

    def requests(self, kind: str) -> list[pb.ClassifyRequest]:
        """Returns requests with one input each, of this kind: "image" or "vector"."""
        if kind == "image":
            inputs = [types_pb2.Input(image=picture) for picture in self.pictures]
        else:
            space = self.bundle.manifest.embedding_space
            rows = _vectors(len(self.pictures), self.bundle.manifest.dimension, seed=1)
            inputs = [types_pb2.Input(vector=types_pb2.Vector(data=v.tobytes(), embedding_space=space)) for v in rows]
        return [pb.ClassifyRequest(collections=[f"collections/{self.name}"], inputs=[query]) for query in inputs]


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
            responses = {subject.name: enroll(addresses[subject.name], subject) for subject in subjects}
            rows, floors = _repeat(folder, addresses, subjects, responses, seconds, repeats)
    conditions = {"seconds a load": str(seconds), "repeats": str(repeats)}
    write_report(None if options.quick else options.out, rows, _targets(rows, floors), floors, conditions)


def enroll(address: str, subject: Subject) -> pb.ClassifyResponse:
    """Fills the subject's collection; returns a response of the size that the measured calls get."""
    manifest = subject.bundle.manifest
    rows = _vectors(_LABELS * _SHOTS, manifest.dimension, seed=0)
    with Client(address) as client:
        client.create_collection(subject.name, backbone=manifest.name)
        examples = [
            NewExample(Vector(row, manifest.embedding_space), f"label-{i % _LABELS}") for i, row in enumerate(rows)
        ]
        client.enroll(subject.name, examples, create_labels=True)
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(
            "/glimpse.v1.ClassificationService/Classify",
            request_serializer=pb.ClassifyRequest.SerializeToString,
            response_deserializer=pb.ClassifyResponse.FromString,
        )
        response: pb.ClassifyResponse = call(subject.requests("vector")[0])
        return response


@contextmanager
def echo_server(folder: Path, response: pb.ClassifyResponse) -> Iterator[str]:
    """Runs a server that always returns `response`; yields its address."""
    file = folder / "response"
    file.write_bytes(response.SerializeToString())
    process = subprocess.Popen([sys.executable, "-m", "bench.echo", file], stdout=subprocess.PIPE, text=True)
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
    responses: dict[str, pb.ClassifyResponse],
    seconds: float,
    repeats: int,
) -> tuple[list[Row], dict[str, Floor]]:
    """Measures floor, echo and server in turn, so that a slow moment of the machine affects all of them."""
    loads: dict[tuple[str, str, int], list[tuple[Load, Load]]] = {}
    floors: dict[str, list[Floor]] = {subject.name: [] for subject in subjects}
    threads = load_settings().encode_threads or cores()
    with Progress() as progress:
        task = progress.add_task("measuring", total=repeats * len(subjects) * (1 + 2 * len(CALLERS)))
        for _ in range(repeats):
            for subject in subjects:
                floors[subject.name].append(measure_floor(subject.bundle, subject.pictures, threads, seconds / 2))
                progress.advance(task)
                with echo_server(folder, responses[subject.name]) as echo:
                    for kind in ("image", "vector"):
                        for callers in CALLERS:
                            address = addresses[subject.name]
                            pair = asyncio.run(_pair(subject.requests(kind), echo, address, callers, seconds))
                            loads.setdefault((subject.name, kind, callers), []).append(pair)
                            progress.advance(task)
    medians = {name: _median_floor(repeated) for name, repeated in floors.items()}
    return [_row(*key, pairs, medians[key[0]]) for key, pairs in loads.items()], medians


async def _pair(
    requests: list[pb.ClassifyRequest], echo: str, address: str, callers: int, seconds: float
) -> tuple[Load, Load]:
    """Returns the loads of the echo server and of the real one."""
    loads = []
    for target in (echo, address):
        async with grpc.aio.insecure_channel(target) as channel:
            stub = ClassificationServiceStub(channel)

            def classify(number: int, stub: ClassificationServiceStub = stub) -> Awaitable[object]:
                return stub.Classify(requests[number % len(requests)])  # type: ignore[return-value]

            # On a slow machine the server refuses calls; these callers wait as it asks.
            loads.append(
                await closed_loop(lambda number, call=classify: until_answered(call, number), callers, seconds)  # type: ignore[misc]
            )
    return loads[0], loads[1]


def _median_load(loads: list[Load]) -> Load:
    return Load(*(statistics.median(getattr(load, name) for load in loads) for name in Load.__dataclass_fields__))


def _median_floor(floors: list[Floor]) -> Floor:
    def rates(pick: Callable[[Floor], dict[int, float]]) -> dict[int, float]:
        return {n: statistics.median(pick(floor)[n] for floor in floors) for n in BATCHES}

    return Floor(
        statistics.median(floor.decode_ms for floor in floors),
        statistics.median(floor.session_ms for floor in floors),
        rates(lambda floor: floor.session_rate),
        rates(lambda floor: floor.decode_and_session_rate),
    )


def _row(name: str, kind: str, callers: int, pairs: list[tuple[Load, Load]], floor: Floor) -> Row:
    echo, load = (_median_load([pair[i] for pair in pairs]) for i in (0, 1))
    to_echo = statistics.median(server.per_second / empty.per_second for empty, server in pairs)
    to_session = load.per_second / floor.session_rate[callers] if kind == "image" else None
    return Row(name, kind, callers, load, echo, to_echo, to_session)


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
    return targets


if __name__ == "__main__":
    main()
