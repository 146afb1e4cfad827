"""Builds a view from a snapshot."""

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

# Files of vectors that are read and checked ahead of the one in use.
_READ_AHEAD = 4


def read_snapshot(
    folder: Path,
    manifest: Manifest,
    record: CollectionRecord,
    labels: Mapping[str, LabelRecord],
) -> CollectionView:
    """Builds a view, without the attached index.

    Args:
        folder: The snapshot's folder.
        manifest: Its manifest.
        record: The collection's present record.
        labels: The collection's present labels by id. Examples of labels that were deleted since are left out.

    Raises:
        UnusableSnapshot: A file is missing or damaged.
    """
    view = CollectionView(record)
    for label in labels.values():
        view.put_label(label)
    columns, kept = _columns(folder, manifest, labels)
    sums = read_array(folder / "sums.npy", manifest.files["sums.npy"]) if "sums.npy" in manifest.files else None
    if kept.all():
        view.load_examples(columns, _vectors(folder, manifest), sums)
        return view
    columns, used = _with_used_labels(columns.take(np.flatnonzero(kept)))
    view.load_examples(columns, _select(_vectors(folder, manifest), kept), None if sums is None else sums[used])
    return view


def _with_used_labels(columns: ExampleColumns) -> tuple[ExampleColumns, np.ndarray[tuple[int], np.dtype[np.int32]]]:
    """Removes labels without examples from the columns; returns also the former codes of the labels that stay."""
    used = np.unique(columns.codes)
    remaining = ExampleColumns(
        columns.sequences,
        columns.ids,
        [columns.labels[code] for code in used.tolist()],
        np.searchsorted(used, columns.codes).astype(np.int32),
        columns.domains,
        columns.domain_codes,
        columns.groups,
        columns.group_codes,
        columns.content_keys,
    )
    return remaining, used


def _columns(folder: Path, manifest: Manifest, labels: Mapping[str, LabelRecord]) -> tuple[ExampleColumns, Mask]:
    """Returns all examples, and which of them belong to labels that still exist."""

    def array(name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
        return read_array(folder / name, manifest.files[name])

    names = read_json(folder / "labels.json", manifest.files["labels.json"])
    sequences = array("sequences.npy").astype(np.int64)
    # A snapshot from before groups has neither; no example was in a group then.
    has_groups = "groups.npy" in manifest.files
    columns = ExampleColumns(
        sequences,
        read_lines(folder / "ids.jsonl", manifest.files["ids.jsonl"]),
        [name for name, _ in names["labels"]],
        array("codes.npy").astype(np.int32),
        names["domains"],
        array("domains.npy").astype(np.int32),
        names["groups"] if has_groups else [""],
        array("groups.npy").astype(np.int32) if has_groups else np.zeros(len(sequences), np.int32),
        array("contents.npy").astype(np.int64),
    )
    exists = [name in labels and labels[name].create_time == time for name, time in names["labels"]]
    return columns, np.array(exists, bool)[columns.codes]


def _vectors(folder: Path, manifest: Manifest) -> Iterator[Array]:
    """Yields the vectors file by file, after checking each against its digest."""
    with ThreadPoolExecutor(min(_READ_AHEAD, cores()), "snapshot") as pool:
        reads = deque[Future[Array]]()
        for part in manifest.parts:
            reads.append(pool.submit(read_array, folder / part.file, part.sha256))
            if len(reads) > _READ_AHEAD:
                yield reads.popleft().result()
        while reads:
            yield reads.popleft().result()


def _select(parts: Iterator[Array], kept: Mask) -> Iterator[Array]:
    start = 0
    for vectors in parts:
        yield vectors[kept[start : start + len(vectors)]]
        start += len(vectors)
