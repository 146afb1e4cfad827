"""Measures the server's own work in front of a fast device: processor time a picture, and the size of batches.

    python -m bench.fake_gpu [--seconds 3] [--repeats 5] [--only NAME] [--out DIR]

The device sleeps for 0.8 ms a run and 0.02 ms a picture, as an H200 computes a ViT-B/32 in 16 bits, so all processor
time is the server's and its decoders'. Pictures are BMP files of 224 x 224, which need little decoding, or JPEG
files of 320 x 240. The floor is the processor time of decoding alone, in this process. With two cores the server has
one and the callers have the other.
"""

import argparse
import asyncio
import io
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import grpc
import numpy as np
from PIL import Image

from bench.closed_loop import Load, closed_loop
from bench.inputs import photographs
from bench.machine import descendants
from bench.report import page_head, write_tables
from bench.server import Served, serving
from bench.vit import vit_bundle
from glimpse.backbone import Bundle, ImageRule, decode_image
from glimpse.v1 import embedding_service_pb2 as pb
from glimpse.v1 import types_pb2

_PATH = "/glimpse.v1.EmbeddingService/Embed"
_TICKS = os.sysconf("SC_CLK_TCK")
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@dataclass(frozen=True)
class Case:
    """A kind of picture, how many a call has, and how many calls run at once."""

    pictures: str
    per_call: int
    callers: int


CASES = tuple(
    Case(pictures, *load) for pictures in ("BMP 224", "JPEG 320") for load in ((1, 1), (1, 32), (8, 16), (64, 4))
)


@dataclass(frozen=True)
class Result:
    """Medians over the repeats of one case."""

    per_second: float
    p50_ms: float
    mean_batch: float
    cpu_ms: float
    decode_ms: float
    cores_used: float


def main() -> None:
    """Runs the cases and writes the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default="", help="a part of a case's kind of picture")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    results: dict[Case, Result] = {}
    with tempfile.TemporaryDirectory() as temporary, _both(Path(temporary)) as (served, bundle):
        rule = bundle.manifest.image
        assert rule
        files = {"BMP 224": _bitmaps(), "JPEG 320": photographs()}
        for case in CASES:
            if options.only in case.pictures:
                results[case] = _measure(served, case, files[case.pictures], rule, options.seconds, options.repeats)
                print(case, results[case], flush=True)
    columns = ["pictures", "a call", "calls at once", "pictures/s", "p50 ms", "batch", "CPU ms", "decode ms", "cores"]
    rows = [[case.pictures, str(case.per_call), str(case.callers), *_cells(result)] for case, result in results.items()]
    head = page_head("The server in front of a device that sleeps", "bench.fake_gpu")
    record = {"cases": [{**asdict(case), **asdict(result)} for case, result in results.items()]}
    out = None if options.only else options.out / "fake_gpu"
    write_tables(out, head, [("Embed over gRPC", columns, rows)], ("Targets", []), record, {})


def _cells(result: Result) -> list[str]:
    return [
        f"{result.per_second:.0f}",
        f"{result.p50_ms:.1f}",
        f"{result.mean_batch:.1f}",
        f"{result.cpu_ms:.2f}",
        f"{result.decode_ms:.2f}",
        f"{result.cores_used:.2f}",
    ]


@contextmanager
def _both(folder: Path) -> Iterator[tuple[Served, Bundle]]:
    bundle = vit_bundle(folder / "vit-b32")
    cores = sorted(os.sched_getaffinity(0))
    alone = len(cores) == 2
    if alone:
        os.sched_setaffinity(0, {cores[1]})
    module = "bench.fake_gpu_server"
    with serving(folder / "server", bundle, cores={cores[0]} if alone else None, module=module) as served:
        yield served, bundle


def _measure(served: Served, case: Case, files: list[bytes], rule: ImageRule, seconds: float, repeats: int) -> Result:
    runs = [astuple(_load(served, case, files, rule, seconds)) for _ in range(repeats)]
    return Result(*(statistics.median(values) for values in zip(*runs, strict=True)))


def _load(served: Served, case: Case, files: list[bytes], rule: ImageRule, seconds: float) -> Result:
    began, cpu = time.perf_counter(), _cpu_seconds(served.process.pid)
    load, count, batches = asyncio.run(_callers(served.address, case, files, seconds))
    took, cpu = time.perf_counter() - began, _cpu_seconds(served.process.pid) - cpu
    return Result(
        load.per_second * case.per_call,
        load.p50_ms,
        statistics.mean(batches),
        1e3 * cpu / count,
        _decode_ms(files, rule),
        cpu / took,
    )


async def _callers(address: str, case: Case, files: list[bytes], seconds: float) -> tuple[Load, int, list[float]]:
    """Returns the load, the number of pictures that were sent, and the batches of some of them."""
    requests = [_request(case, files, number) for number in range(8)]
    calls, answers = 0, list[bytes]()
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        embed: Callable[[bytes], Awaitable[bytes]] = channel.unary_unary(_PATH, None, None)

        async def call(number: int) -> None:
            nonlocal calls
            answer = await embed(requests[number % len(requests)])
            calls += 1
            if calls % 16 == 1:  # parsing all of them would take time from the server
                answers.append(answer)

        load = await closed_loop(call, case.callers, seconds)
    sizes = [
        float(result.timings.batch_size) for answer in answers for result in pb.EmbedResponse.FromString(answer).results
    ]
    return load, calls * case.per_call, sizes


def _request(case: Case, files: list[bytes], number: int) -> bytes:
    chosen = (files[(number * case.per_call + i) % len(files)] for i in range(case.per_call))
    inputs = [types_pb2.Input(image=file) for file in chosen]
    return pb.EmbedRequest(backbone="backbones/vit-b32", inputs=inputs).SerializeToString()


def _bitmaps() -> list[bytes]:
    files = []
    for shade in np.random.default_rng(0).integers(0, 256, 16):
        file = io.BytesIO()
        Image.new("RGB", (224, 224), (int(shade),) * 3).save(file, "BMP")
        files.append(file.getvalue())
    return files


def _decode_ms(files: list[bytes], rule: ImageRule) -> float:
    began = time.process_time()
    for file in files:
        decode_image(file, rule)
    return 1e3 * (time.process_time() - began) / len(files)


def _cpu_seconds(pid: int) -> float:
    """Returns the processor time of a process and of all that it has started and that run."""
    stats = (Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in (pid, *descendants(pid)))
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) / _TICKS


if __name__ == "__main__":
    main()
