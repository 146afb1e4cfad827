"""Labelled vectors as real embeddings lie, as many as are wanted, d = 512.

No million real labelled vectors are at hand, so 100 are drawn of each label. What is measured, of 2,525 photographs
of caltech101 through MobileNet V2, turned to their 512 strongest directions: the mean, and the covariances between
labels and within them (see bench/gallery.py). A label there spreads in about 41 directions of its own, where all labels
together have 239; so each drawn label has 50 directions, drawn from the covariance within. What is assumed: centres
drawn so would all lie apart, which real labels do not; they are drawn closer (a third of the covariance between), so
that as many drawn as there are real have as many of their 10 nearest of their own label. Labels are in no clusters of
their own, so that lists have to be read more than of many real sets.
"""

import json
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from bench.gallery import DIMENSION, _moments, _photographs, _root
from bench.vectors import ROOT, Array
from glimpse.fewshot.statistics.unit_vectors import normalize
from glimpse.index import Codes, Shards, rows_table, write_shard

__all__ = ["DIMENSION", "KEPT", "draw", "shards_of"]

KEPT = ROOT / "build" / "bench"
_OF_A_LABEL, _DIRECTIONS, _APART = 100, 50, 1 / 3
_IN_SHARD = 100_000


def draw(count: int, data: Path) -> dict[str, dict[str, float]]:
    """Writes the shards unless they are there; how near rows lie, in what was drawn and in what is real."""
    KEPT.mkdir(parents=True, exist_ok=True)
    facts = KEPT / f"index-{count}.json"
    if not facts.is_file():
        photographs = _photographs(data)
        moments = _moments(photographs)
        given = np.asarray(photographs.vectors, np.float64)
        strongest = np.linalg.eigh(given.T @ given)[1][:, -DIMENSION:]
        real = normalize(np.asarray(given @ strongest, np.float32))
        labels = np.unique(photographs.labels, return_inverse=True)[1]
        told = {"photographs": _near(real, labels)}
        each = len(real) // (labels.max() + 1)
        told["drawn, as many"] = _near(*_rows(*moments, labels.max() + 1, each))
        rows, owners = _rows(*moments, count // _OF_A_LABEL, _OF_A_LABEL)
        told["drawn"] = _near(rows, owners)
        _write(count, rows, owners)
        facts.write_text(json.dumps(told), "utf-8")
    found: dict[str, dict[str, float]] = json.loads(facts.read_text("utf-8"))
    return found


def _rows(mean: Any, between: Any, within: Any, labels: int, each: int) -> tuple[Array, np.ndarray]:
    """Unit rows, (labels * each, d), in random order, and their labels."""
    rng = np.random.default_rng(0)
    far, near = np.float32(_APART**0.5) * _root(between), np.float32(_DIRECTIONS**-0.5) * _root(within)
    order = rng.permutation(labels * each).reshape(labels, each)
    rows, owners = np.empty((labels * each, DIMENSION), np.float32), np.empty(labels * each, np.int64)
    for label, places in enumerate(order):
        centre = mean.astype(np.float32) + rng.standard_normal(DIMENSION, np.float32) @ far
        directions = rng.standard_normal((_DIRECTIONS, DIMENSION), np.float32) @ near
        rows[places] = normalize(centre + rng.standard_normal((each, _DIRECTIONS), np.float32) @ directions)
        owners[places] = label
    return rows, owners


def _near(rows: Array, labels: np.ndarray) -> dict[str, float]:
    asked = np.random.default_rng(1).choice(len(rows), min(500, len(rows)), replace=False)
    cosines, found = faiss.knn(rows[asked], rows, 11, faiss.METRIC_INNER_PRODUCT)
    own = labels[found[:, 1:]] == labels[asked][:, None]
    return {"rows": len(rows), "labels": int(labels.max()) + 1, "own": float(own.mean())} | {
        f"cosine {place}": float(cosines[:, place].mean()) for place in (1, 10)
    }


def _write(count: int, rows: Array, labels: np.ndarray) -> None:
    folder = KEPT / f"index-{count}"
    folder.mkdir(exist_ok=True)
    for start in range(0, count, _IN_SHARD):
        part = range(start, min(start + _IN_SHARD, count))
        texts, none = [str(row) for row in part], [None] * len(part)
        names = [f"label {label}" for label in labels[part]]
        table = rows_table(texts, names, none, texts, [bytes(32)] * len(part), rows[part], "float16")
        write_shard(folder / f"part-{start // _IN_SHARD:05d}.parquet", table)


def shards_of(count: int) -> tuple[Shards, Codes]:
    """What `draw` wrote, and the label of each row."""
    shards = Shards(sorted((KEPT / f"index-{count}").glob("*.parquet")))
    return shards, shards.codes("label")[1]
