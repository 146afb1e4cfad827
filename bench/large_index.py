"""Builds and serves an index of ten million vectors, d = 512, and measures its memory and its recall.

    python -m bench.large_index [--vectors 10000000] [--data DIR] [--out DIR]

The vectors are those of bench/synthetic_vectors.py, drawn shard by shard: each shard has labels of its own. The index
is built with all cores and the type that `glimpse index build` selects, in a process of its own, and served by another
one. A thread reads each process's /proc/self/status 20 times a second. Anonymous memory is what the process holds;
mapped pages belong to files, and the system drops them where memory is short.

The shards, and the figures of both processes, are stored in build/bench, so that an interrupted run can resume. On two
cores the script takes about 45 minutes and 22 GB of disk.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.gallery import DIMENSION, moments_of, photographs
from bench.report import Target, page_head, write_tables
from bench.synthetic_vectors import KEPT, PER_LABEL, drawn_rows
from bench.vectors import DATA
from glimpse.index import BulkIndex, rows_table, write_shard
from glimpse.index.building.finalize import finish
from glimpse.index.storage.manifest import Header

MIN_RECALL, MOST_BUILDING_GB, MOST_SERVING_GB = 0.95, 12.0, 4.0
_SHARD, _QUERIES, _NEAREST = 100_000, 500, 10
_FIELDS = {"anonymous": "RssAnon", "mapped": "RssFile"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=10_000_000)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--stage", choices=_STAGES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    folder = KEPT / f"large-index-{options.vectors}"
    if options.stage:
        print(json.dumps(_STAGES[options.stage](folder)))
        return
    _draw(folder / "vectors", options.vectors, options.data)
    figures: dict[str, dict[str, Any]] = {}
    for stage in _STAGES:
        file = folder.with_name(f"{folder.name}-{stage}.json")
        if not file.is_file():
            print(f"{stage} …", flush=True)
            command = [sys.executable, "-m", "bench.large_index", "--stage", stage, "--vectors", str(options.vectors)]
            file.write_text(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout, "utf-8")
        figures[stage] = json.loads(file.read_text("utf-8"))
    _report(options.out, options.vectors, **figures)
    for stage in _STAGES:
        folder.with_name(f"{folder.name}-{stage}.json").unlink()


def _draw(folder: Path, count: int, data: Path) -> None:
    """Writes the shards that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    moments = None
    for start in range(0, count, _SHARD):
        path = folder / f"part-{start // _SHARD:05d}.parquet"
        if path.is_file():
            continue
        moments = moments or moments_of(photographs(data))
        size = min(_SHARD, count - start)
        rows, labels = drawn_rows(*moments, size // PER_LABEL, PER_LABEL, seed=start // _SHARD)
        texts, none = [str(row) for row in range(start, start + size)], [None] * size
        names = [f"label {label}" for label in labels + start // PER_LABEL]
        write_shard(path, rows_table(texts, names, none, texts, [bytes(32)] * size, rows, "float16"))


def _build(folder: Path) -> dict[str, Any]:
    header = Header(
        backbone="drawn", embedding_space="0" * 64, dimension=DIMENSION, vector_type="float16", rebuild="bench"
    )
    stages: dict[str, float] = {}
    with _memory() as memory:
        started = time.perf_counter()
        manifest = finish(
            folder,
            header,
            sorted((folder / "vectors").glob("*.parquet")),
            min_recall=MIN_RECALL,
            threads=len(os.sched_getaffinity(0)),
            progress=lambda title, total: _timed(stages, title),
        )
    assert manifest.index.measured is not None
    return {
        "seconds": time.perf_counter() - started,
        "memory": memory,
        "stages": stages,
        "index": manifest.index.model_dump(),
    }


def _serve(folder: Path) -> dict[str, Any]:
    with _memory() as memory:
        started = time.perf_counter()
        index = BulkIndex.open(folder, gpu=False)
        opened = time.perf_counter() - started
        rows = np.sort(np.random.default_rng(2).choice(len(index), _QUERIES, replace=False))
        queries, seconds = index.vectors(rows), []
        for query in queries:
            started = time.perf_counter()
            index.search(query[None], _NEAREST)
            seconds.append(time.perf_counter() - started)
        index.row_of(index.id(0))
    return {"opened": opened, "p50 ms": 1e3 * float(np.median(seconds)), "memory": memory}


_STAGES: dict[str, Callable[[Path], dict[str, Any]]] = {"build": _build, "serve": _serve}


@contextmanager
def _timed(stages: dict[str, float], title: str) -> Iterator[Callable[[int], None]]:
    started = time.perf_counter()
    yield lambda _: None
    stages[title] = stages.get(title, 0.0) + time.perf_counter() - started


@contextmanager
def _memory() -> Iterator[dict[str, float]]:
    """Yields the peaks of this process's memory in GB, which a thread raises until the end."""
    peaks, ended = dict.fromkeys(_FIELDS, 0.0), threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            lines = Path("/proc/self/status").read_text("ascii").splitlines()
            status = dict(line.split(":", 1) for line in lines)
            for name, field in _FIELDS.items():
                peaks[name] = max(peaks[name], int(status[field].split()[0]) * 1024 / 1e9)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


def _report(out: Path, count: int, build: dict[str, Any], serve: dict[str, Any]) -> None:
    index, measured = build["index"], build["index"]["measured"]
    parameters = ", ".join(f"{key} {value:g}" for key, value in index["search"].items() if value is not None)
    memory = [
        [name, *(f"{part['memory'][kind]:.2f}" for kind in _FIELDS), f"{1e9 * part['memory']['anonymous'] / count:.0f}"]
        for name, part in (("building", build), ("serving", serve))
    ]
    sections = [
        ("Peaks of memory, GB", ["", "anonymous", "mapped", "anonymous bytes a vector"], memory),
        (
            "Search, one thread",
            ["factory", "parameters", "recall@10", "bytes a vector", "p50 ms", "open s"],
            [
                [
                    index["factory"],
                    parameters,
                    f"{measured['recall_at_10']:.3f}",
                    f"{measured['bytes_per_vector']:,.0f}",
                    f"{serve['p50 ms']:.1f}",
                    f"{serve['opened']:.1f}",
                ]
            ],
        ),
        (
            f"Seconds of the build, {build['seconds']:.0f} in all",
            list(build["stages"]),
            [[f"{seconds:.0f}" for seconds in build["stages"].values()]],
        ),
    ]
    targets = [
        Target("recall@10", measured["recall_at_10"], ">=", MIN_RECALL),
        Target("building: anonymous memory, GB", build["memory"]["anonymous"], "<=", MOST_BUILDING_GB),
        Target("serving: anonymous memory, GB", serve["memory"]["anonymous"], "<=", MOST_SERVING_GB),
    ]
    head = page_head("Ten million vectors in one index", "bench.large_index")
    record, facts = {"build": build, "serve": serve}, {"vectors": f"{count:,}", "d": str(DIMENSION)}
    write_tables(out / "large_index", head, sections, ("Targets", targets), record, facts)


if __name__ == "__main__":
    main()
