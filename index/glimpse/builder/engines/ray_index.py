"""Writes shards and builds FAISS indexes with the workers of a Ray cluster."""

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
    """Writes a shard in a worker; its rows do not pass through this process."""
    made = ray.remote(num_cpus=LISTING)(make_shard).remote(path.resolve(), [path.resolve() for path in fragments])
    with plain():
        ray.get(made)


def index_made(shards: Shards, factory: str, threads: int, progress: Watch) -> Any:
    """Builds an index: trains it here, lets workers add one shard each, and merges in order.

    An index that cannot be merged is built here.
    """
    if factory == CAGRA or not len(shards):
        return make_index(shards, factory, threads, progress)
    with progress("training", 1) as advance:
        # Serialize it like the workers' indexes: some types have another class afterwards.
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
    """Adds a shard's rows to a copy of the empty index."""
    index = from_bytes(empty)
    fill(index, Shards([path], dimension).blocks())
    return faiss_bytes(index)
