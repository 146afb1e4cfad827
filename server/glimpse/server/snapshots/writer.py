"""A view written to the disk, in a thread that yields, while the view goes on changing."""

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

#: Bytes of vectors in a file: what writing takes of memory.
_PART = 64 << 20
# Vectors read, and added up, before anybody else may come in between: some milliseconds.
_AT_ONCE = 1_000
# What is left free on a disk: the ledger writes there too.
_SPARE = 256 << 20


@dataclass(frozen=True, slots=True)
class ViewCapture:
    """A view as it was, as far as it takes to write it down: for the event loop, some milliseconds for a million."""

    origin: Origin
    sequences: Ids
    examples: ExampleStore
    labels: Sequence[LabelRecord]
    #: Where the vectors of a role are.
    index_of: Callable[[int], LayeredIndex]

    @classmethod
    def of(cls, view: CollectionView, at: Head) -> "ViewCapture":
        """`at`: where the ledger stands, or stood a moment ago."""
        below = view.examples.attached_index
        return cls(
            Origin.of(view.record, below.record if below else None, at),
            view.examples.sequences(),
            view.examples,
            list(view.labels.values()),
            view.indexes.of_role,
        )


class _Run(NamedTuple):
    """Examples that make a file of vectors: from one place to another; perhaps a file that is there already."""

    start: int
    end: int
    part: Part | None


def write_snapshot(taken: ViewCapture, folder: Path, before: tuple[Path, Manifest] | None) -> Manifest:
    """Writes a snapshot into an empty folder; blocking. Raises OSError.

    Examples that are deleted meanwhile may be missing: the ledger's changes since say that they are.

    Args:
        taken: the view.
        folder: made, where it is not there.
        before: an earlier snapshot of the same view; files of vectors that would be the same are linked to.
    """
    make_folder(folder)
    columns = taken.examples.columns(taken.sequences)
    dimension, roles = taken.origin.dimension, {label.id: label.role for label in taken.labels}
    indexes = [taken.index_of(roles[label]) if label in roles else None for label in columns.labels]
    runs = _runs(columns.sequences, max(1, _PART // (4 * dimension)), before[1] if before else None)
    _check_space(folder, sum(run.end - run.start for run in runs if not run.part) * 4 * dimension)
    sums = np.zeros((len(columns.labels), dimension)) if len(columns.labels) <= MOST_EXACT else None
    parts, there = list[Part](), np.zeros(len(columns), bool)
    for number, run in enumerate(runs):
        rows = np.arange(run.start, run.end)
        vectors, found = _vectors(indexes, columns, rows, dimension)
        there[rows] = found
        rows, vectors = rows[found], vectors if found.all() else vectors[found]
        if sums is not None:
            _add_up(sums, columns.codes[rows], vectors)
        if len(rows):
            name = f"vectors-{number:05d}.npy"
            linked = before and run.part and found.all() and _link(before[0] / run.part.file, folder / name)
            sha256 = run.part.sha256 if linked and run.part else write_array(folder / name, vectors)
            parts.append(_part(name, sha256, columns.sequences[rows]))
    if not there.all():
        columns = columns.at(np.flatnonzero(there))
    files = _write_columns(taken, columns, sums, folder)
    manifest = Manifest(origin=taken.origin, count=len(columns), files=files, parts=tuple(parts)).sealed()
    with open(folder / NAME, "w", encoding="utf-8", opener=opener) as file:
        file.write(manifest.model_dump_json(indent=1))
    synced(folder / NAME)
    synced(folder)
    return manifest


def _write_columns(taken: ViewCapture, columns: ExampleColumns, sums: Floats | None, folder: Path) -> dict[str, str]:
    """All but the vectors; returns the digests."""
    arrays: dict[str, Ids | Codes | Floats] = {
        "sequences.npy": columns.sequences,
        "codes.npy": columns.codes,
        "domains.npy": columns.domain_codes,
        "contents.npy": columns.contents,
    }
    if sums is not None:
        arrays["sums.npy"] = sums
    files = {name: write_array(folder / name, values) for name, values in arrays.items()}
    files["ids.jsonl"] = write_lines(folder / "ids.jsonl", columns.ids)
    # So that another label of the same name is told from this one.
    times = {label.id: label.create_time for label in taken.labels}
    labels = [(label, times.get(label, 0)) for label in columns.labels]
    files["labels.json"] = write_json(folder / "labels.json", {"labels": labels, "domains": list(columns.domains)})
    return files


def _vectors(
    indexes: Sequence[LayeredIndex | None], columns: ExampleColumns, rows: Ids, dimension: int
) -> tuple[Array, Mask]:
    """The vectors of examples, (m, d), and which of them are there still, (m,). `indexes`: by label."""
    vectors, there = np.empty((len(rows), dimension), np.float32), np.zeros(len(rows), bool)
    codes = columns.codes[rows]
    for index in {id(one): one for one in indexes if one is not None}.values():
        own = np.array([one is index for one in indexes], bool)
        places = np.flatnonzero(own[codes])
        for start in range(0, len(places), _AT_ONCE):
            some = places[start : start + _AT_ONCE]
            vectors[some], there[some] = _found(index, columns.sequences[rows[some]], dimension)
    return vectors, there


def _found(index: LayeredIndex, ids: Ids, dimension: int) -> tuple[Array, Mask]:
    """As `_vectors`; one by one where any was deleted."""
    with suppress(KeyError):
        return index.vectors(ids), np.ones(len(ids), bool)
    vectors, there = np.zeros((len(ids), dimension), np.float32), np.zeros(len(ids), bool)
    for place, id in enumerate(ids.tolist()):
        with suppress(KeyError):
            vectors[place] = index.vector(id)
            there[place] = True
    return vectors, there


def _add_up(sums: Floats, codes: Codes, vectors: Array) -> None:
    """Adds vectors, (m, d), to the sums of their labels, (C, d)."""
    for start in range(0, len(codes), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        np.add.at(sums, codes[some], vectors[some].astype(np.float64))


def _runs(sequences: Ids, most: int, before: Manifest | None) -> list[_Run]:
    """How examples are divided up into files: files that are there and not too small stay as they are."""
    kept = list[_Run]()
    for part in before.parts if before else ():
        start, end = np.searchsorted(sequences, part.first), np.searchsorted(sequences, part.last, "right")
        if part.count >= most // 2 and _digest(sequences[start:end]) == part.sequences:
            kept.append(_Run(int(start), int(end), part))
    return list(_filled(kept, len(sequences), most))


def _filled(kept: Sequence[_Run], count: int, most: int) -> Iterator[_Run]:
    at = 0
    for run in (*kept, _Run(count, count, None)):
        for start in range(at, run.start, most):
            yield _Run(start, min(start + most, run.start), None)
        if run.end > run.start:
            yield run
        at = run.end


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


def _link(there: Path, file: Path) -> bool:
    """A file under another name; whether that can be had."""
    try:
        os.link(there, file)
    except OSError:
        return False
    return True


def _check_space(folder: Path, wanted: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < wanted + _SPARE:
        raise OSError(f"{free >> 20} MiB are free, and {(wanted + _SPARE) >> 20} MiB wanted")
