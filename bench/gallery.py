"""Measures the candidate search among a million one-shot labels, d = 512, one thread, and the exact scan.

    python -m bench.gallery [--labels 1000000] [--data DIR] [--out DIR]

There is no set of a million real labels, so the vectors are drawn with the statistics of real embeddings. Photographs
of caltech101, embedded by MobileNet V2 and projected on their 512 strongest directions, give a mean and the covariances
between and within labels. 102 labels cannot span 512 directions, so the covariance between labels is shrunk towards the
shape of the one within (Ledoit and Wolf 2004). The center of a label is drawn with the first, its example and a query
with the second; then all are scaled to length 1. The spread within a label is used as it is (`kinds`: photographs of
one kind of thing, far from each other) and halved (`things`: photographs of one thing, such as a face or a product; the
half is an assumption). Queries out of distribution have a center of their own, which is no label's. The vectors have no
clusters, which makes them hard for inverted lists.

Recall is the share of queries whose exact nearest label is still the best after 64 or 256 candidates are compared
exactly. The script takes about 15 minutes on two cores, and 4.5 GB.
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
# Without a number, a column is for 64 candidates. `unknown` columns are for queries out of distribution; `lost` is the
# mean difference between the cosines to the exact nearest label and to the best candidate.
_COLUMNS = ["p50 ms", "p95 ms", "p50 ms, 256", "recall, 64", "recall, 256"]
_COLUMNS += ["unknown, 64", "unknown, 256", "unknown lost, 64"]


class Gallery(NamedTuple):
    """Unit vectors of labels and of queries."""

    labels: Array  # (n, d)
    known: Array  # (q, d), queries of a label
    owner: np.ndarray  # (q,), the row of that label
    unknown: Array  # (q, d), queries of no label

    def nearest(self, queries: Array) -> np.ndarray:
        """Returns the row of the exact nearest label of each query, (q,)."""
        return np.asarray(faiss.knn(queries, self.labels, 1, faiss.METRIC_INNER_PRODUCT)[1][:, 0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    moments = moments_of(photographs(options.data))
    sections: list[Section] = []
    figures = {
        name: _measure(_draw(*moments, options.labels, spread), name, sections) for name, spread in SPREADS.items()
    }
    things = figures["things"]
    targets = [
        Target("things: query, 64 candidates, p50 ms", things["p50"], "<=", 10.0),
        Target("things: recall of the exact nearest", things["recall"], ">=", 0.99),
    ]
    head = page_head("Candidates among very many labels", "bench.gallery")
    conditions = {"labels": f"{options.labels:,}", "default": "the row with a star"}
    write_tables(options.out / "gallery", head, sections, ("Targets", targets), {"found": figures}, conditions)


def _measure(gallery: Gallery, name: str, sections: list[Section]) -> dict[str, Any]:
    exact = {"known": gallery.nearest(gallery.known), "unknown": gallery.nearest(gallery.unknown)}
    owner_nearest = float((exact["known"] == gallery.owner).mean())
    scan = _scan(gallery)
    before, started = _allocated(), time.perf_counter()
    index = CandidateIndex.build(np.arange(len(gallery.labels)), gallery.labels)
    seconds, size = time.perf_counter() - started, (_allocated() - before) / len(gallery.labels)
    figures: dict[str, Any] = {"build s": seconds, "bytes a label": size, "scan": scan, "owner first": owner_nearest}
    lines = []
    default, lists = index._lists.nprobe, index._lists.nlist
    with threadpool_limits(1):
        for probes in sorted({lists // part for part in (32, 16, 8, 4, 2)} | {default}):
            index._lists.nprobe = probes
            row = _search(index, gallery, exact)
            lines.append([f"{probes}{'*' * (probes == default)}", *(f"{row[column]:.3f}" for column in _COLUMNS)])
            figures[f"nprobe {probes}"] = row
            if probes == default:
                figures |= {"p50": row["p50 ms"], "recall": row["recall, 64"]}
        index._lists.nprobe = default
        vectors = gallery.unknown
        figures["put"] = _percentiles(lambda i: index.put([-2 - i], vectors[i][None]), TIMED)
        figures["replace"] = _percentiles(lambda i: index.put([i], gallery.labels[i][None]), TIMED)
        figures["remove"] = _percentiles(lambda i: index.remove([-2 - i]), TIMED)
    rate = gallery.labels.nbytes / scan[0] / 1e6
    facts = [
        f"{scan[0]:.1f} / {scan[1]:.1f}",
        f"{rate:.1f}",
        f"{seconds:.0f}",
        f"{size:.0f}",
        f"{100 * owner_nearest:.1f}",
    ]
    facts += [f"{figures[change][0]:.2f} / {figures[change][1]:.2f}" for change in ("put", "replace", "remove")]
    columns = ["exact scan ms", "GB/s", "build s", "bytes a label", "owner is nearest %", "put ms", "replace", "remove"]
    sections.append(
        (f"{name}: p50 / p95 ms per operation, and memory per label besides the vector's 2,048 bytes", columns, [facts])
    )
    sections.append((f"{name}: a query and its decision, {lists:,} lists", ["nprobe", *_COLUMNS], lines))
    return figures


def _scan(gallery: Gallery) -> tuple[float, float]:
    flat = faiss.IndexFlatIP(DIMENSION)
    flat.add(gallery.labels)
    with threadpool_limits(1):
        return _percentiles(lambda i: flat.search(gallery.known[i][None], 1), 40)


def _search(index: CandidateIndex, gallery: Gallery, exact: dict[str, np.ndarray]) -> dict[str, float]:
    def query_and_decide(i: int, k: int) -> object:
        query = gallery.known[i]
        return _decide(gallery, query, index.search(query[None], k)[1][0])

    (p50, p95), (p50_of_256, _) = (_percentiles(lambda i, k=k: query_and_decide(i, k), TIMED) for k in CANDIDATES)  # type: ignore[misc]
    row = {"p50 ms": p50, "p95 ms": p95, "p50 ms, 256": p50_of_256}
    for kind, name, queries in (("known", "recall", gallery.known), ("unknown", "unknown", gallery.unknown)):
        candidates = index.search(queries, max(CANDIDATES))[1]
        best = np.einsum("qd,qd->q", queries, gallery.labels[exact[kind]])
        for k in CANDIDATES:
            answers = [_decide(gallery, query, rows[:k]) for query, rows in zip(queries, candidates, strict=True)]
            row[f"{name}, {k}"] = float(np.mean([label for label, _, _ in answers] == exact[kind]))
            row[f"{name} lost, {k}"] = float(np.mean(best - [cosine for _, cosine, _ in answers]))
    return row


def _decide(gallery: Gallery, query: Array, rows: np.ndarray) -> tuple[int, float, float]:
    """Returns the nearest label's row, its cosine, and its probability among the candidates."""
    rows = rows[rows >= 0]
    cosines = gallery.labels[rows] @ query
    nearest = int(np.argmax(cosines))
    return int(rows[nearest]), float(cosines[nearest]), float(1 / np.exp((cosines - cosines[nearest]) / 0.07).sum())


def _percentiles(work: Callable[[int], object], times: int) -> tuple[float, float]:
    """Returns p50 and p95 in milliseconds, without the first run."""
    durations = []
    for i in range(times):
        started = time.perf_counter()
        work(i)
        durations.append(1e3 * (time.perf_counter() - started))
    return float(np.percentile(durations[1:], 50)), float(np.percentile(durations[1:], 95))


class _Heap(ctypes.Structure):
    """glibc's struct mallinfo2."""

    _names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = [(name, ctypes.c_size_t) for name in _names]


def _allocated() -> int:
    """Returns the allocated bytes. Resident memory would include freed memory."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Heap
    heap = mallinfo2()
    return int(heap.uordblks + heap.hblkhd)


def _draw(mean: Floats, between: Floats, within: Floats, labels: int, spread: float) -> Gallery:
    rng = np.random.default_rng(0)
    mean_vector, between_root, within_root = mean.astype(np.float32), root(between), np.float32(spread) * root(within)

    def around(centers: Array, factor: Array) -> Array:
        return np.asarray(centers + rng.standard_normal((len(centers), DIMENSION), np.float32) @ factor)

    owner = np.sort(rng.choice(labels, QUERIES, replace=False))
    rows, query_centers = np.empty((labels, DIMENSION), np.float32), np.empty((QUERIES, DIMENSION), np.float32)
    for start in range(0, labels, _DRAWN):
        centers = around(np.tile(mean_vector, (min(_DRAWN, labels - start), 1)), between_root)
        in_block = (owner >= start) & (owner < start + len(centers))
        query_centers[in_block] = centers[owner[in_block] - start]
        rows[start : start + len(centers)] = normalize(around(centers, within_root))
    unknown = around(around(np.tile(mean_vector, (QUERIES, 1)), between_root), within_root)
    return Gallery(rows, normalize(around(query_centers, within_root)), owner, normalize(unknown))


def root(covariance: Floats) -> Array:
    """Returns a matrix, (d, d), whose product with standard normal rows has this covariance."""
    values, directions = np.linalg.eigh(covariance)
    return np.asarray((directions * np.sqrt(values.clip(0))).T, np.float32)


def moments_of(data: Labelled) -> tuple[Floats, Floats, Floats]:
    """Returns the mean, (d,), and the covariances between and within labels, (d, d), in the 512 strongest directions.

    The covariance between labels is shrunk towards the shape of the one within (Ledoit and Wolf 2004).
    """
    rows = np.asarray(data.vectors, np.float64)
    rows = rows @ np.linalg.eigh(rows.T @ rows)[1][:, -DIMENSION:]
    labels, owners = np.unique(data.labels, return_inverse=True)
    means = np.stack([rows[owners == label].mean(axis=0) for label in range(len(labels))])
    centered, residuals = means - means.mean(axis=0), rows - means[owners]
    between, within = centered.T @ centered / len(labels), residuals.T @ residuals / (len(rows) - len(labels))
    target = within * np.trace(between) / np.trace(within)
    variance = sum(((np.outer(row, row) - between) ** 2).sum() for row in centered) / len(labels) ** 2
    shrinkage = min(1.0, variance / ((between - target) ** 2).sum())
    return means.mean(axis=0), (1 - shrinkage) * between + shrinkage * target, within


def photographs(data: Path) -> Labelled:
    """Returns the unit vectors of caltech101 without its clutter, by MobileNet V2, (n, 1280)."""
    everything = pictures(data, "caltech101")
    kept = everything.labels != "BACKGROUND_Google"
    return Labelled(everything.vectors[kept], everything.labels[kept])


if __name__ == "__main__":
    main()
