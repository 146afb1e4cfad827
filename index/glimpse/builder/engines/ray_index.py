"""Shards and FAISS indexes, made by the workers of a Ray cluster."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray

from glimpse.builder.engines.ray_cluster import ENCODING, LISTING, join, plain
from glimpse.builder.output.fragments import make_shard
from glimpse.index.building.index_selection import CAGRA
from glimpse.index.building.train import can_merge, faiss_bytes, fill, from_bytes, make_index, merge_into, trained_empty
from glimpse.index.progress import Watch
from glimpse.index.storage.shard_set import Shards


def shard_made(path: Path, fragments: Sequence[Path]) -> None:
    """By a worker: rows do not come through here."""
    made = ray.remote(num_cpus=LISTING)(make_shard).remote(path.resolve(), [one.resolve() for one in fragments])
    with plain():
        ray.get(made)


def index_made(shards: Shards, factory: str, threads: int, progress: Watch) -> Any:
    """Trained once, here; workers add a shard each; merged in order. What cannot be merged is made here alone."""
    if factory == CAGRA or not len(shards):
        return make_index(shards, factory, threads, progress)
    with progress("training", 1) as advance:
        # By way of bytes, as those of the workers come: some types are called otherwise then.
        index = from_bytes(faiss_bytes(trained_empty(shards, factory, threads)))
        advance(1)
    if not can_merge(index):
        with progress("adding", len(shards)) as advance:
            fill(index, shards.blocks(), threads, advance)
        return index
    join()
    empty, dimension = ray.put(faiss_bytes(index)), shards.dimension
    add = ray.remote(num_cpus=ENCODING)(_added)
    parts = [add.remote(empty, path.resolve(), dimension) for path in shards.paths]
    with plain(), progress("adding", len(shards)) as advance:
        for part, rows in zip(parts, shards.rows, strict=True):
            merge_into(index, [from_bytes(ray.get(part))])
            advance(rows)
    return index


def _added(empty: Any, path: Path, dimension: int) -> Any:
    """A shard's rows in an index of their own."""
    index = from_bytes(empty)
    fill(index, Shards([path], dimension).blocks())
    return faiss_bytes(index)
