"""A million vectors served: from AttachIndex to the first answer, and SearchExamples, idle and while encoders work.

    python -m bench.attach [--vectors 1000000] [--type FACTORY] [--out DIR]

The vectors are those of bench.index (bench/synthetic_vectors.py), in an index of its IVF-PQ. A real `glimpse serve`
process
has two backbones: a small one of 512 coordinates, whose collections stand on the indexes, and a ViT-B/32 of random
weights to keep the cores busy with. One caller searches by vector, one query a call. Floors in the same run: the same
index opened in this process and searched by one thread, and an empty call.

Busy: eight callers have the ViT-B/32 embed photographs all the while. What made 0.6 ms into 16 for 10,000 vectors,
flat, was FAISS's OpenMP threads beside ONNX Runtime's on the same cores; beside the server's figures stand those of
this process doing the same two things, with FAISS's threads as they are by default and with one. Where the encoder has
as many threads as there are cores, a search has a core to itself for a part of the time, and the bare one too.
"""

import argparse
import asyncio
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import faiss
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bench.inputs import photographs
from bench.report import Section, Target, write_tables
from bench.synthetic_vectors import DIMENSION, draw, shards_of
from bench.vectors import DATA, ROOT, Array
from bench.vit import vit_bundle
from glimpse.backbone import Bundle, Encoder, cores, decode_image, write_bundle
from glimpse.cli.demo.server import own_server
from glimpse.client import AsyncClient, Client, Vector
from glimpse.index import BulkIndex, Header, write_index
from glimpse.index.building.train import thread_count

FEW, ASKED, CALLERS, SIDE = 10_000, 300, 8, 8
#: Milliseconds: p50 and p95.
Spread = tuple[float, float]


class Scene(NamedTuple):
    """What is served: the folder of indexes, the two backbones, and vectors to ask with, (n, d)."""

    folder: Path
    small: Bundle
    vit: Bundle
    queries: Array

    @property
    def indexes(self) -> Path:
        return self.folder / "data" / "indexes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--type", default="IVF4000,PQ256x4fs,Refine(SQfp16)")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as name:
        scene = _scene(Path(name), given.vectors, given.data)
        started = time.perf_counter()
        _index(scene, "many", given.vectors, given.type)
        _index(scene, "few", FEW, "Flat")
        found = {"build s": time.perf_counter() - started}
        rows = _bare(scene)
        with own_server(scene.folder, [scene.small.path, scene.vit.path]) as address:
            found |= _attach(scene, address)
            rows |= asyncio.run(_served(scene, address))
        started = time.perf_counter()
        with own_server(scene.folder, [scene.small.path, scene.vit.path]) as address, Client(address) as client:
            _first_answer(scene, client)
            found["restart to first answer s"] = time.perf_counter() - started
    _report(given.out, given.vectors, given.type, found, rows)


def _scene(folder: Path, vectors: int, data: Path) -> Scene:
    draw(vectors, data)
    queries = shards_of(vectors)[0].vectors(np.random.default_rng(3).choice(vectors, ASKED, replace=False))
    # Near rows, not rows.
    noise = np.random.default_rng(4).normal(0, 0.2 * DIMENSION**-0.5, queries.shape).astype(np.float32)
    moved = queries + noise
    return Scene(
        folder, _small(folder / "small"), vit_bundle(folder / "vit"), moved / np.linalg.norm(moved, axis=1)[:, None]
    )


def _small(out: Path) -> Bundle:
    """A backbone of as many coordinates as the vectors have; nobody asks it to encode."""
    weights = np.random.default_rng(0).normal(size=(SIDE * SIDE * 3, DIMENSION)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["raw"]),
        helper.make_node("LpNormalization", ["raw"], ["embedding"], axis=1, p=2),
    ]
    pixels = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", SIDE, SIDE, 3])
    vectors = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", DIMENSION])
    graph = helper.make_graph(nodes, "image", [pixels], [vectors], [numpy_helper.from_array(weights, "weights")])
    model = out.with_suffix(".onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), model)
    fields = {
        "name": "small",
        "description": "for timing",
        "modalities": ("image",),
        "dimension": DIMENSION,
        "image": {"size": SIDE, "resize": "squash", "interpolation": "bilinear"},
        "decision": {"match_threshold": 0.5, "match_margin": 0.01},
        "license": "Apache-2.0",
    }
    return write_bundle(out, fields, {"image.onnx": model})


def _index(scene: Scene, name: str, count: int, factory: str) -> None:
    about = scene.small.manifest
    header = Header(backbone=about.name, embedding_space=about.embedding_space, dimension=DIMENSION)
    draw(count, DATA)
    write_index(scene.indexes / name, shards_of(count)[0].tables(), header, factory=factory, threads=2)


def _bare(scene: Scene) -> dict[str, Spread]:
    """In this process, by one thread: idle, and beside an encoder that never rests."""
    many, few = BulkIndex.open(scene.indexes / "many"), BulkIndex.open(scene.indexes / "few")
    rows = {}
    for threads, told in ((1, "one FAISS thread"), (faiss.omp_get_max_threads(), "FAISS's threads as they are")):
        with thread_count(threads):
            rows[f"here, {told}: many"] = _spread(lambda i: many.search(scene.queries[i : i + 1], 10))
            rows[f"here, {told}: few"] = _spread(lambda i: few.search(scene.queries[i : i + 1], 10))
            with _encoding(scene.vit):
                rows[f"here, {told}: many, busy"] = _spread(lambda i: many.search(scene.queries[i : i + 1], 10))
                rows[f"here, {told}: few, busy"] = _spread(lambda i: few.search(scene.queries[i : i + 1], 10))
    return rows


@contextmanager
def _encoding(bundle: Bundle) -> Iterator[None]:
    """An encoder at work in another thread, on every core."""
    rule, ended = bundle.manifest.image, threading.Event()
    assert rule is not None
    encoder = Encoder(bundle, threads=cores())
    batch = np.stack([decode_image(data, rule) for data in photographs()[:8]])

    def work() -> None:
        while not ended.is_set():
            encoder.encode_images(batch)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(1)
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _attach(scene: Scene, address: str) -> dict[str, float]:
    with Client(address, timeout=120) as client:
        for name in ("many", "few"):
            client.create_collection(name, backbone="small")
        client.attach_index("few", "few")
        started = time.perf_counter()
        client.attach_index("many", "many")
        attached = time.perf_counter() - started
        _first_answer(scene, client)
        return {"attach s": attached, "attach to first answer s": time.perf_counter() - started}


def _first_answer(scene: Scene, client: Client) -> None:
    space = scene.small.manifest.embedding_space
    [result] = client.classify("many", [Vector(scene.queries[0], space)])
    assert result.unwrap().label


async def _served(scene: Scene, address: str) -> dict[str, Spread]:
    """SearchExamples over gRPC: idle, and beside callers who have photographs embedded."""
    space = scene.small.manifest.embedding_space
    async with AsyncClient(address, timeout=120) as client:

        async def asked(name: str) -> Spread:
            return await _aspread(lambda i: client.search_examples(name, [Vector(scene.queries[i], space)]))

        # The fit that follows an attachment is done with first.
        await client.collection_report("many", timeout=600)
        await client.collection_report("few", timeout=600)
        rows = {"an empty call": await _aspread(lambda _: client.get_collection("few"))}
        rows |= {"served: many": await asked("many"), "served: few": await asked("few")}
        ended, pictures = asyncio.Event(), photographs()

        async def caller(number: int) -> None:
            while not ended.is_set():
                await client.embed([pictures[number % len(pictures)]], backbone=scene.vit.manifest.name)

        callers = [asyncio.create_task(caller(number)) for number in range(CALLERS)]
        await asyncio.sleep(2)
        rows |= {"served: many, busy": await asked("many"), "served: few, busy": await asked("few")}
        rows["an empty call, busy"] = await _aspread(lambda _: client.get_collection("few"))
        ended.set()
        await asyncio.gather(*callers)
    return rows


def _spread(work: Callable[[int], object]) -> Spread:
    taken = []
    for i in range(ASKED):
        started = time.perf_counter()
        work(i)
        taken.append(time.perf_counter() - started)
    return _told(taken)


async def _aspread(work: Callable[[int], Awaitable[object]]) -> Spread:
    taken = []
    for i in range(ASKED):
        started = time.perf_counter()
        await work(i)
        taken.append(time.perf_counter() - started)
    return _told(taken)


def _told(seconds: list[float]) -> Spread:
    """The first few warm up."""
    p50, p95 = np.percentile(seconds[10:], [50, 95]) * 1e3
    return float(p50), float(p95)


def _report(out: Path, vectors: int, factory: str, found: dict[str, float], rows: dict[str, Spread]) -> None:
    sections: list[Section] = [
        (f"{vectors:,} vectors, {factory}: seconds", list(found), [[f"{value:.2f}" for value in found.values()]]),
        (
            f"one query a call: many = {vectors:,}, few = {FEW:,} (Flat); milliseconds",
            ["what", "p50", "p95"],
            [[name, *(f"{value:.2f}" for value in spread)] for name, spread in rows.items()],
        ),
    ]
    targets = [
        Target("attach to first answer, s", found["attach to first answer s"], "<=", 5.0),
        Target("restart to first answer, s", found["restart to first answer s"], "<=", 20.0),
    ]
    for name in ("few", "many"):
        busy, idle = rows[f"served: {name}, busy"][0], rows[f"served: {name}"][0]
        targets.append(Target(f"{name}: served while encoders work / idle, p50", busy / idle, "<=", 1.5))
    head = ["# An index, served", "", "Made by `python -m bench.attach`, whose head tells how."]
    write_tables(out / "attach", head, sections, ("To reach", targets), {"found": found, "rows": rows}, {})


if __name__ == "__main__":
    main()
