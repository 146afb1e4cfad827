"""From a snapshot to a view."""

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from glimpse.backbone import cores
from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.index import Mask
from glimpse.ledger import CollectionRecord, LabelRecord
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.example_columns import ExampleColumns
from glimpse.server.snapshots.files import read_array, read_json, read_lines
from glimpse.server.snapshots.manifest import Manifest

# Files of vectors that are read and digested while those before them are taken on.
_AHEAD = 4


def read_snapshot(
    folder: Path,
    manifest: Manifest,
    record: CollectionRecord,
    labels: Mapping[str, LabelRecord],
) -> CollectionView:
    """A view of the collection's labels as they are, and the snapshot's examples of those that were there then.

    Without the index below. Raises UnusableSnapshot.
    """
    view = CollectionView(record)
    for label in labels.values():
        view.put_label(label)
    columns, there = _columns(folder, manifest, labels)
    sums = read_array(folder / "sums.npy", manifest.files["sums.npy"]) if "sums.npy" in manifest.files else None
    if there.all():
        view.load_examples(columns, _vectors(folder, manifest), sums)
        return view
    # Labels that are there no more take nothing but their examples with them.
    kept = columns.at(np.flatnonzero(there))
    used = np.unique(kept.codes)
    codes = np.searchsorted(used, kept.codes).astype(np.int32)
    known = ExampleColumns(
        kept.sequences,
        kept.ids,
        [kept.labels[code] for code in used.tolist()],
        codes,
        kept.domains,
        kept.domain_codes,
        kept.contents,
    )
    view.load_examples(known, _some(_vectors(folder, manifest), there), None if sums is None else sums[used])
    return view


def _columns(folder: Path, manifest: Manifest, labels: Mapping[str, LabelRecord]) -> tuple[ExampleColumns, Mask]:
    """All examples, and which of them are of labels that are still there."""

    def array(name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
        return read_array(folder / name, manifest.files[name])

    told = read_json(folder / "labels.json", manifest.files["labels.json"])
    names = [name for name, _ in told["labels"]]
    columns = ExampleColumns(
        array("sequences.npy").astype(np.int64),
        read_lines(folder / "ids.jsonl", manifest.files["ids.jsonl"]),
        names,
        array("codes.npy").astype(np.int32),
        told["domains"],
        array("domains.npy").astype(np.int32),
        array("contents.npy").astype(np.int64),
    )
    known = [name in labels and labels[name].create_time == time for name, time in told["labels"]]
    return columns, np.array(known, bool)[columns.codes]


def _vectors(folder: Path, manifest: Manifest) -> Iterator[Array]:
    """Part after part, each once it is what its digest says."""
    with ThreadPoolExecutor(min(_AHEAD, cores()), "snapshot") as pool:
        coming = deque[Future[Array]]()
        for part in manifest.parts:
            coming.append(pool.submit(read_array, folder / part.file, part.sha256))
            if len(coming) > _AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _some(parts: Iterator[Array], there: Mask) -> Iterator[Array]:
    at = 0
    for vectors in parts:
        yield vectors[there[at : at + len(vectors)]]
        at += len(vectors)
