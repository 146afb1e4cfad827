"""Candidates among very many one-shot labels, d = 512, one thread, beside the exact scan.

    python -m bench.gallery [--labels 1000000] [--data DIR] [--out DIR]

No million real labels are at hand: they are drawn as real embeddings lie. Photographs of caltech101 through MobileNet
V2, turned to their 512 strongest directions, give a mean and the covariances between labels and within them; 102 labels
cannot fill 512 directions, so that between is shrunk towards the shape of that within (Ledoit and Wolf 2004). A label's
centre is drawn by the one, its example and a query by the other, then all scaled to length 1. The spread within is
taken whole (`kinds`: photographs of one kind of thing, far from each other) and by half (`things`: of one thing, as of
a face or a product; the half is an assumption). Strangers are queries whose centre is no label's. Nothing here has
clusters, which is hard for lists.

Recall is the part of queries whose exact nearest is the best after 64 or 256 candidates are compared exactly. About 15
minutes on two cores, and 4.5 GB.
"""

import argparse
import ctypes
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
from threadpoolctl import threadpool_limits

from bench.report import Section, Target, page_head, write_tables
from bench.vectors import DATA, Labelled, pictures
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, normalize
from glimpse.index import CandidateIndex

DIMENSION, QUERIES, TIMED = 512, 500, 200
SPREADS = {"things": 0.5, "kinds": 1.0}
CANDIDATES = (64, 256)
_DRAWN = 50_000
# With 64 candidates, where no number is told. `lost`: how much less the cosine to the found one is, on average.
_COLUMNS = ["p50 ms", "p95 ms", "p50 ms, 256", "recall, 64", "recall, 256"]
_COLUMNS += ["strangers, 64", "strangers, 256", "strangers lost, 64"]


class Gallery(NamedTuple):
    """Unit rows. `labels`: (n, d). `owned`, `strange`: (q, d). `owner`: (q,), rows of labels. Nearest rows by query."""

    labels: Array
    owned: Array
    owner: np.ndarray
    strange: Array

    def nearest(self, queries: Array) -> np.ndarray:
        """Exact: (q,) rows of labels."""
        return np.asarray(faiss.knn(queries, self.labels, 1, faiss.METRIC_INNER_PRODUCT)[1][:, 0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    moments = _moments(_photographs(given.data))
    sections: list[Section] = []
    found = {name: _measure(_draw(*moments, given.labels, spread), name, sections) for name, spread in SPREADS.items()}
    usual = found["things"]
    targets = [
        Target("things: query, 64 candidates, p50 ms", usual["p50"], "<=", 10.0),
        Target("things: recall of the exact nearest", usual["recall"], ">=", 0.99),
    ]
    head = page_head("Candidates among very many labels", "bench.gallery")
    told = {"labels": f"{given.labels:,}", "default": "the row with a star"}
    write_tables(given.out / "gallery", head, sections, ("To reach", targets), {"found": found}, told)


def _measure(gallery: Gallery, name: str, sections: list[Section]) -> dict[str, Any]:
    exact = {who: gallery.nearest(queries) for who, queries in (("owned", gallery.owned), ("strange", gallery.strange))}
    first = float((exact["owned"] == gallery.owner).mean())
    scan = _scan(gallery)
    before, started = _allocated(), time.perf_counter()
    index = CandidateIndex.build(np.arange(len(gallery.labels)), gallery.labels)
    seconds, size = time.perf_counter() - started, (_allocated() - before) / len(gallery.labels)
    figures: dict[str, Any] = {"build s": seconds, "bytes a label": size, "scan": scan, "owner first": first}
    lines = []
    default, lists = index._lists.nprobe, index._lists.nlist
    with threadpool_limits(1):
        for probed in sorted({lists // part for part in (32, 16, 8, 4, 2)} | {default}):
            index._lists.nprobe = probed
            row = _searched(index, gallery, exact)
            lines.append([f"{probed}{'*' * (probed == default)}", *(f"{row[column]:.3f}" for column in _COLUMNS)])
            figures[f"nprobe {probed}"] = row
            if probed == default:
                figures |= {"p50": row["p50 ms"], "recall": row["recall, 64"]}
        index._lists.nprobe = default
        one = gallery.strange
        figures["put"] = _percentiles(lambda i: index.put([-2 - i], one[i][None]), TIMED)
        figures["replace"] = _percentiles(lambda i: index.put([i], gallery.labels[i][None]), TIMED)
        figures["remove"] = _percentiles(lambda i: index.remove([-2 - i]), TIMED)
    rate = gallery.labels.nbytes / scan[0] / 1e6
    facts = [f"{scan[0]:.1f} / {scan[1]:.1f}", f"{rate:.1f}", f"{seconds:.0f}", f"{size:.0f}", f"{100 * first:.1f}"]
    facts += [f"{figures[what][0]:.2f} / {figures[what][1]:.2f}" for what in ("put", "replace", "remove")]
    columns = ["exact scan ms", "GB/s", "build s", "bytes a label", "owner is nearest %", "put ms", "replace", "remove"]
    sections.append((f"{name}: p50 / p95 ms of one, and memory beside the vectors' 2,048 bytes", columns, [facts]))
    sections.append((f"{name}: a query and its decision, of {lists:,} lists", ["nprobe", *_COLUMNS], lines))
    return figures


def _scan(gallery: Gallery) -> tuple[float, float]:
    flat = faiss.IndexFlatIP(DIMENSION)
    flat.add(gallery.labels)
    with threadpool_limits(1):
        return _percentiles(lambda i: flat.search(gallery.owned[i][None], 1), 40)


def _searched(index: CandidateIndex, gallery: Gallery, exact: dict[str, np.ndarray]) -> dict[str, float]:
    def whole(i: int, k: int) -> object:
        query = gallery.owned[i]
        return _decide(gallery, query, index.search(query[None], k)[1][0])

    (p50, p95), (more, _) = (_percentiles(lambda i, k=k: whole(i, k), TIMED) for k in CANDIDATES)  # type: ignore[misc]
    row = {"p50 ms": p50, "p95 ms": p95, "p50 ms, 256": more}
    for who, name, queries in (("owned", "recall", gallery.owned), ("strange", "strangers", gallery.strange)):
        found = index.search(queries, max(CANDIDATES))[1]
        best = np.einsum("qd,qd->q", queries, gallery.labels[exact[who]])
        for k in CANDIDATES:
            answers = [_decide(gallery, query, rows[:k]) for query, rows in zip(queries, found, strict=True)]
            row[f"{name}, {k}"] = float(np.mean([label for label, _, _ in answers] == exact[who]))
            row[f"{name} lost, {k}"] = float(np.mean(best - [cosine for _, cosine, _ in answers]))
    return row


def _decide(gallery: Gallery, query: Array, rows: np.ndarray) -> tuple[int, float, float]:
    """The nearest label's row, its cosine, and its probability among the candidates."""
    rows = rows[rows >= 0]
    cosines = gallery.labels[rows] @ query
    nearest = int(np.argmax(cosines))
    return int(rows[nearest]), float(cosines[nearest]), float(1 / np.exp((cosines - cosines[nearest]) / 0.07).sum())


def _percentiles(work: Callable[[int], object], times: int) -> tuple[float, float]:
    """p50 and p95 in ms; the first run is not counted."""
    taken = []
    for i in range(times):
        started = time.perf_counter()
        work(i)
        taken.append(1e3 * (time.perf_counter() - started))
    return float(np.percentile(taken[1:], 50)), float(np.percentile(taken[1:], 95))


class _Heap(ctypes.Structure):
    """glibc's struct mallinfo2."""

    _names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = [(name, ctypes.c_size_t) for name in _names]


def _allocated() -> int:
    """Bytes in use: what is resident counts what was freed as well."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Heap
    heap = mallinfo2()
    return int(heap.uordblks + heap.hblkhd)


def _draw(mean: Floats, between: Floats, within: Floats, labels: int, spread: float) -> Gallery:
    rng = np.random.default_rng(0)
    middle, far, near = mean.astype(np.float32), _root(between), np.float32(spread) * _root(within)

    def around(centres: Array, root: Array) -> Array:
        return np.asarray(centres + rng.standard_normal((len(centres), DIMENSION), np.float32) @ root)

    owner = np.sort(rng.choice(labels, QUERIES, replace=False))
    rows, kept = np.empty((labels, DIMENSION), np.float32), np.empty((QUERIES, DIMENSION), np.float32)
    for start in range(0, labels, _DRAWN):
        centres = around(np.tile(middle, (min(_DRAWN, labels - start), 1)), far)
        mine = (owner >= start) & (owner < start + len(centres))
        kept[mine] = centres[owner[mine] - start]
        rows[start : start + len(centres)] = normalize(around(centres, near))
    strange = around(around(np.tile(middle, (QUERIES, 1)), far), near)
    return Gallery(rows, normalize(around(kept, near)), owner, normalize(strange))


def _root(covariance: Floats) -> Array:
    values, directions = np.linalg.eigh(covariance)
    return np.asarray((directions * np.sqrt(values.clip(0))).T, np.float32)


def _moments(data: Labelled) -> tuple[Floats, Floats, Floats]:
    """Mean (d,), and the covariances between labels and within them, (d, d)."""
    rows = np.asarray(data.vectors, np.float64)
    rows = rows @ np.linalg.eigh(rows.T @ rows)[1][:, -DIMENSION:]
    labels, of = np.unique(data.labels, return_inverse=True)
    means = np.stack([rows[of == label].mean(axis=0) for label in range(len(labels))])
    apart, rest = means - means.mean(axis=0), rows - means[of]
    between, within = apart.T @ apart / len(labels), rest.T @ rest / (len(rows) - len(labels))
    aim = within * np.trace(between) / np.trace(within)
    doubt = sum(((np.outer(one, one) - between) ** 2).sum() for one in apart) / len(labels) ** 2
    part = min(1.0, doubt / ((between - aim) ** 2).sum())
    return means.mean(axis=0), (1 - part) * between + part * aim, within


def _photographs(data: Path) -> Labelled:
    """Caltech's pictures, but for its clutter, as MobileNet V2's unit vectors, (n, 1280)."""
    found = pictures(data, "caltech101")
    kept = found.labels != "BACKGROUND_Google"
    return Labelled(found.vectors[kept], found.labels[kept])


if __name__ == "__main__":
    main()
