"""Measures how long a server with a million examples, d = 512, takes to be ready after kill -9.

    python -m bench.snapshot [--vectors 1000000] [--labels 10000] [--out DIR]

The script writes the examples into the ledger's SQLite database in bulk, with vectors around random centres. Then it
starts a real `glimpse serve` with them, kills it and starts it again. The server is ready when its health is SERVING
and it has answered a Classify and a SearchExamples. The first start reads the ledger alone, and the server writes a
snapshot when it stops; later starts read the snapshot. In this process, the script measures the longest pause of an
event loop while a snapshot is written. The floors, in the same run and by one thread, are the start of a server with an
empty ledger, and reading the snapshot's files: plainly, with their digests, and into one array.
"""

import argparse
import asyncio
import gc
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.attach import small_bundle
from bench.report import Section, Target, page_head, write_tables
from bench.synthetic_vectors import DIMENSION
from bench.vectors import ROOT, Array
from glimpse.client import Client, Vector
from glimpse.ledger import CollectionRecord, Ledger, sqlite_url
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.index_directory import IndexDirectory
from glimpse.server.snapshots import Snapshots

_BATCH = 10_000
_LABEL = (
    "insert into labels (collection_id, id, display_name, prompts, create_time, update_time)"
    " values ('many', ?, '', '[]', 1, 1)"
)
_EXAMPLE = (
    "insert into examples (sequence, collection_id, id, label_id, content_digest, modality, domain, metadata, vector,"
    " create_time) values (?,'many',?,?,?,3,'','{}',?,1)"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--labels", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    load = f"{os.getloadavg()[0]:.1f}, from other programs"
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as name:
        folder = Path(name)
        small = small_bundle(folder / "small").manifest
        figures = _start(folder, None, "with an empty ledger")
        record = CollectionRecord("many", small.name, small.embedding_space, DIMENSION)
        query = Vector(_fill(folder / "data", record, options.vectors, options.labels), small.embedding_space)
        started = time.perf_counter()
        with _serve(folder) as (process, address):
            _first_answers(address, query)
            figures |= _elapsed(started, process, "from the ledger")
            process.terminate()
            process.wait()
        assert list((folder / "data/snapshots").glob("many/*")), "no snapshot was written"
        for number in (1, 2, 3):
            figures |= _start(folder, query, f"from the snapshot, {number}")
        figures |= asyncio.run(_write_snapshot(folder)) | _floors(folder)
    _report(options.out, options.vectors, options.labels, figures, load)


def _fill(data: Path, record: CollectionRecord, count: int, labels: int) -> Array:
    """Writes collection, labels and examples; returns one of the vectors."""
    with Ledger.open(sqlite_url(data)) as ledger, ledger.begin() as writer:
        writer.create_collection(record)
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((labels, DIMENSION), np.float32)
    connection = sqlite3.connect(data / "ledger.sqlite", isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("BEGIN")
    connection.executemany(_LABEL, ((f"label-{label}",) for label in range(labels)))
    for start in range(0, count, _BATCH):
        sequences = range(start + 1, min(start + _BATCH, count) + 1)
        codes = rng.integers(0, labels, len(sequences))
        vectors = centres[codes] + 2 * rng.standard_normal((len(sequences), DIMENSION), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        rows = zip(sequences, codes.tolist(), vectors, strict=True)
        connection.executemany(_EXAMPLE, (_row(number, code, vector) for number, code, vector in rows))
    connection.execute("update head set sequence = ?", (count,))
    connection.execute("COMMIT")
    connection.close()
    last: Array = vectors[-1]
    return last


def _row(sequence: int, code: int, vector: Array) -> tuple[int, str, str, str, bytes]:
    digest = hashlib.sha256(str(sequence).encode()).hexdigest()
    return sequence, digest[:16], f"label-{code}", f"sha256:{digest}", vector.astype("<f4").tobytes()


@contextmanager
def _serve(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Runs a server; yields its process and its address once it prints that it listens."""
    arguments = ["--listen", "127.0.0.1:0", "--data", str(folder / "data"), "--backbone", str(folder / "small")]
    environment = {**os.environ, "GLIMPSE_DRAIN_SECONDS": "600"}  # time to write a snapshot on a busy machine
    with (folder / "server.log").open("a") as log:
        command = [sys.executable, "-m", "glimpse.cli.main", "serve", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    assert process.stdout is not None
    try:
        if not (line := process.stdout.readline()):
            raise RuntimeError((folder / "server.log").read_text())
        yield process, line.split()[-1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _start(folder: Path, query: Vector | None, name: str) -> dict[str, float]:
    """Starts a server, waits for its first answers and kills it; returns the times."""
    started = time.perf_counter()
    with _serve(folder) as (process, address):
        if query is not None:
            _first_answers(address, query)
        figures = _elapsed(started, process, name)
        process.send_signal(signal.SIGKILL)
    return figures


def _elapsed(started: float, process: subprocess.Popen[str], name: str) -> dict[str, float]:
    """Returns the seconds since the start, and the processor seconds, which other programs rarely affect."""
    seconds = time.perf_counter() - started
    fields = Path(f"/proc/{process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])  # user and system time
    figures = {f"{name}: s": seconds, f"{name}: processor s": ticks / os.sysconf("SC_CLK_TCK")}
    print(figures, file=sys.stderr)
    return figures


def _first_answers(address: str, query: Vector) -> None:
    with Client(address, timeout=120) as client:
        [answer] = client.classify("many", [query])
        assert answer.unwrap().label
        [near] = client.search_examples("many", [query])
        assert near.unwrap()


async def _write_snapshot(folder: Path) -> dict[str, float]:
    """Writes a snapshot in this process; returns its duration and the longest pause of the event loop.

    Each pause is measured by the wall clock and in processor time of the process. Other programs on the machine make
    the first longer, but not the second.
    """
    url, indexes = sqlite_url(folder / "data"), IndexDirectory(folder / "none")
    existing = Snapshots(folder / "data/snapshots", seconds=0, examples=1)
    catalog = Catalog.open(url, indexes, existing, lambda _: None)
    gc.freeze()  # as a server does
    ticks = list[tuple[float, float]]()

    async def tick() -> None:
        while True:
            ticks.append((time.perf_counter(), time.process_time()))
            await asyncio.sleep(0.001)

    ticker, snapshots = asyncio.create_task(tick()), Snapshots(folder / "again", seconds=3_600, examples=1)
    await asyncio.sleep(1)
    ticks.clear()
    started, processor_started = time.perf_counter(), time.process_time()
    snapshots.start(catalog, catalog.sync_to_head)
    await snapshots.finish(started + 3_600)
    figures = {
        "written in: s": time.perf_counter() - started,
        "written in: processor s": time.process_time() - processor_started,
    }
    ticker.cancel()
    await snapshots.close()
    await catalog.close()
    seconds, processor = np.diff(np.array(ticks), axis=0).max(0) * 1e3
    return figures | {"longest pause: ms": seconds, "longest pause: processor ms": processor}


def _floors(folder: Path) -> dict[str, float]:
    """Returns how long the files take: to read, to read and digest, and to load into one array."""
    files = sorted((folder / "data/snapshots/many").glob("*/*"))
    figures = {"snapshot MiB": sum(file.stat().st_size for file in files) / 2**20}
    started = time.perf_counter()
    for file in files:
        file.read_bytes()
    figures["files read s"] = time.perf_counter() - started
    started = time.perf_counter()
    for file in files:
        hashlib.sha256(file.read_bytes()).digest()
    figures["files read and digested s"] = time.perf_counter() - started
    started = time.perf_counter()
    np.concatenate([np.load(file, allow_pickle=False) for file in files if file.name.startswith("vectors")])
    figures["vectors as one array s"] = time.perf_counter() - started
    return figures


def _report(out: Path, vectors: int, labels: int, figures: dict[str, float], load: str) -> None:
    rows = [[name, f"{value:.2f}"] for name, value in figures.items()]
    sections: list[Section] = [(f"{vectors:,} vectors of {labels:,} labels", ["figure", "measured"], rows)]
    slowest = max(
        value for name, value in figures.items() if name.startswith("from the snapshot") and name.endswith(": s")
    )
    targets = [
        Target("ready from a snapshot, s", slowest, "<=", 20.0),
        Target("longest pause, processor ms", figures["longest pause: processor ms"], "<=", 50.0),
    ]
    head = page_head("Start from a snapshot", "bench.snapshot")
    write_tables(out / "snapshot", head, sections, ("Targets", targets), {"found": figures}, {"load average": load})


if __name__ == "__main__":
    main()
