"""Compares the ledger's rows with the state that its changes produce."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Row, Table, Text, cast, select

from glimpse.ledger.database import schema
from glimpse.ledger.maintenance.consistent_read import BATCH, Progress, count
from glimpse.ledger.maintenance.problems import Problems
from glimpse.ledger.maintenance.replay import Replay
from glimpse.ledger.records import ExampleRecord

# Tolerance for the length of a float32 unit vector.
_LENGTH: Final = 1e-3
_CONTENT = re.compile(r"sha256:[0-9a-f]{64}")


class Comparison:
    """Compares one state of a ledger with the replay of all its changes."""

    def __init__(self, connection: Connection, replay: Replay, problems: Problems) -> None:
        self._connection, self._wanted, self._add = connection, replay.state, problems.add
        self._dimensions: dict[str, int] = {}
        #: Dimensions by collection and side: see reembedding/reads.py.
        self._of_sides: dict[tuple[str, int], int] = {}

    def run(self, progress: Progress) -> None:
        """Compares every table."""
        self._collections()
        self._labels(progress)
        self._examples(progress)
        self._indexes()
        self._tombstones()
        self._reembedded_vectors()
        self._inputs()
        self._keys()

    def _parts(self, table: Table) -> Iterator[Sequence[Row[Any]]]:
        # Read JSON as text, so that invalid JSON is a problem of its row only.
        texts = [cast(one, Text).label(one.name) if one.name == "metadata" else one for one in table.columns]
        query = select(*texts).order_by(*table.primary_key).execution_options(yield_per=BATCH)
        yield from self._connection.execute(query).partitions()

    def _find(self, query: str, *values: Any) -> Any:
        return self._wanted.execute(query, values).fetchone()

    def _collections(self) -> None:
        wanted = {name: rest for name, *rest in self._wanted.execute("SELECT * FROM collections")}
        others = {row.collection_id: row.dimension for row in self._connection.execute(select(schema.shadows))}
        for part in self._parts(schema.collections):
            for row in part:
                self._dimensions[row.id] = self._of_sides[row.id, row.side] = row.dimension
                self._of_sides[row.id, 1 - row.side] = others.get(row.id, row.dimension)
                there = [row.create_time, row.update_time, row.revision]
                names = ("was created", "was updated", "last changed (revision)")
                self._differ("collection", f"collection {row.id!r}", names, there, wanted.pop(row.id, None))
        for name in wanted:
            self._add("collection", f"collection {name!r} is missing")

    def _differ(
        self, kind: str, name_of_row: str, names: Sequence[str], there: Sequence[Any], wanted: Sequence[Any] | None
    ) -> None:
        """Reports where a row differs from what the changes say."""
        if wanted is None:
            self._add(kind, f"{name_of_row} exists, but no change created it")
            return
        for name, one, other in zip(names, there, wanted, strict=True):
            if other is not None and one != other:
                self._add(kind, f"{name_of_row}: {name} {one!r}, by the changes {other!r}")

    def _labels(self, progress: Progress) -> None:
        found = "SELECT create_time, update_time FROM labels WHERE collection = ? AND id = ?"
        unnamed = "SELECT 1 FROM unnamed_labels WHERE collection = ? AND time = ?"
        with progress("labels", count(self._connection, schema.labels)) as advance:
            for part in self._parts(schema.labels):
                for row in part:
                    this, name_of_row = (
                        (row.collection_id, row.id),
                        f"label {row.id!r} of collection {row.collection_id!r}",
                    )
                    wanted = self._find(found, *this)
                    if wanted is not None or not self._find(unnamed, row.collection_id, row.create_time):
                        names, there = ("was created", "was updated"), (row.create_time, row.update_time)
                        self._differ("label", name_of_row, names, there, wanted)
                    if row.prompt_vector is not None:
                        self._vector(name_of_row, self._dimensions.get(row.collection_id), row.prompt_vector)
                self._wanted.executemany(
                    "DELETE FROM labels WHERE collection = ? AND id = ?", [(one.collection_id, one.id) for one in part]
                )
                advance(len(part))
        for name, label in self._wanted.execute("SELECT collection, id FROM labels"):
            self._add("label", f"label {label!r} of collection {name!r} is missing")

    def _examples(self, progress: Progress) -> None:
        with progress("examples", count(self._connection, schema.examples)) as advance:
            for part in self._parts(schema.examples):
                for row in part:
                    self._example(row)
                seen = [(row.collection_id, row.id) for row in part]
                self._wanted.executemany("UPDATE examples SET seen = 1 WHERE collection = ? AND id = ?", seen)
                advance(len(part))
        missing = "SELECT collection, id, revision FROM examples WHERE NOT seen AND NOT open"
        for name, example, revision in self._wanted.execute(missing):
            self._add("missing", f"example {example!r} of collection {name!r}, of change {revision}, is missing")

    def _example(self, row: Row[Any]) -> None:
        name_of_row = f"example {row.id!r} of collection {row.collection_id!r}"
        found = "SELECT label, sequence, time, digest FROM examples WHERE collection = ? AND id = ?"
        wanted = self._find(found, row.collection_id, row.id)
        names, there = ("has label", "is number", "was enrolled"), (row.label_id, row.sequence, row.create_time)
        self._differ("example", name_of_row, names, there, wanted and wanted[:3])
        self._vector(name_of_row, self._of_sides.get((row.collection_id, row.side)), row.vector)
        if not _CONTENT.fullmatch(row.content_digest):
            self._add("digest", f"{name_of_row}: {row.content_digest!r} is not a content digest")
        try:
            values = {name: row._mapping[name] for name in ExampleRecord.__slots__}
            values["metadata"] = json.loads(row.metadata)
        except ValueError:
            self._add("example", f"{name_of_row}: its metadata is not JSON")
            return
        if wanted and wanted[3] is not None and wanted[3] != ExampleRecord(**values).digest:
            self._add("example", f"{name_of_row} is not what was enrolled: the digest of its values and vector differs")

    def _vector(self, name_of_row: str, dimension: int | None, vector: bytes) -> None:
        if dimension is not None and len(vector) != 4 * dimension:
            self._add("vector", f"the vector of {name_of_row} has {len(vector)} bytes, not {4 * dimension}")
            return
        values = np.frombuffer(vector[: len(vector) // 4 * 4], "<f4").astype(np.float64)
        length = float(np.sqrt(values @ values))
        if not np.isfinite(values).all():
            self._add("vector", f"the vector of {name_of_row} is not finite")
        elif abs(length - 1) > _LENGTH:
            self._add("vector", f"the vector of {name_of_row} has length {length:.6g}, not 1")

    def _indexes(self) -> None:
        wanted = {name: rest for name, *rest in self._wanted.execute("SELECT collection, id, digest FROM indexes")}
        for row in self._connection.execute(select(schema.attachments)):
            there, found = (row.index_id, row.digest), wanted.pop(row.collection_id, None)
            name_of_row = f"the index of collection {row.collection_id!r}"
            self._differ("index", name_of_row, ("is", "is that of digest"), there, found)
        for name, (index, _) in wanted.items():
            self._add("index", f"the index {index!r} is not attached to collection {name!r}")

    def _tombstones(self) -> None:
        found = 'SELECT 1 FROM tombstones WHERE collection = ? AND "row" = ?'
        unnamed = "SELECT 1 FROM indexes WHERE collection = ? AND open"
        for part in self._parts(schema.tombstones):
            for name, row in map(tuple, part):
                if not self._find(found, name, row) and not self._find(unnamed, name):
                    self._add("index", f"row {row} of the index of collection {name!r} was deleted by no change")
            seen = [tuple(one) for one in part]
            self._wanted.executemany('DELETE FROM tombstones WHERE collection = ? AND "row" = ?', seen)
        for name, row in self._wanted.execute('SELECT collection, "row" FROM tombstones'):
            self._add("index", f"row {row} of the index of collection {name!r} is visible, although it was deleted")

    def _reembedded_vectors(self) -> None:
        examples, there = schema.examples.c, schema.shadow_vectors.c
        query = select(there.collection_id, examples.id, examples.side, there.vector).join_from(
            schema.shadow_vectors, schema.examples, examples.sequence == there.sequence
        )
        for row in self._connection.execute(query.where(there.problem == "").execution_options(yield_per=BATCH)):
            name_of_row = f"example {row.id!r} of collection {row.collection_id!r} by its other backbone"
            self._vector(name_of_row, self._of_sides.get((row.collection_id, 1 - row.side)), row.vector or b"")

    def _inputs(self) -> None:
        query = select(schema.inputs).execution_options(yield_per=BATCH)
        for row in self._connection.execute(query):
            if row.content_digest != f"sha256:{hashlib.sha256(row.content).hexdigest()}":
                name_of_row = f"the stored input {row.content_digest} of collection {row.collection_id!r}"
                self._add("digest", f"{name_of_row} has other content")

    def _keys(self) -> None:
        # A missing key admits no caller, and exports leave keys out, so it is not a problem.
        wanted = dict(self._wanted.execute("SELECT name, revoked FROM keys").fetchall())
        there_are = schema.api_keys.c
        for row in self._connection.execute(select(there_are.name, there_are.revoke_time)):
            there, revoked = int(row.revoke_time is not None), wanted.pop(row.name, None)
            found = None if revoked is None else (revoked,)
            self._differ("key", f"the key {row.name!r}", ("is revoked (1) or not (0):",), (there,), found)
