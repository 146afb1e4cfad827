"""Classify over gRPC beside its floors, all in the same run.

    make bench            or: python -m bench.serve [--quick] [--seconds S] [--repeats N] [--out DIR]

A real `glimpse serve` process for each of two backbones, the bundled glimpse-mini and a ViT-B/32 of random weights,
under a closed loop of 1, 8 and 32 callers with one input a call. Floors: the bare ONNX Runtime session at batches of
the same size, and a grpc.aio server that only returns a reply of the same size. Every figure is the median of the
repeats; the callers run on the same cores as the server.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
from rich.progress import Progress

from bench.baselines import BATCHES, Floor, measure_floor
from bench.closed_loop import Load, closed_loop
from bench.inputs import drawings, photographs
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
        """One input a call, by image or by vector."""
        if kind == "image":
            inputs = [types_pb2.Input(image=picture) for picture in self.pictures]
        else:
            space = self.bundle.manifest.embedding_space
            rows = _vectors(len(self.pictures), self.bundle.manifest.dimension, seed=1)
            inputs = [types_pb2.Input(vector=types_pb2.Vector(data=v.tobytes(), embedding_space=space)) for v in rows]
        return [pb.ClassifyRequest(collections=[f"collections/{self.name}"], inputs=[one]) for one in inputs]


def _vectors(count: int, dimension: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dimension)).astype("<f4")
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short repeat; for trying out, not for recording")
    parser.add_argument("--seconds", type=float, default=4.0, help="of every load")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    seconds, repeats = (1.0, 1) if given.quick else (given.seconds, given.repeats)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subjects = [Subject(load_bundle(bundled()), drawings()), Subject(vit_bundle(folder / "vit"), photographs())]
        with ExitStack() as servers:
            addresses = {one.name: servers.enter_context(server_of(one.bundle, folder / one.name)) for one in subjects}
            replies = {subject.name: _enroll(addresses[subject.name], subject) for subject in subjects}
            rows, floors = _repeat(folder, addresses, subjects, replies, seconds, repeats)
    conditions = {"seconds a load": str(seconds), "repeats": str(repeats)}
    write_report(None if given.quick else given.out, rows, _targets(rows, floors), floors, conditions)


def _enroll(address: str, subject: Subject) -> pb.ClassifyResponse:
    """Fills the subject's collection; returns a reply as it will come."""
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
        reply: pb.ClassifyResponse = call(subject.requests("vector")[0])
        return reply


@contextmanager
def _echo(folder: Path, reply: pb.ClassifyResponse) -> Iterator[str]:
    file = folder / "reply"
    file.write_bytes(reply.SerializeToString())
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
    replies: dict[str, pb.ClassifyResponse],
    seconds: float,
    repeats: int,
) -> tuple[list[Row], dict[str, Floor]]:
    """Floor, echo and server in turn, so that the machine's moods fall on all alike."""
    loads: dict[tuple[str, str, int], list[tuple[Load, Load]]] = {}
    floors: dict[str, list[Floor]] = {subject.name: [] for subject in subjects}
    threads = load_settings().encode_threads or cores()
    with Progress() as progress:
        task = progress.add_task("measuring", total=repeats * len(subjects) * (1 + 2 * len(CALLERS)))
        for _ in range(repeats):
            for subject in subjects:
                floors[subject.name].append(measure_floor(subject.bundle, subject.pictures, threads, seconds / 2))
                progress.advance(task)
                with _echo(folder, replies[subject.name]) as echo:
                    for kind in ("image", "vector"):
                        for callers in CALLERS:
                            address = addresses[subject.name]
                            pair = asyncio.run(_pair(subject.requests(kind), echo, address, callers, seconds))
                            loads.setdefault((subject.name, kind, callers), []).append(pair)
                            progress.advance(task)
    middle = {name: _middle_floor(several) for name, several in floors.items()}
    return [_row(*key, several, middle[key[0]]) for key, several in loads.items()], middle


async def _pair(
    requests: list[pb.ClassifyRequest], echo: str, address: str, callers: int, seconds: float
) -> tuple[Load, Load]:
    """The echo under load, then the server under the same load."""
    found = []
    for target in (echo, address):
        async with grpc.aio.insecure_channel(target) as channel:
            stub = ClassificationServiceStub(channel)
            found.append(await closed_loop(lambda i, s=stub: s.Classify(requests[i % len(requests)]), callers, seconds))  # type: ignore[misc]
    return found[0], found[1]


def _middle(several: list[Load]) -> Load:
    return Load(*(statistics.median(getattr(one, name) for one in several) for name in Load.__dataclass_fields__))


def _middle_floor(several: list[Floor]) -> Floor:
    def rates(pick: Callable[[Floor], dict[int, float]]) -> dict[int, float]:
        return {n: statistics.median(pick(one)[n] for one in several) for n in BATCHES}

    return Floor(
        statistics.median(one.decode_ms for one in several),
        statistics.median(one.session_ms for one in several),
        rates(lambda one: one.session_rate),
        rates(lambda one: one.decode_and_session_rate),
    )


def _row(name: str, kind: str, callers: int, several: list[tuple[Load, Load]], floor: Floor) -> Row:
    echo, load = (_middle([pair[i] for pair in several]) for i in (0, 1))
    to_echo = statistics.median(server.per_second / empty.per_second for empty, server in several)
    to_session = load.per_second / floor.session_rate[callers] if kind == "image" else None
    return Row(name, kind, callers, load, echo, to_echo, to_session)


def _targets(rows: list[Row], floors: dict[str, Floor]) -> list[Target]:
    """What was to be reached, beside what was."""
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
