"""Measures a server with an index of a million vectors: the time to the first answer, and SearchExamples.

    python -m bench.attach [--vectors 1000000] [--type FACTORY] [--out DIR]

The vectors are those of bench.index (bench/synthetic_vectors.py), in its IVF-PQ index. A real `glimpse serve` process
has two backbones: a small one with d = 512, whose collections use the indexes, and a ViT-B/32 with random weights that
keeps the cores busy. One caller searches by vector, one query per call. The floors, in the same run, are an empty call,
and the same index searched by one thread of this process.

"Busy" rows: eight callers embed photographs with the ViT-B/32 during the searches. FAISS's OpenMP threads beside those
of ONNX Runtime on the same cores once slowed a flat search of 10,000 vectors from 0.6 to 16 ms. For comparison, this
process also searches while it encodes, with FAISS's default threads and with one. If the encoder has as many threads as
there are cores, a search has a core of its own only part of the time, with a server or without.
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
from bench.report import Section, Target, page_head, write_tables
from bench.synthetic_vectors import DIMENSION, draw, shards_of
from bench.vectors import DATA, ROOT, Array
from bench.vit import vit_bundle
from glimpse.backbone import Bundle, Encoder, cores, decode_image, write_bundle
from glimpse.cli.demo.server import own_server
from glimpse.client import AsyncClient, Client, Vector
from glimpse.index import BulkIndex, Header, write_index
from glimpse.index.building.train import thread_count

FEW, QUERIES, CALLERS, SIDE = 10_000, 300, 8, 8
#: p50 and p95 in milliseconds.
Spread = tuple[float, float]


class Setup(NamedTuple):
    """The server's folder, its two backbones, and the query vectors, (n, d)."""

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
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as name:
        setup = _setup(Path(name), options.vectors, options.data)
        started = time.perf_counter()
        _index(setup, "many", options.vectors, options.type)
        _index(setup, "few", FEW, "Flat")
        figures = {"build s": time.perf_counter() - started}
        rows = _search_here(setup)
        with own_server(setup.folder, [setup.small.path, setup.vit.path]) as address:
            figures |= _attach(setup, address)
            rows |= asyncio.run(_search_served(setup, address))
        started = time.perf_counter()
        with own_server(setup.folder, [setup.small.path, setup.vit.path]) as address, Client(address) as client:
            _first_answer(setup, client)
            figures["restart to first answer s"] = time.perf_counter() - started
    _report(options.out, options.vectors, options.type, figures, rows)


def _setup(folder: Path, vectors: int, data: Path) -> Setup:
    draw(vectors, data)
    queries = shards_of(vectors)[0].vectors(np.random.default_rng(3).choice(vectors, QUERIES, replace=False))
    # Noise makes the queries near the rows, but not equal to them.
    noise = np.random.default_rng(4).normal(0, 0.2 * DIMENSION**-0.5, queries.shape).astype(np.float32)
    queries = queries + noise
    return Setup(
        folder,
        small_bundle(folder / "small"),
        vit_bundle(folder / "vit"),
        queries / np.linalg.norm(queries, axis=1)[:, None],
    )


def small_bundle(out: Path) -> Bundle:
    """Writes a backbone with the dimension of the vectors. It is never asked to encode."""
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
        "description": "For measurements.",
        "modalities": ("image",),
        "dimension": DIMENSION,
        "image": {"size": SIDE, "resize": "squash", "interpolation": "bilinear"},
        "decision": {"match_threshold": 0.5, "match_margin": 0.01},
        "license": "Apache-2.0",
    }
    return write_bundle(out, fields, {"image.onnx": model})


def _index(setup: Setup, name: str, count: int, factory: str) -> None:
    manifest = setup.small.manifest
    header = Header(backbone=manifest.name, embedding_space=manifest.embedding_space, dimension=DIMENSION)
    draw(count, DATA)
    write_index(setup.indexes / name, shards_of(count)[0].tables(), header, factory=factory, threads=2)


def _search_here(setup: Setup) -> dict[str, Spread]:
    """Searches in this process, idle and while an encoder works."""
    many, few = BulkIndex.open(setup.indexes / "many"), BulkIndex.open(setup.indexes / "few")
    rows = {}
    for threads, name in ((1, "one FAISS thread"), (faiss.omp_get_max_threads(), "FAISS's default threads")):
        with thread_count(threads):
            rows[f"here, {name}: many"] = _spread(lambda i: many.search(setup.queries[i : i + 1], 10))
            rows[f"here, {name}: few"] = _spread(lambda i: few.search(setup.queries[i : i + 1], 10))
            with _encoding(setup.vit):
                rows[f"here, {name}: many, busy"] = _spread(lambda i: many.search(setup.queries[i : i + 1], 10))
                rows[f"here, {name}: few, busy"] = _spread(lambda i: few.search(setup.queries[i : i + 1], 10))
    return rows


@contextmanager
def _encoding(bundle: Bundle) -> Iterator[None]:
    """Encodes without a pause in another thread, on every core."""
    preprocessing, ended = bundle.manifest.image, threading.Event()
    assert preprocessing is not None
    encoder = Encoder(bundle, threads=cores())
    batch = np.stack([decode_image(data, preprocessing) for data in photographs()[:8]])

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


def _attach(setup: Setup, address: str) -> dict[str, float]:
    with Client(address, timeout=120) as client:
        for name in ("many", "few"):
            client.create_collection(name, backbone="small")
        client.attach_index("few", "few")
        started = time.perf_counter()
        client.attach_index("many", "many")
        attached = time.perf_counter() - started
        _first_answer(setup, client)
        return {"attach s": attached, "attach to first answer s": time.perf_counter() - started}


def _first_answer(setup: Setup, client: Client) -> None:
    space = setup.small.manifest.embedding_space
    [result] = client.classify("many", [Vector(setup.queries[0], space)])
    assert result.unwrap().label


async def _search_served(setup: Setup, address: str) -> dict[str, Spread]:
    """Measures SearchExamples over gRPC, idle and while callers embed photographs."""
    space = setup.small.manifest.embedding_space
    async with AsyncClient(address, timeout=120) as client:

        async def search(name: str) -> Spread:
            return await _spread_async(lambda i: client.search_examples(name, [Vector(setup.queries[i], space)]))

        # A report waits for the fit that follows an attachment.
        await client.collection_report("many", timeout=600)
        await client.collection_report("few", timeout=600)
        rows = {"an empty call": await _spread_async(lambda _: client.get_collection("few"))}
        rows |= {"served: many": await search("many"), "served: few": await search("few")}
        ended, pictures = asyncio.Event(), photographs()

        async def caller(number: int) -> None:
            while not ended.is_set():
                await client.embed([pictures[number % len(pictures)]], backbone=setup.vit.manifest.name)

        callers = [asyncio.create_task(caller(number)) for number in range(CALLERS)]
        await asyncio.sleep(2)
        rows |= {"served: many, busy": await search("many"), "served: few, busy": await search("few")}
        rows["an empty call, busy"] = await _spread_async(lambda _: client.get_collection("few"))
        ended.set()
        await asyncio.gather(*callers)
    return rows


def _spread(work: Callable[[int], object]) -> Spread:
    durations = []
    for i in range(QUERIES):
        started = time.perf_counter()
        work(i)
        durations.append(time.perf_counter() - started)
    return _percentiles(durations)


async def _spread_async(work: Callable[[int], Awaitable[object]]) -> Spread:
    durations = []
    for i in range(QUERIES):
        started = time.perf_counter()
        await work(i)
        durations.append(time.perf_counter() - started)
    return _percentiles(durations)


def _percentiles(seconds: list[float]) -> Spread:
    """Returns p50 and p95 in milliseconds, without the first 10 runs, which warm up."""
    p50, p95 = np.percentile(seconds[10:], [50, 95]) * 1e3
    return float(p50), float(p95)


def _report(out: Path, vectors: int, factory: str, figures: dict[str, float], rows: dict[str, Spread]) -> None:
    sections: list[Section] = [
        (f"{vectors:,} vectors, {factory}: seconds", list(figures), [[f"{value:.2f}" for value in figures.values()]]),
        (
            f"One query per call: many = {vectors:,}, few = {FEW:,} (Flat); milliseconds",
            ["search", "p50", "p95"],
            [[name, *(f"{value:.2f}" for value in spread)] for name, spread in rows.items()],
        ),
    ]
    targets = [
        Target("attach to first answer, s", figures["attach to first answer s"], "<=", 5.0),
        Target("restart to first answer, s", figures["restart to first answer s"], "<=", 20.0),
    ]
    for name in ("few", "many"):
        busy, idle = rows[f"served: {name}, busy"][0], rows[f"served: {name}"][0]
        targets.append(Target(f"{name}: served while encoders work / idle, p50", busy / idle, "<=", 1.5))
    head = page_head("A server with an index", "bench.attach")
    write_tables(out / "attach", head, sections, ("Targets", targets), {"found": figures, "rows": rows}, {})


if __name__ == "__main__":
    main()
