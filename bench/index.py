"""Measures each type of index with a million vectors, d = 512, and the index that autofaiss selects.

    python -m bench.index [--vectors 1000000] [--kinds flat,sq8,hnsw,…,autofaiss] [--out DIR]

bench/synthetic_vectors.py draws the vectors; their labels overlap as much as real ones do.

`glimpse.index` builds every type with all cores and raises its search parameters until recall@10 is 0.95; one thread
searches. autofaiss runs in an environment of its own (build/venv-autofaiss, which the script makes), with the same
vectors and cores and its own defaults for the rest. Its index is measured as it is, and with its parameters raised.

The figures of each type are stored in build/bench, so that an interrupted run can resume. The script takes about two
hours on two cores, and 6 GB.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from threadpoolctl import threadpool_limits

from bench.report import Section, Target, page_head, write_tables
from bench.synthetic_vectors import DIMENSION, KEPT, draw, shards_of
from bench.vectors import DATA, ROOT
from glimpse.index import Codes, Shards
from glimpse.index.building.ground_truth import exact_nearest
from glimpse.index.building.recall import measure, tune
from glimpse.index.building.train import make_index

KINDS = ("flat", "sq8", "hnsw", "ivf-pq", "ivf-rabitq", "ivf-rabitq-fs", "autofaiss")
MIN_RECALL = 0.95
_ENVIRONMENT = ROOT / "build" / "venv-autofaiss"
# Limits of all memory and of the index. autofaiss refuses if the second is not far below the first.
_MEMORY = ("16G", "4G")
# autofaiss requires NumPy 1, and newer pyarrow requires NumPy 2.
_PACKAGES = ("autofaiss==2.18.0", "faiss-cpu==1.15.1", "pyarrow<20")
_AUTOFAISS = """
import sys
from autofaiss import build_index
build_index(embeddings=sys.argv[1], index_path=sys.argv[2], index_infos_path=sys.argv[2] + ".infos", metric_type="ip",
            current_memory_available=sys.argv[3], max_index_memory_usage=sys.argv[4], nb_cores=int(sys.argv[5]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    drawn = draw(options.vectors, options.data)
    figures: dict[str, Any] = {}
    for kind in options.kinds.split(","):
        file = KEPT / f"index-{options.vectors}-{kind}.json"
        if not file.is_file():
            print(f"{kind} …", flush=True)
            file.write_text(json.dumps(_measure(kind, options.vectors)), "utf-8")
        figures |= json.loads(file.read_text("utf-8"))
    _report(options.out, options.vectors, figures, drawn)


def _measure(kind: str, count: int) -> dict[str, Any]:
    """Returns the figures of this type, by the names of their rows in the table."""
    shards, codes = shards_of(count)
    threads = len(os.sched_getaffinity(0))
    if kind == "autofaiss":
        return _autofaiss(count, shards, codes, threads)
    factory = _factories(count)[kind]
    started = time.perf_counter()
    index = make_index(shards, factory, threads, gpu=False)
    built = time.perf_counter() - started
    facts = _tune(index, shards, codes, threads) | {"factory": factory, "build s": built}
    if kind == "flat":
        facts["bandwidth"] = _bandwidth()
    return {kind: facts}


def _factories(count: int) -> dict[str, str]:
    lists = int(4 * count**0.5)
    return {
        "flat": "Flat",
        "sq8": "SQ8,Refine(SQfp16)",
        "hnsw": "HNSW32,SQfp16",
        "ivf-pq": f"IVF{lists},PQ{DIMENSION // 2}x4fs,Refine(SQfp16)",
        "ivf-rabitq": f"RR,IVF{lists},RaBitQ,Refine(SQfp16)",
        "ivf-rabitq-fs": f"RR,IVF{lists},RaBitQfs,Refine(SQfp16)",
    }


def _tune(index: Any, shards: Shards, codes: Codes, threads: int) -> dict[str, Any]:
    started = time.perf_counter()
    search, measured = tune(index, shards, codes, MIN_RECALL, threads)
    assert measured is not None
    return {"tune s": time.perf_counter() - started, "search": search.model_dump(), **measured.model_dump()}


def _autofaiss(count: int, shards: Shards, codes: Codes, threads: int) -> dict[str, Any]:
    """Returns the figures of autofaiss's index, as it is and with raised parameters; or the error."""
    out = KEPT / f"index-{count}.autofaiss"
    try:
        python = _environment()
        vectors = _array(count, shards)
        started = time.perf_counter()
        command = [str(python), "-c", _AUTOFAISS, str(vectors.parent), str(out), *_MEMORY, str(threads)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        built = time.perf_counter() - started
    except subprocess.CalledProcessError as error:
        return {"autofaiss": {"error": (error.stderr or str(error)).strip().splitlines()[-1]}}
    infos = json.loads(Path(f"{out}.infos").read_text("utf-8"))
    index = faiss.read_index(str(out))
    rows = np.sort(np.random.default_rng(1).choice(count, 500, replace=False))
    exact = exact_nearest(shards, rows, 64, threads)
    unchanged = measure(index, exact, shards, codes, MIN_RECALL, False, out.stat().st_size).model_dump()
    name = str(infos["index_key"])
    facts = {"factory": name, "build s": built, "infos": {key: str(value) for key, value in infos.items()}}
    raised = _tune(index, shards, codes, threads)
    return {
        "autofaiss": unchanged | facts | {"search": infos.get("index_param", "")},
        "autofaiss, raised": raised | facts,
    }


def _environment() -> Path:
    python = _ENVIRONMENT / "bin" / "python"
    for command in ([sys.executable, "-m", "venv", _ENVIRONMENT], [python, "-m", "pip", "install", *_PACKAGES]):
        subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    return python


def _array(count: int, shards: Shards) -> Path:
    """Writes the vectors as a single array, in a folder for autofaiss."""
    file = KEPT / f"index-{count}-array" / "vectors.npy"
    if not file.is_file():
        file.parent.mkdir(exist_ok=True)
        rows = np.lib.format.open_memmap(file.with_suffix(".part"), "w+", np.float32, (count, DIMENSION))
        start = 0
        for block in shards.blocks():
            rows[start : start + len(block)] = block
            start += len(block)
        rows.flush()
        file.with_suffix(".part").rename(file)
    return file


def _bandwidth() -> float:
    """Returns the GB/s that one thread reads: the best of three dot products of 1 GB with itself."""
    rows, best = np.ones(1 << 28, np.float32), np.inf
    with threadpool_limits(1):
        for _ in range(3):
            started = time.perf_counter()
            np.dot(rows, rows)
            best = min(best, time.perf_counter() - started)
    return rows.nbytes / best / 1e9


_COLUMNS = [
    "",
    "factory",
    "parameters",
    "build s",
    "bytes a vector",
    "recall@10",
    "same votes",
    "p50 ms",
    "batch of 64, ms",
]


def _report(out: Path, count: int, figures: dict[str, Any], drawn: dict[str, dict[str, float]]) -> None:
    lines = [_cells(name, facts) for name, facts in figures.items()]
    nearness = [
        [name, *(f"{value:,}" if isinstance(value, int) else f"{value:.3f}" for value in facts.values())]
        for name, facts in drawn.items()
    ]
    sections: list[Section] = [
        ("Each type with the lowest parameters that reach a recall of 0.95; one thread searches", _COLUMNS, lines),
        (
            "Drawn vectors and real ones",
            ["", "rows", "labels", "own label of 10 nearest", "cosine to the nearest", "to the tenth"],
            nearness,
        ),
    ]
    if "flat" in figures:
        flat = figures["flat"]
        rate = 4 * count * DIMENSION / flat["batch_1_ms"] / 1e6
        sections.append(
            (
                "IndexFlatIP and the memory bandwidth, one thread",
                ["reads GB/s", "memory GB/s", "ratio"],
                [[f"{rate:.1f}", f"{flat['bandwidth']:.1f}", f"{rate / flat['bandwidth']:.2f}"]],
            )
        )
    own = {name: facts for name, facts in figures.items() if not name.startswith("autofaiss")}
    targets = [Target(f"{name}: recall@10", facts["recall_at_10"], ">=", MIN_RECALL) for name, facts in own.items()]
    head = page_head("A million vectors in each type of index", "bench.index")
    record = {"found": figures, "drawn": drawn}
    write_tables(
        out / "index", head, sections, ("Targets", targets), record, {"vectors": f"{count:,}", "d": str(DIMENSION)}
    )


def _cells(name: str, facts: dict[str, Any]) -> list[str]:
    if "error" in facts:
        return [name, facts["error"], *[""] * (len(_COLUMNS) - 2)]
    search = facts["search"]
    if isinstance(search, dict):
        search = ", ".join(f"{key} {value:g}" for key, value in search.items() if value is not None)
    return [
        name,
        facts["factory"],
        search,
        f"{facts['build s']:.0f}",
        f"{facts['bytes_per_vector']:,.0f}",
        f"{facts['recall_at_10']:.3f}",
        f"{facts['vote_agreement']:.3f}",
        f"{facts['batch_1_ms']:.2f}",
        f"{facts['batch_64_ms']:.1f}",
    ]


if __name__ == "__main__":
    main()
