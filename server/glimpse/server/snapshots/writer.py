"""Writes a view to the disk, in a thread that yields, while the view goes on changing."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from glimpse.fewshot.statistics.class_statistics import MOST_EXACT
from glimpse.fewshot.statistics.unit_vectors import Array, Floats
from glimpse.index import Ids, LayeredIndex, Mask
from glimpse.index.storage.atomic_files import synced
from glimpse.ledger import Head, LabelRecord
from glimpse.ledger.database.file_permissions import make_folder, opener
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.example_columns import Codes, ExampleColumns
from glimpse.server.collections.example_store import ExampleStore
from glimpse.server.snapshots.files import write_array, write_json, write_lines
from glimpse.server.snapshots.manifest import NAME, Manifest, Origin, Part

#: Bytes of vectors in a file; it bounds the memory that writing takes.
_PART_BYTES = 64 << 20
# Vectors read or added up before other threads may run: some milliseconds.
_BATCH = 1_000
# Bytes left free on the disk, because the ledger writes to it too.
_RESERVED_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class ViewCapture:
    """The parts of a view that a snapshot needs. Taking it blocks the event loop for some milliseconds a million.

    Attributes:
        origin: The collection and the history.
        sequences: The sequence numbers of the enrolled examples, `(n,)`.
        examples: The store of the examples, which may lose some of them later.
        labels: The labels.
        index_of: Returns the index of the vectors of a role.
    """

    origin: Origin
    sequences: Ids
    examples: ExampleStore
    labels: Sequence[LabelRecord]
    index_of: Callable[[int], LayeredIndex]

    @classmethod
    def of(cls, view: CollectionView, head: Head) -> "ViewCapture":
        """Captures a view that holds at least the ledger's revisions up to `head`."""
        index = view.examples.attached_index
        return cls(
            Origin.of(view.record, index.record if index else None, head),
            view.examples.sequences(),
            view.examples,
            list(view.labels.values()),
            view.indexes.of_role,
        )


class _Run(NamedTuple):
    """A range of examples that share a file of vectors, and the existing file with the same examples, if any."""

    start: int
    end: int
    part: Part | None


def write_snapshot(capture: ViewCapture, folder: Path, previous: tuple[Path, Manifest] | None) -> Manifest:
    """Writes a snapshot into an empty folder. Blocks.

    Examples that are deleted during that time may be missing; the ledger's later changes delete them too.

    Args:
        capture: The view.
        folder: The folder; it is created if it does not exist.
        previous: An earlier snapshot of the same view; files of vectors that would be equal are linked to.

    Raises:
        OSError: A file cannot be written, or the disk has too little space.
    """
    make_folder(folder)
    columns = capture.examples.columns(capture.sequences)
    dimension, roles = capture.origin.dimension, {label.id: label.role for label in capture.labels}
    indexes = [capture.index_of(roles[label]) if label in roles else None for label in columns.labels]
    runs = _runs(columns.sequences, max(1, _PART_BYTES // (4 * dimension)), previous[1] if previous else None)
    _check_space(folder, sum(run.end - run.start for run in runs if not run.part) * 4 * dimension)
    sums = np.zeros((len(columns.labels), dimension)) if len(columns.labels) <= MOST_EXACT else None
    parts, kept = list[Part](), np.zeros(len(columns), bool)
    for number, run in enumerate(runs):
        rows = np.arange(run.start, run.end)
        vectors, exist = _vectors(indexes, columns, rows, dimension)
        kept[rows] = exist
        rows, vectors = rows[exist], vectors if exist.all() else vectors[exist]
        if sums is not None:
            _add_to_sums(sums, columns.codes[rows], vectors)
        if len(rows):
            name = f"vectors-{number:05d}.npy"
            linked = previous and run.part and exist.all() and _link(previous[0] / run.part.file, folder / name)
            sha256 = run.part.sha256 if linked and run.part else write_array(folder / name, vectors)
            parts.append(_part(name, sha256, columns.sequences[rows]))
    if not kept.all():
        columns = columns.take(np.flatnonzero(kept))
    files = _write_columns(capture, columns, sums, folder)
    manifest = Manifest(origin=capture.origin, count=len(columns), files=files, parts=tuple(parts)).with_digest()
    _write_manifest(manifest, folder)
    return manifest


def _write_manifest(manifest: Manifest, folder: Path) -> None:
    with open(folder / NAME, "w", encoding="utf-8", opener=opener) as file:
        file.write(manifest.model_dump_json(indent=1))
    synced(folder / NAME)
    synced(folder)


def _write_columns(capture: ViewCapture, columns: ExampleColumns, sums: Floats | None, folder: Path) -> dict[str, str]:
    """Writes every file except those of vectors; returns their digests."""
    arrays: dict[str, Ids | Codes | Floats] = {
        "sequences.npy": columns.sequences,
        "codes.npy": columns.codes,
        "domains.npy": columns.domain_codes,
        "groups.npy": columns.group_codes,
        "contents.npy": columns.content_keys,
    }
    if sums is not None:
        arrays["sums.npy"] = sums
    files = {name: write_array(folder / name, values) for name, values in arrays.items()}
    files["ids.jsonl"] = write_lines(folder / "ids.jsonl", columns.ids)
    # The creation time distinguishes a label from a later one with the same id.
    times = {label.id: label.create_time for label in capture.labels}
    labels = [(label, times.get(label, 0)) for label in columns.labels]
    names = {"labels": labels, "domains": list(columns.domains), "groups": list(columns.groups)}
    files["labels.json"] = write_json(folder / "labels.json", names)
    return files


def _vectors(
    indexes: Sequence[LayeredIndex | None], columns: ExampleColumns, rows: Ids, dimension: int
) -> tuple[Array, Mask]:
    """Returns the vectors of examples, `(m, d)`, and which still exist, `(m,)`. `indexes` has one for each label."""
    vectors, exists = np.empty((len(rows), dimension), np.float32), np.zeros(len(rows), bool)
    codes = columns.codes[rows]
    for index in {id(each): each for each in indexes if each is not None}.values():
        own = np.array([each is index for each in indexes], bool)
        places = np.flatnonzero(own[codes])
        for start in range(0, len(places), _BATCH):
            batch = places[start : start + _BATCH]
            vectors[batch], exists[batch] = _read(index, columns.sequences[rows[batch]], dimension)
    return vectors, exists


def _read(index: LayeredIndex, ids: Ids, dimension: int) -> tuple[Array, Mask]:
    """Returns vectors and which of them exist; reads them one by one only if one was deleted."""
    with suppress(KeyError):
        return index.vectors(ids), np.ones(len(ids), bool)
    vectors, exists = np.zeros((len(ids), dimension), np.float32), np.zeros(len(ids), bool)
    for place, id in enumerate(ids.tolist()):
        with suppress(KeyError):
            vectors[place] = index.vector(id)
            exists[place] = True
    return vectors, exists


def _add_to_sums(sums: Floats, codes: Codes, vectors: Array) -> None:
    """Adds vectors, `(m, d)`, to the sums of their labels, `(C, d)`."""
    for start in range(0, len(codes), _BATCH):
        batch = slice(start, start + _BATCH)
        np.add.at(sums, codes[batch], vectors[batch].astype(np.float64))


def _runs(sequences: Ids, max_length: int, previous: Manifest | None) -> list[_Run]:
    """Divides examples into files; existing files that are at least half full stay as they are."""
    kept = list[_Run]()
    for part in previous.parts if previous else ():
        start, end = np.searchsorted(sequences, part.first), np.searchsorted(sequences, part.last, "right")
        if part.count >= max_length // 2 and _digest(sequences[start:end]) == part.sequences:
            kept.append(_Run(int(start), int(end), part))
    return list(_fill_gaps(kept, len(sequences), max_length))


def _fill_gaps(kept: Sequence[_Run], count: int, max_length: int) -> Iterator[_Run]:
    position = 0
    for run in (*kept, _Run(count, count, None)):
        for start in range(position, run.start, max_length):
            yield _Run(start, min(start + max_length, run.start), None)
        if run.end > run.start:
            yield run
        position = run.end


def _part(name: str, sha256: str, sequences: Ids) -> Part:
    return Part(
        file=name,
        sha256=sha256,
        count=len(sequences),
        first=int(sequences[0]),
        last=int(sequences[-1]),
        sequences=_digest(sequences),
    )


def _digest(sequences: Ids) -> str:
    return hashlib.sha256(sequences.tobytes()).hexdigest()


def _link(source: Path, target: Path) -> bool:
    """Links a file under another name; returns whether the file system allows it."""
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + _RESERVED_BYTES:
        raise OSError(f"not enough disk space: {free >> 20} MiB free, {(needed + _RESERVED_BYTES) >> 20} MiB needed")
