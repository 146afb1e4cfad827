"""A million real-shaped vectors, d = 512, in each type of index, beside IndexFlatIP and what autofaiss chooses.

    python -m bench.index [--vectors 1000000] [--kinds flat,sq8,hnsw,ivf-pq,ivf-rabitq,autofaiss] [--out DIR]

bench/synthetic_vectors.py tells how they are drawn; labels overlap as much as real ones do.

Every type is built by `glimpse.index` with all cores, its search parameters raised until recall@10 is 0.95, and asked
by one thread. autofaiss runs in an environment of its own (build/venv-autofaiss, made here), on the same vectors with
the same cores and its own settings for the rest; its index is measured as it came and with its parameters raised.

A kind's figures are kept in build/bench, so that a broken run goes on. About two hours on two cores, and 6 GB.
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

KINDS = ("flat", "sq8", "hnsw", "ivf-pq", "ivf-rabitq", "autofaiss")
MIN_RECALL = 0.95
_ENVIRONMENT = ROOT / "build" / "venv-autofaiss"
# In all, and of the index: autofaiss builds nothing where the second is not well under the first.
_MEMORY = ("16G", "4G")
# autofaiss asks for NumPy 1, and newer pyarrow for NumPy 2.
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
    given = parser.parse_args()
    drawn = draw(given.vectors, given.data)
    found: dict[str, Any] = {}
    for kind in given.kinds.split(","):
        kept = KEPT / f"index-{given.vectors}-{kind}.json"
        if not kept.is_file():
            print(f"{kind} …", flush=True)
            kept.write_text(json.dumps(_measured(kind, given.vectors)), "utf-8")
        found |= json.loads(kept.read_text("utf-8"))
    _report(given.out, given.vectors, found, drawn)


def _measured(kind: str, count: int) -> dict[str, Any]:
    """Rows of the table, by name."""
    shards, codes = shards_of(count)
    threads = len(os.sched_getaffinity(0))
    if kind == "autofaiss":
        return _autofaiss(count, shards, codes, threads)
    factory = _factories(count)[kind]
    started = time.perf_counter()
    index = make_index(shards, factory, threads, gpu=False)
    built = time.perf_counter() - started
    facts = _tuned(index, shards, codes, threads) | {"factory": factory, "build s": built}
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
    }


def _tuned(index: Any, shards: Shards, codes: Codes, threads: int) -> dict[str, Any]:
    started = time.perf_counter()
    search, measured = tune(index, shards, codes, MIN_RECALL, threads)
    assert measured is not None
    return {"tune s": time.perf_counter() - started, "search": search.model_dump(), **measured.model_dump()}


def _autofaiss(count: int, shards: Shards, codes: Codes, threads: int) -> dict[str, Any]:
    """Its own choice, twice: as it came, and raised. Or why there is none."""
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
    came = measure(index, exact, shards, codes, MIN_RECALL, reached=False).model_dump()
    name = str(infos["index_key"])
    facts = {"factory": name, "build s": built, "infos": {key: str(value) for key, value in infos.items()}}
    raised = _tuned(index, shards, codes, threads)
    return {
        "autofaiss": came | facts | {"search": infos.get("index_param", "")},
        "autofaiss, raised": raised | facts,
    }


def _environment() -> Path:
    python = _ENVIRONMENT / "bin" / "python"
    for command in ([sys.executable, "-m", "venv", _ENVIRONMENT], [python, "-m", "pip", "install", *_PACKAGES]):
        subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    return python


def _array(count: int, shards: Shards) -> Path:
    """The vectors as autofaiss reads them: a folder with an array."""
    file = KEPT / f"index-{count}-array" / "vectors.npy"
    if not file.is_file():
        file.parent.mkdir(exist_ok=True)
        rows = np.lib.format.open_memmap(file.with_suffix(".part"), "w+", np.float32, (count, DIMENSION))
        at = 0
        for block in shards.blocks():
            rows[at : at + len(block)] = block
            at += len(block)
        rows.flush()
        file.with_suffix(".part").rename(file)
    return file


def _bandwidth() -> float:
    """GB/s that one thread reads: a product of 1 GB with itself, best of three."""
    rows, best = np.ones(1 << 28, np.float32), np.inf
    with threadpool_limits(1):
        for _ in range(3):
            started = time.perf_counter()
            np.dot(rows, rows)
            best = min(best, time.perf_counter() - started)
    return rows.nbytes / best / 1e9


_COLUMNS = ["", "factory", "parameters", "build s", "bytes a vector", "recall@10", "votes alike", "p50 ms", "of 64, ms"]


def _report(out: Path, count: int, found: dict[str, Any], drawn: dict[str, dict[str, float]]) -> None:
    lines = [_line(name, facts) for name, facts in found.items()]
    near = [
        [name, *(f"{value:,}" if isinstance(value, int) else f"{value:.3f}" for value in facts.values())]
        for name, facts in drawn.items()
    ]
    sections: list[Section] = [
        ("Each type, at the least parameters with a recall of 0.95; asked by one thread", _COLUMNS, lines),
        (
            "What was drawn, beside what is real",
            ["", "rows", "labels", "own label of 10 nearest", "cosine to the nearest", "to the tenth"],
            near,
        ),
    ]
    if "flat" in found:
        flat = found["flat"]
        rate = 4 * count * DIMENSION / flat["batch_1_ms"] / 1e6
        sections.append(
            (
                "IndexFlatIP beside memory, one thread",
                ["reads GB/s", "memory GB/s", "part"],
                [[f"{rate:.1f}", f"{flat['bandwidth']:.1f}", f"{rate / flat['bandwidth']:.2f}"]],
            )
        )
    ours = {name: facts for name, facts in found.items() if not name.startswith("autofaiss")}
    targets = [Target(f"{name}: recall@10", facts["recall_at_10"], ">=", MIN_RECALL) for name, facts in ours.items()]
    head = page_head("A million vectors in each type of index", "bench.index")
    record = {"found": found, "drawn": drawn}
    write_tables(
        out / "index", head, sections, ("To reach", targets), record, {"vectors": f"{count:,}", "d": str(DIMENSION)}
    )


def _line(name: str, facts: dict[str, Any]) -> list[str]:
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
