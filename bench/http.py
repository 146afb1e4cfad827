"""Measures whether HTTP in the server's process slows gRPC down, and how fast HTTP/JSON is itself.

    make bench-http       or: python -m bench.http [--quick] [--seconds S] [--repeats N] [--before REV] [--out DIR]

Three real `glimpse serve` processes have glimpse-mini: the last revision without HTTP (from a git worktree), this one
without `--http`, and this one with it. A closed loop of 1 and of 8 callers sends Classify with one vector: over gRPC to
each server, and to the last one over HTTP too, binary and in JSON. One load follows the other, and each repeat begins
with another one, so that a slow moment of the machine affects all. Every figure is the median of the repeats; a ratio
is the median of the ratios within one repeat. The callers run on the same cores as the server.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict
from pathlib import Path

import aiohttp
import grpc
import numpy as np
from google.protobuf import json_format
from rich.progress import Progress

from bench.closed_loop import Load, closed_loop, median_load
from bench.report import Target, page_head, write_tables
from bench.server import Served, serving
from glimpse.backbone import bundled, load_bundle
from glimpse.client import Client, NewExample, Vector
from glimpse.v1 import classification_service_pb2 as pb
from glimpse.v1 import types_pb2
from glimpse.v1.classification_service_pb2_grpc import ClassificationServiceStub

#: The last revision in which the server had no HTTP.
BEFORE = "845ed022"
CALLERS = (1, 8)
_REQUESTS, _LABELS, _SHOTS = 64, 20, 5
_PATH = "/glimpse.v1.ClassificationService/Classify"
# gRPC's speed counts as unchanged from this ratio on.
_UNCHANGED = 0.95

Call = Callable[[int], Awaitable[object]]
Loads = dict[tuple[str, int], list[Load]]
BEFORE_HTTP, WITHOUT, WITH = "gRPC, before HTTP existed", "gRPC, without --http", "gRPC, with --http"
BINARY, IN_JSON = "HTTP, binary", "HTTP, JSON"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short repeat; for trying out, not for recording")
    parser.add_argument("--seconds", type=float, default=3.0, help="duration of every load")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--before", default=BEFORE, metavar="REV", help="the revision to compare with")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    seconds, repeats = (1.0, 1) if options.quick else (options.seconds, options.repeats)
    bundle = load_bundle(bundled())
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        tree = stack.enter_context(worktree(options.before, folder / "tree"))
        servers = {
            BEFORE_HTTP: stack.enter_context(serving(folder / "before", bundle, tree=tree)),
            WITHOUT: stack.enter_context(serving(folder / "without", bundle)),
            WITH: stack.enter_context(serving(folder / "with", bundle, http="127.0.0.1:0")),
        }
        requests = [fill(server) for server in servers.values()][-1]
        loads = asyncio.run(measure(servers, requests, seconds, repeats))
    conditions = {"before": options.before, "seconds a load": str(seconds), "repeats": str(repeats)}
    record(None if options.quick else options.out, loads, conditions)


@contextmanager
def worktree(revision: str, folder: Path) -> Iterator[Path]:
    """Checks out a revision of this repository into a folder while the context is open."""
    git = ["git", "-C", str(Path(__file__).parent), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), revision], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def fill(server: Served) -> list[pb.ClassifyRequest]:
    """Fills a collection; returns the requests."""
    with Client(server.address) as client:
        backbone = client.get_backbone("glimpse-mini")
        rows = np.random.default_rng(0).normal(size=(_LABELS * _SHOTS + _REQUESTS, backbone.dimension)).astype("<f4")
        client.create_collection("bench")
        examples = [
            NewExample(Vector(row, backbone.embedding_space), f"label-{number % _LABELS}")
            for number, row in enumerate(rows[:-_REQUESTS])
        ]
        client.enroll("bench", examples, create_labels=True)
        client.collection_report("bench")  # waits for the fit
    space = backbone.embedding_space
    inputs = [types_pb2.Input(vector=types_pb2.Vector(data=row.tobytes(), embedding_space=space)) for row in rows]
    return [pb.ClassifyRequest(collections=["collections/bench"], inputs=[one]) for one in inputs[-_REQUESTS:]]


async def measure(
    servers: dict[str, Served], requests: list[pb.ClassifyRequest], seconds: float, repeats: int
) -> Loads:
    """Returns the loads of each way to call, by its name and the number of callers."""
    names = [*servers, BINARY, IN_JSON]
    loads: Loads = {(name, callers): [] for callers in CALLERS for name in names}
    with Progress() as progress:
        task = progress.add_task("measuring", total=repeats * len(loads))
        for repeat in range(repeats):
            first = repeat % len(names)
            for callers in CALLERS:
                for name in [*names[first:], *names[:first]]:
                    server = servers.get(name, servers[WITH])
                    async with opened(name, server, requests) as call:
                        loads[name, callers].append(await closed_loop(call, callers, seconds))
                    progress.advance(task)
    return loads


@asynccontextmanager
async def opened(name: str, server: Served, requests: list[pb.ClassifyRequest]) -> AsyncIterator[Call]:
    """Yields the call of a server in the way that `name` says."""
    if name not in (BINARY, IN_JSON):
        async with grpc.aio.insecure_channel(server.address) as channel:
            stub = ClassificationServiceStub(channel)
            yield lambda number: stub.Classify(requests[number % _REQUESTS])
        return
    parse: Callable[[bytes], object]
    if name == IN_JSON:
        kind, parse = "application/json", json.loads
        bodies = [json_format.MessageToJson(one, indent=None).encode() for one in requests]
    else:
        kind, parse = "application/proto", pb.ClassifyResponse.FromString
        bodies = [one.SerializeToString() for one in requests]
    async with aiohttp.ClientSession(headers={"content-type": kind}) as session:

        async def post(number: int) -> object:
            async with session.post(server.url + _PATH, data=bodies[number % _REQUESTS]) as response:
                response.raise_for_status()
                return parse(await response.read())

        yield post


def record(out: Path | None, loads: Loads, conditions: dict[str, str]) -> None:
    """Prints the table and the targets; with `out`, also writes http.md and http.json there."""
    medians = {key: median_load(several) for key, several in loads.items()}
    rows = [
        [name, str(callers), f"{load.per_second:.0f}", f"{load.p50_ms:.2f}", f"{load.p99_ms:.2f}"]
        for (name, callers), load in medians.items()
    ]
    targets = [
        Target(f"{name} to {other}, n={callers}", ratio(loads, name, other, callers), ">=", _UNCHANGED)
        for callers in CALLERS
        for name, other in ((WITHOUT, BEFORE_HTTP), (WITH, WITHOUT), (WITH, BEFORE_HTTP))
    ]
    section = ("Classify with one vector, n callers", ["calls", "n", "calls/s", "p50 ms", "p99 ms"], rows)
    kept = {"loads": [{"calls": name, "callers": n, **asdict(load)} for (name, n), load in medians.items()]}
    head = page_head("gRPC beside HTTP/JSON in one process", "bench.http")
    write_tables(out and out / "http", head, [section], ("Targets: calls/s", targets), kept, conditions)


def ratio(loads: Loads, name: str, other: str, callers: int) -> float:
    """Returns how the calls per second of one way compare with those of another."""
    pairs = zip(loads[name, callers], loads[other, callers], strict=True)
    return statistics.median(one.per_second / two.per_second for one, two in pairs)


if __name__ == "__main__":
    main()
