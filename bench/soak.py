"""Checks that a server's memory does not grow, under a random mix of every call for a quarter of an hour.

    make bench            or: python -m bench.soak [--minutes M] [--out DIR]

A real `glimpse serve` process has glimpse-mini. Each caller performs random actions: it sends pictures from 8 x 8 to 10
megapixels (JPEG, PNG, WebP), damaged pictures, texts, vectors and lists of them; it enrolls and deletes examples,
creates and deletes collections, searches, classifies by prompts and streams; it cancels calls, sets deadlines that are
too short, leaves streams in the middle and cuts connections. The script reads the server's memory every 5 seconds, and
its active work at the end, when all callers have left.
"""

import argparse
import asyncio
import io
import os
import random
import re
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import numpy as np
from PIL import Image

from bench.report import Target, page_head, write_tables
from bench.server import Served, serving
from glimpse.backbone import bundled, load_bundle
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1.classification_service_pb2_grpc import ClassificationServiceStub
from glimpse.v1.collection_service_pb2_grpc import CollectionServiceStub
from glimpse.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from glimpse.v1.types_pb2 import Input, Vector

_READING_SECONDS = 5.0
_CALLERS, _MAX_CALLS_PER_CONNECTION = 12, 40
_WARM_UP_SECONDS = 60.0
_SIZES = ((8, 8), (105, 105), (320, 240), (640, 480), (1600, 1200), (3650, 2740))
# How often each size is sent. A large picture takes a tenth of a second; with equal shares, large ones would take all
# the time.
_WEIGHTS = (8, 8, 8, 4, 2, 1)
_MAX_EXAMPLES = 500
Reading = tuple[float, int, int]
"""Seconds since the start, RSS in kB, number of threads."""
ActiveWork = dict[str, int]


class Materials:
    """The inputs to send, made once."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.pictures: list[bytes] = []
        for (width, height), weight in zip(_SIZES, _WEIGHTS, strict=True):
            grain = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
            image = Image.fromarray(grain).resize((width, height))
            for kind in ("JPEG", "PNG", "WEBP"):
                file = io.BytesIO()
                image.save(file, kind)
                self.pictures += [file.getvalue()] * weight
        words = [f"{a}{b}" for a in ("red", "old", "small", "round") for b in (" fox", " house", " sea", " map")]
        self.texts = [*words, *(" ".join(words) * n for n in (1, 10, 100))]
        self.prompts = [f"a picture of {word}, number {n}" for word in words for n in range(30)]
        manifest = load_bundle(bundled()).manifest
        self.vectors = [
            Vector(data=row.tobytes(), embedding_space=manifest.embedding_space)
            for row in rng.normal(size=(50, manifest.dimension)).astype("<f4")
        ]
        intact = self.pictures[40]
        self.damaged = [
            b"",
            b"no picture",
            intact[: len(intact) // 2],
            intact[:30],
            b"\x89PNG\r\n\x1a\n" + bytes(1_000),
        ]

    def inputs(self, count: int) -> list[Input]:
        """Returns random inputs of every kind, some of them damaged."""
        return [self._input() for _ in range(count)]

    def _input(self) -> Input:
        kind = random.random()
        if kind < 0.4:
            return Input(image=random.choice(self.pictures))
        if kind < 0.65:
            return Input(text=random.choice(self.texts))
        if kind < 0.9:
            return Input(vector=random.choice(self.vectors))
        return Input(image=random.choice(self.damaged))


class Caller:
    """Performs one random action after another, over connections that it replaces."""

    def __init__(self, address: str, materials: Materials, counts: Counter[str]) -> None:
        self._address, self._materials, self._counts = address, materials, counts
        self._examples: list[str] = []  # resource names

    async def run(self, end: float) -> None:
        while time.monotonic() < end:
            async with grpc.aio.insecure_channel(self._address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                self.classification = ClassificationServiceStub(channel)
                self.collections = CollectionServiceStub(channel)
                self.embedding = EmbeddingServiceStub(channel)
                last: asyncio.Task[None] | None = None
                for _ in range(random.randint(1, _MAX_CALLS_PER_CONNECTION)):
                    if time.monotonic() >= end:
                        break
                    last = asyncio.create_task(self._act())
                    await asyncio.wait([last], timeout=30 if random.random() < 0.9 else 0.005)
                if random.random() < 0.5:
                    await channel.close(None)  # cuts off the calls under way
            if last:
                await last

    async def _act(self) -> None:
        actions: list[tuple[int, Callable[[], Awaitable[object]]]] = [
            (30, self._classify),
            (8, self._cancelled),
            (8, self._stream),
            (8, self._enroll),
            (4, self._delete),
            (4, self._search),
            (4, self._zero_shot),
            (4, self._embed),
            (2, self._passing_collection),
            (1, self._raw_bytes),
        ]
        [(_, action)] = random.choices(actions, [weight for weight, _ in actions])
        try:
            await action()
            outcome = "answered"
        except grpc.aio.AioRpcError as error:
            outcome = error.code().name
        except (asyncio.CancelledError, grpc.aio.UsageError, OSError):
            outcome = "cut off"
        self._counts[f"{action.__name__.strip('_')}: {outcome}"] += 1

    def _classify_request(self) -> cls.ClassifyRequest:
        count = random.choice((1, 1, 1, 4, 16))
        return cls.ClassifyRequest(collections=["collections/soak"], inputs=self._materials.inputs(count))

    async def _classify(self) -> object:
        return await self.classification.Classify(self._classify_request(), timeout=random.choice((0.02, 1, 20, 20)))

    async def _cancelled(self) -> object:
        call = self.classification.Classify(self._classify_request())
        await asyncio.sleep(random.random() ** 3 * 0.1)
        call.cancel()
        return await call

    async def _stream(self) -> object:
        read_all = random.random() < 0.5

        async def requests() -> AsyncIterator[cls.StreamClassifyRequest]:
            yield cls.StreamClassifyRequest(config=cls.StreamClassifyConfig(collections=["collections/soak"]))
            for _ in range(random.randint(1, 40)):
                [query] = self._materials.inputs(1)
                yield cls.StreamClassifyRequest(input=query)
            if not read_all:
                await asyncio.sleep(10)  # the stream is cancelled before this ends

        call = self.classification.StreamClassify(requests())
        answers = 0
        async for _ in call:
            answers += 1
            if not read_all and answers >= 3:
                call.cancel()
        return answers

    async def _enroll(self) -> object:
        while len(self._examples) >= _MAX_EXAMPLES // _CALLERS:  # keeps the size of the collection constant
            await self._delete()
        inputs = self._materials.inputs(random.choice((1, 4)))
        examples = [col.NewExample(label_id=f"label-{random.randrange(20)}", input=content) for content in inputs]
        request = col.EnrollExamplesRequest(parent="collections/soak", examples=examples, create_labels=True)
        response = await self.collections.EnrollExamples(request, timeout=20)
        self._examples += [result.example.name for result in response.results if not result.status.code]
        return response

    async def _delete(self) -> object:
        if not self._examples:
            return None
        return await self.collections.DeleteExample(col.DeleteExampleRequest(name=self._examples.pop()), timeout=20)

    async def _search(self) -> object:
        request = cls.SearchExamplesRequest(collection="collections/soak", inputs=self._materials.inputs(2))
        return await self.classification.SearchExamples(request, timeout=20)

    async def _zero_shot(self) -> object:
        labels = [cls.PromptedLabel(label_id=prompt) for prompt in random.sample(self._materials.prompts, 8)]
        return await self.classification.ClassifyZeroShot(
            cls.ClassifyZeroShotRequest(labels=labels, inputs=self._materials.inputs(1)), timeout=20
        )

    async def _embed(self) -> object:
        return await self.embedding.Embed(emb.EmbedRequest(inputs=self._materials.inputs(4)), timeout=20)

    async def _passing_collection(self) -> object:
        name = f"passing-{random.randrange(10**9)}"
        await self.collections.CreateCollection(col.CreateCollectionRequest(collection_id=name))
        examples = [col.NewExample(label_id="a", input=content) for content in self._materials.inputs(4)]
        await self.collections.EnrollExamples(
            col.EnrollExamplesRequest(parent=f"collections/{name}", examples=examples, create_labels=True), timeout=20
        )
        return await self.collections.DeleteCollection(
            col.DeleteCollectionRequest(name=f"collections/{name}", force=True), timeout=20
        )

    async def _raw_bytes(self) -> object:
        """Sends random bytes that are not HTTP/2."""
        host, port = self._address.rsplit(":", 1)
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(random.randbytes(200))
        await asyncio.sleep(0.01)
        writer.close()
        return None


async def soak(served: Served, seconds: float) -> tuple[list[Reading], Counter[str]]:
    """Runs the callers for `seconds`; returns the readings of memory, and the number of calls by action and outcome."""
    counts: Counter[str] = Counter()
    readings: list[Reading] = []
    async with grpc.aio.insecure_channel(served.address) as channel:
        stub = CollectionServiceStub(channel)
        await stub.CreateCollection(col.CreateCollectionRequest(collection_id="soak"))
    started, materials = time.monotonic(), Materials()

    async def read() -> None:
        while True:
            readings.append((time.monotonic() - started, served.status("VmRSS"), served.status("Threads")))
            await asyncio.sleep(_READING_SECONDS)

    reader = asyncio.create_task(read())
    callers = [Caller(served.address, materials, counts) for _ in range(_CALLERS)]
    await asyncio.gather(*(caller.run(started + seconds) for caller in callers))
    reader.cancel()
    return readings, counts


def active_work(served: Served) -> ActiveWork:
    """Returns the work that the server has not ended, by kind, from its log."""
    time.sleep(2)
    os.kill(served.process.pid, signal.SIGUSR1)
    time.sleep(1)
    line = served.log.read_text().rsplit("under way: ", 1)[1].splitlines()[0]
    return {kind: int(count) for count, kind in re.findall(r"(\d+) ([^,]+)", line)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=16.0, help="duration, at least 3; the first minute is warm-up")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        serving(Path(name) / "server", load_bundle(bundled())) as served,
    ):
        before = active_work(served)
        readings, counts = asyncio.run(soak(served, 60 * options.minutes))
        after = active_work(served)
    report(options.out, options.minutes, readings, counts, before, after)


def report(
    out: Path, minutes: float, readings: list[Reading], counts: Counter[str], before: ActiveWork, after: ActiveWork
) -> None:
    """Reports the memory.

    Growth is that of the least reading of each minute: a large picture takes 30 MiB and more for a moment.
    """
    times, rss = np.array([(at, kb / 1024) for at, kb, _ in readings]).T
    warm_up = min(_WARM_UP_SECONDS, 15 * minutes)
    warm = times >= warm_up
    minute = (times[warm] - warm_up) // 60
    least = np.array([rss[warm][minute == number].min() for number in np.unique(minute)])
    third = max(1, len(least) // 3)
    growth = float(np.median(least[-third:]) / np.median(least[:third]))
    slopes = [60 * np.polyfit(times[warm], rss[warm], 1)[0], np.polyfit(np.arange(len(least)), least, 1)[0]]
    left_over = sum(count for kind, count in after.items() if kind not in ("tasks", "threads"))
    targets = [
        Target("least memory of a minute, last third to first third", growth, "<=", 1.05),
        Target("calls, bytes and queue places left over", left_over, "<=", 0),
        Target("more tasks than before", after["tasks"] - before["tasks"], "<=", 5),
    ]
    memory = []
    for end in (1, 5, 10, 15):
        values = rss[(times > warm_up + 60 * (end - 1)) & (times <= warm_up + 60 * end)]
        if len(values):
            figures = (values.min(), np.median(values), values.max())
            memory.append([f"minute {end}", *(f"{value:.0f}" for value in figures)])
    memory.append(["slope of all, of the least; MiB per minute", *(f"{slope:.1f}" for slope in slopes), ""])
    calls = [[call, str(count)] for call, count in sorted(counts.items())]
    active = [[kind, str(before[kind]), str(count)] for kind, count in after.items()]
    sections = [
        ("The server's memory (RSS), MiB, after a minute of warm-up", ["minute", "least", "median", "most"], memory),
        ("Active work", ["kind", "before", "after"], active),
        ("Calls", ["call", "count"], calls),
    ]
    record = {
        "readings": [{"seconds": at, "rss_kb": kb, "threads": threads} for at, kb, threads in readings],
        "calls": counts,
        "before": before,
        "after": after,
    }
    head = page_head("Memory under a random mix of calls", "bench.soak")
    conditions = {"minutes": str(minutes), "callers": str(_CALLERS)}
    write_tables(out / "soak", head, sections, ("Targets", targets), record, conditions)


if __name__ == "__main__":
    main()
