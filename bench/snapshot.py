"""A million enrolled vectors, d = 512: ready after kill -9, by a snapshot and by the ledger's rows alone.

    python -m bench.snapshot [--vectors 1000000] [--labels 10000] [--out DIR]

The examples are written into the ledger's SQLite in bulk (their vectors are drawn around random centres, which is all
that loading sees of them); from then on it is a real `glimpse serve` that begins with them, is killed and begins again.
Ready: from exec until health says SERVING and a Classify and a SearchExamples are answered. The first start finds no
snapshot, and writes one at its stop. How long the event loop stands still while one is written is seen in this process.
Floors in the same run: an empty ledger's server; the snapshot's files read, read and digested, and read into one array,
by one thread.
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

from bench.attach import _small
from bench.report import Section, Target, write_tables
from bench.synthetic_vectors import DIMENSION
from bench.vectors import ROOT, Array
from glimpse.client import Client, Vector
from glimpse.ledger import CollectionRecord, Ledger, sqlite_url
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.index_directory import IndexDirectory
from glimpse.server.snapshots import Snapshots

_AT_ONCE = 10_000
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
    given = parser.parse_args()
    load = f"{os.getloadavg()[0]:.1f}, of what else ran there"
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as name:
        folder = Path(name)
        small = _small(folder / "small").manifest
        found = _ready(folder, None, "with an empty ledger")
        record = CollectionRecord("many", small.name, small.embedding_space, DIMENSION)
        query = Vector(_fill(folder / "data", record, given.vectors, given.labels), small.embedding_space)
        started = time.perf_counter()
        with _serving(folder) as (process, address):
            _first_answers(address, query)
            found |= _taken(started, process, "from the ledger")
            process.terminate()
            process.wait()
        assert list((folder / "data/snapshots").glob("many/*")), "no snapshot was written"
        for number in (1, 2, 3):
            found |= _ready(folder, query, f"from the snapshot, {number}")
        found |= asyncio.run(_written(folder)) | _floors(folder)
    _report(given.out, given.vectors, given.labels, found, load)


def _fill(data: Path, record: CollectionRecord, count: int, labels: int) -> Array:
    """Returns one of the vectors."""
    with Ledger.open(sqlite_url(data)) as ledger, ledger.begin() as writer:
        writer.create_collection(record)
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((labels, DIMENSION), np.float32)
    connection = sqlite3.connect(data / "ledger.sqlite", isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("BEGIN")
    connection.executemany(_LABEL, ((f"label-{label}",) for label in range(labels)))
    for start in range(0, count, _AT_ONCE):
        sequences = range(start + 1, min(start + _AT_ONCE, count) + 1)
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
def _serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server, ready as it says itself."""
    words = ["--listen", "127.0.0.1:0", "--data", str(folder / "data"), "--backbone", str(folder / "small")]
    environment = {**os.environ, "GLIMPSE_DRAIN_SECONDS": "600"}  # to write a snapshot under whatever load
    with (folder / "server.log").open("a") as log:
        command = [sys.executable, "-m", "glimpse.cli.main", "serve", *words]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().split()[-1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _ready(folder: Path, query: Vector | None, what: str) -> dict[str, float]:
    """From exec to the first answers; killed then."""
    started = time.perf_counter()
    with _serving(folder) as (process, address):
        if query is not None:
            _first_answers(address, query)
        found = _taken(started, process, what)
        process.send_signal(signal.SIGKILL)
    return found


def _taken(started: float, process: subprocess.Popen[str], what: str) -> dict[str, float]:
    """Seconds since the start; and those of a processor, which others on the machine make no longer."""
    seconds = time.perf_counter() - started
    fields = Path(f"/proc/{process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])  # of the program and of the system for it
    found = {f"{what}: s": seconds, f"{what}: processor s": ticks / os.sysconf("SC_CLK_TCK")}
    print(found, file=sys.stderr)
    return found


def _first_answers(address: str, query: Vector) -> None:
    with Client(address, timeout=120) as client:
        [answer] = client.classify("many", [query])
        assert answer.unwrap().label
        [near] = client.search("many", [query])
        assert near.unwrap()


async def _written(folder: Path) -> dict[str, float]:
    """A snapshot written in this process, and the longest that its event loop stood still meanwhile.

    Beside the seconds that pass between two turns of the loop, those of the processor that the process takes between
    them: what else runs on the machine makes the former longer, not the latter.
    """
    url, indexes = sqlite_url(folder / "data"), IndexDirectory(folder / "none")
    there = Snapshots(folder / "data/snapshots", seconds=0, examples=1)
    catalog = Catalog.open(url, indexes, there, lambda _: None)
    gc.freeze()  # as a server does
    turns = list[tuple[float, float]]()

    async def turn() -> None:
        while True:
            turns.append((time.perf_counter(), time.process_time()))
            await asyncio.sleep(0.001)

    turning, written = asyncio.create_task(turn()), Snapshots(folder / "again", seconds=3_600, examples=1)
    await asyncio.sleep(1)
    turns.clear()
    started, worked = time.perf_counter(), time.process_time()
    written.start(catalog, catalog.sync_to_head)
    await written.finish(started + 3_600)
    found = {"written in: s": time.perf_counter() - started, "written in: processor s": time.process_time() - worked}
    turning.cancel()
    await written.close()
    await catalog.close()
    seconds, processor = np.diff(np.array(turns), axis=0).max(0) * 1e3
    return found | {"longest between two turns: ms": seconds, "longest between two turns: processor ms": processor}


def _floors(folder: Path) -> dict[str, float]:
    """What the files take: read; read and digested; and as one array."""
    files = sorted((folder / "data/snapshots/many").glob("*/*"))
    found = {"snapshot MiB": sum(file.stat().st_size for file in files) / 2**20}
    started = time.perf_counter()
    for file in files:
        file.read_bytes()
    found["files read s"] = time.perf_counter() - started
    started = time.perf_counter()
    for file in files:
        hashlib.sha256(file.read_bytes()).digest()
    found["files read and digested s"] = time.perf_counter() - started
    started = time.perf_counter()
    np.concatenate([np.load(file, allow_pickle=False) for file in files if file.name.startswith("vectors")])
    found["vectors as one array s"] = time.perf_counter() - started
    return found


def _report(out: Path, vectors: int, labels: int, found: dict[str, float], load: str) -> None:
    rows = [[name, f"{value:.2f}"] for name, value in found.items()]
    sections: list[Section] = [(f"{vectors:,} vectors of {labels:,} labels", ["what", "measured"], rows)]
    slowest = max(
        value for name, value in found.items() if name.startswith("from the snapshot") and name.endswith(": s")
    )
    targets = [
        Target("ready from a snapshot, s", slowest, "<=", 20.0),
        Target("processor ms between two turns", found["longest between two turns: processor ms"], "<=", 50.0),
    ]
    head = ["# A start from a snapshot", "", "Made by `python -m bench.snapshot`, whose head tells how."]
    write_tables(out / "snapshot", head, sections, ("To reach", targets), {"found": found}, {"load average": load})


if __name__ == "__main__":
    main()
