"""Builds on Ray Data: one task lists the inputs, pools of actors read, decode and encode them.

    windows ─▶ look (one actor per slot) ─▶ encode (one actor per GPU or CPU slot) ─▶ fragment, shard (workers)

Windows and batches are those of a build on one machine, so the same inputs in the same order give the same bytes. Every
machine of the cluster must see inputs, backbone and index folder under the same paths.
"""

import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

# Ray reads this when it is imported.
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
import ray
from ray.data import ActorPoolStrategy, DataContext
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from glimpse.backbone import Bundle, Embedder, load_bundle
from glimpse.builder.engines.encode_rows import Made, Rows, look
from glimpse.builder.engines.local_engine import WINDOW, each_once
from glimpse.builder.engines.ray_cluster import DECODING, ENCODING, LISTING, join, plain
from glimpse.builder.engines.ray_index import index_made, shard_made
from glimpse.builder.options import Engine, Inputs, Plan, Write, inputs_of
from glimpse.builder.output.existing_rows import Ids, Known
from glimpse.builder.output.fragments import write_fragment
from glimpse.builder.output.output_folder import Folder
from glimpse.index.storage.manifest import VectorType
from glimpse.index.storage.shard_set import Shards

# Windows in flight per actor.
_AHEAD = 2
_Batch = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Site:
    """The settings of a worker; `cwd` is the folder that relative inputs refer to."""

    plan: Plan
    cwd: Path
    bundle: Path
    known: Path
    base: tuple[Path, ...]
    windows: Path
    vector_type: VectorType
    dimension: int


class _Windows(Datasource):
    """Lists the inputs, one window per row, in one task that proceeds as fast as the others follow."""

    def __init__(self, site: _Site) -> None:
        super().__init__()
        self._site = site

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        """Returns one task, because inputs are ordered."""
        metadata = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None)
        return [ReadTask(partial(_listed, self._site), metadata)]

    def estimate_inmemory_data_size(self) -> int | None:
        """Returns None: the size is unknown."""
        return None


def _listed(site: _Site) -> Iterator[pa.Table]:
    os.chdir(site.cwd)
    site.windows.mkdir(parents=True, exist_ok=True)
    with closing(Ids(site.windows / "ids.sqlite")) as ids:
        inputs, number = each_once(inputs_of(site.plan, load_bundle(site.bundle)), ids), 0
        while window := list(islice(inputs, WINDOW)):
            yield _row(number, window)
            number += 1


class _Look:
    """Reads, digests and decodes windows."""

    def __init__(self, site: _Site) -> None:
        os.chdir(site.cwd)
        self._known = Known(site.known)
        self._reader = Embedder(load_bundle(site.bundle), threads=1, limits=site.plan.limits)

    def __call__(self, batch: _Batch) -> pa.Table:
        """Reads the inputs of a window."""
        [number], [window] = batch["number"], batch["window"]
        return _row(number, [look(one, self._known, self._reader) for one in pickle.loads(window)])


class _Encode:
    """Encodes windows and writes their rows."""

    def __init__(self, site: _Site) -> None:
        base = Shards(site.base, site.dimension)
        self._rows = Rows(Embedder(load_bundle(site.bundle), site.plan.threads or 1), base, site.vector_type)
        self._windows = site.windows

    def __call__(self, batch: _Batch) -> pa.Table:
        """Encodes a window and writes its rows to a file."""
        [number], [window] = batch["number"], batch["window"]
        made = self._rows.make(pickle.loads(window))
        if made.table is not None:
            write_fragment(_file(self._windows, int(number)), made.table)
        return _row(number, replace(made, table=None))


def _embed(plan: Plan, bundle: Bundle, folder: Folder, _inputs: Inputs, write: Write) -> None:
    """Runs the windows in the cluster, which lists the inputs itself."""
    join()
    site = _Site(
        plan,
        Path.cwd(),
        bundle.path.resolve(),
        folder.known_path.resolve(),
        tuple(path.resolve() for path in folder.base_paths),
        folder.windows.resolve(),
        folder.header.vector_type,
        folder.header.dimension,
    )
    folder.fragments.make_shard = shard_made
    with plain():
        for number, done in _in_order(_pipeline(site)):
            if done.tally.rows:
                folder.fragments.adopt(_file(site.windows, number))
            write(done)


def _pipeline(site: _Site) -> Any:
    context = DataContext.get_current()
    # One window per block, so that each proceeds as soon as possible; in order, because shards are ordered.
    context.target_max_block_size = 1
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    resources = ray.cluster_resources()
    slots, gpus = max(1, int(resources.get("CPU", 1))), int(resources.get("GPU", 0))
    place: dict[str, float] = {"num_gpus": 1, "num_cpus": ENCODING} if gpus else {"num_cpus": ENCODING}
    listed = ray.data.read_datasource(_Windows(site), override_num_blocks=1, num_cpus=LISTING)
    looked = listed.map_batches(_Look, compute=_pool(slots), num_cpus=DECODING, **_batching(site))
    return looked.map_batches(_Encode, compute=_pool(gpus or slots), **place, **_batching(site))


def _batching(site: _Site) -> dict[str, Any]:
    return {"batch_size": 1, "fn_constructor_args": (site,), "batch_format": "numpy"}


def _pool(size: int) -> ActorPoolStrategy:
    return ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=_AHEAD)


def _in_order(windows: Any) -> Iterator[tuple[int, Made]]:
    """Yields the result of each window, in order."""
    for row in windows.iter_rows():
        yield int(row["number"]), pickle.loads(row["window"])


#: Runs on the cluster in RAY_ADDRESS, or on one started on this machine for the build.
ON_RAY = Engine(_embed, index_made)


def _row(number: int, value: object) -> pa.Table:
    return pa.table({"number": [number], "window": pa.array([pickle.dumps(value)], pa.large_binary())})


def _file(windows: Path, number: int) -> Path:
    return windows / f"{number:08d}.arrow"
