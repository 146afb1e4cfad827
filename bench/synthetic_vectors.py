"""Draws any number of labelled vectors with the statistics of real embeddings, d = 512.

There is no set of a million real labelled vectors, so 100 vectors are drawn for each label.

- Measured: the mean, and the covariances between and within labels (bench/gallery.py), of 2,525 photographs of
  caltech101, embedded by MobileNet V2 and projected on their 512 strongest directions. A real label spreads in about 41
  directions of its own, all labels together in 239. So each drawn label has 50 directions, drawn from the covariance
  within labels.
- Assumed: with the measured covariance between labels, all drawn centers would lie apart, while real labels overlap. So
  the centers are drawn with a third of it. In a drawn set of the real size, the 10 nearest of a vector then have its
  label as often as in the real set.
- The labels form no clusters, so a search must read more inverted lists than for many real sets.
"""

import json
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from bench.gallery import DIMENSION, moments_of, photographs, root
from bench.vectors import ROOT, Array
from glimpse.fewshot.statistics.unit_vectors import normalize
from glimpse.index import Codes, Shards, rows_table, write_shard

__all__ = ["DIMENSION", "KEPT", "PER_LABEL", "draw", "drawn_rows", "shards_of"]

KEPT = ROOT / "build" / "bench"
PER_LABEL, _DIRECTIONS, _BETWEEN = 100, 50, 1 / 3
_ROWS_PER_SHARD = 100_000


def draw(count: int, data: Path) -> dict[str, dict[str, float]]:
    """Writes the shards unless they exist.

    Args:
        count: The number of vectors.
        data: The folder of evaluation data.

    Returns:
        Statistics of nearest neighbors, of the drawn vectors and of the real ones, by name.
    """
    KEPT.mkdir(parents=True, exist_ok=True)
    facts = KEPT / f"index-{count}.json"
    if not facts.is_file():
        source = photographs(data)
        moments = moments_of(source)
        vectors = np.asarray(source.vectors, np.float64)
        strongest = np.linalg.eigh(vectors.T @ vectors)[1][:, -DIMENSION:]
        real = normalize(np.asarray(vectors @ strongest, np.float32))
        labels = np.unique(source.labels, return_inverse=True)[1]
        statistics = {"photographs": _neighbor_statistics(real, labels)}
        each = len(real) // (labels.max() + 1)
        statistics["drawn, same size"] = _neighbor_statistics(*drawn_rows(*moments, labels.max() + 1, each))
        rows, owners = drawn_rows(*moments, count // PER_LABEL, PER_LABEL)
        statistics["drawn"] = _neighbor_statistics(rows, owners)
        _write(count, rows, owners)
        facts.write_text(json.dumps(statistics), "utf-8")
    result: dict[str, dict[str, float]] = json.loads(facts.read_text("utf-8"))
    return result


def drawn_rows(mean: Any, between: Any, within: Any, labels: int, each: int, seed: int = 0) -> tuple[Array, np.ndarray]:
    """Returns unit rows, (labels * each, d), in random order, and their labels."""
    rng = np.random.default_rng(seed)
    between_root, within_root = np.float32(_BETWEEN**0.5) * root(between), np.float32(_DIRECTIONS**-0.5) * root(within)
    order = rng.permutation(labels * each).reshape(labels, each)
    rows, owners = np.empty((labels * each, DIMENSION), np.float32), np.empty(labels * each, np.int64)
    for label, places in enumerate(order):
        center = mean.astype(np.float32) + rng.standard_normal(DIMENSION, np.float32) @ between_root
        directions = rng.standard_normal((_DIRECTIONS, DIMENSION), np.float32) @ within_root
        rows[places] = normalize(center + rng.standard_normal((each, _DIRECTIONS), np.float32) @ directions)
        owners[places] = label
    return rows, owners


def _neighbor_statistics(rows: Array, labels: np.ndarray) -> dict[str, float]:
    queries = np.random.default_rng(1).choice(len(rows), min(500, len(rows)), replace=False)
    cosines, nearest = faiss.knn(rows[queries], rows, 11, faiss.METRIC_INNER_PRODUCT)
    own = labels[nearest[:, 1:]] == labels[queries][:, None]
    return {"rows": len(rows), "labels": int(labels.max()) + 1, "own": float(own.mean())} | {
        f"cosine {place}": float(cosines[:, place].mean()) for place in (1, 10)
    }


def _write(count: int, rows: Array, labels: np.ndarray) -> None:
    folder = KEPT / f"index-{count}"
    folder.mkdir(exist_ok=True)
    for start in range(0, count, _ROWS_PER_SHARD):
        part = range(start, min(start + _ROWS_PER_SHARD, count))
        texts, none = [str(row) for row in part], [None] * len(part)
        names = [f"label {label}" for label in labels[part]]
        table = rows_table(texts, names, none, texts, [bytes(32)] * len(part), rows[part], "float16")
        write_shard(folder / f"part-{start // _ROWS_PER_SHARD:05d}.parquet", table)


def shards_of(count: int) -> tuple[Shards, Codes]:
    """Returns the shards that `draw` wrote, and the label of each row."""
    shards = Shards(sorted((KEPT / f"index-{count}").glob("*.parquet")))
    return shards, shards.codes("label")[1]
