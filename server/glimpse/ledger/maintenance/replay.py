"""Replays the sequence of changes into a temporary database, to know which rows the ledger should contain.

The temporary database spills to disk, so a million examples need no more memory than a thousand. Changes written by
earlier versions contain less: not which labels came with an index, an example's label, or the rows deleted with a
label. Rows that are therefore undetermined are marked `open`; for those, either state is valid.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from glimpse.ledger.records import Change

_SCHEMA = """
PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF; PRAGMA cache_size=-65536;
CREATE TABLE collections (id TEXT PRIMARY KEY, create_time, update_time, revision) WITHOUT ROWID;
CREATE TABLE labels (collection, id, create_time, update_time, PRIMARY KEY (collection, id)) WITHOUT ROWID;
CREATE TABLE examples (collection, id, label, sequence, time, digest, revision, open DEFAULT 0, seen DEFAULT 0,
    PRIMARY KEY (collection, id));
CREATE INDEX by_label ON examples (collection, label);
CREATE TABLE indexes (collection PRIMARY KEY, id, digest, open) WITHOUT ROWID;
CREATE TABLE unnamed_labels (collection, time, PRIMARY KEY (collection, time)) WITHOUT ROWID;
CREATE TABLE tombstones (collection, "row", PRIMARY KEY (collection, "row")) WITHOUT ROWID;
CREATE TABLE keys (name PRIMARY KEY, revoked) WITHOUT ROWID;
"""
_IN_COLLECTION = ("labels", "unnamed_labels", "examples", "indexes", "tombstones")


class Replay:
    """The state after the changes that were applied so far."""

    def __init__(self) -> None:
        self.state = sqlite3.connect("", isolation_level=None)  # no name: a private temporary file
        self.state.executescript(_SCHEMA)
        self.state.execute("BEGIN")
        #: The last example's number, as far as it is known from the changes.
        self.sequence = 0
        self._done: dict[str, Callable[[Change], None]] = {
            "create_collection": self._create_collection,
            "update_collection": self._update_collection,
            "delete_collection": self._delete_collection,
            "create_label": self._create_label,
            "update_label": self._update_label,
            "delete_label": self._delete_label,
            "enroll": self._enroll,
            "delete_example": self._delete_example,
            "update_examples": self._update_examples,
            "delete_examples": self._delete_examples,
            "attach": self._attach,
            "detach": self._detach,
            "replace_index": self._replace_index,
            "delete_row": self._delete_row,
            "start_migration": self._ignore,
            "embed_shadow": self._ignore,
            "switch_backbone": self._update_collection,
            "end_migration": self._ignore,
            "fold_shadow": self._clean_up_reembedding,
            "create_key": self._create_key,
            "revoke_key": self._revoke_key,
        }

    def close(self) -> None:
        """Deletes the temporary database."""
        self.state.close()

    def apply(self, change: Change) -> None:
        """Applies one change. Raises ValueError if it is impossible."""
        if change.kind not in self._done:
            raise ValueError(f"there is no change of kind {change.kind!r}")
        try:
            self._done[change.kind](change)
        except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
            raise ValueError(f"the subject of a change of kind {change.kind} is invalid: {error!r}") from error
        except sqlite3.IntegrityError as error:
            raise ValueError(f"it creates what exists already ({change.kind})") from error
        if change.collection_id:
            self._run("UPDATE collections SET revision = ? WHERE id = ?", change.revision, change.collection_id)

    def _run(self, statement: str, *values: Any) -> sqlite3.Cursor:
        return self.state.execute(statement, values)

    def _touch(self, statement: str, *values: Any) -> None:
        """Runs a statement; raises ValueError if it changes no row."""
        if not self._run(statement, *values).rowcount:
            raise ValueError("its subject does not exist")

    def _create_collection(self, change: Change) -> None:
        self._run("INSERT INTO collections VALUES (?, ?, ?, 0)", change.collection_id, change.time, change.time)

    def _update_collection(self, change: Change) -> None:
        self._touch("UPDATE collections SET update_time = ? WHERE id = ?", change.time, change.collection_id)

    def _delete_collection(self, change: Change) -> None:
        for table in _IN_COLLECTION:
            self._run(f"DELETE FROM {table} WHERE collection = ?", change.collection_id)
        self._touch("DELETE FROM collections WHERE id = ?", change.collection_id)

    def _create_label(self, change: Change) -> None:
        self._add_labels(change, [change.subject["label"]])

    def _add_labels(self, change: Change, labels: list[str]) -> None:
        rows = [(change.collection_id, label, change.time, change.time) for label in labels]
        self.state.executemany("INSERT INTO labels VALUES (?, ?, ?, ?)", rows)

    def _update_label(self, change: Change) -> None:
        key = (change.collection_id, change.subject["label"])
        self._run("UPDATE labels SET update_time = ? WHERE collection = ? AND id = ?", change.time, *key)

    def _delete_label(self, change: Change) -> None:
        key = (change.collection_id, change.subject["label"])
        self._run("DELETE FROM labels WHERE collection = ? AND id = ?", *key)
        self._run("DELETE FROM examples WHERE collection = ? AND label = ?", *key)
        self._run("UPDATE examples SET open = 1 WHERE collection = ? AND label IS NULL AND NOT open", key[0])
        self._mark_deleted(change)

    def _enroll(self, change: Change) -> None:
        subject = change.subject
        self._add_labels(change, subject.get("labels", []))
        ids = subject.get("examples", [])
        first = subject.get("first")
        labels = list(_labels(subject["under"])) if first is not None else [None] * len(ids)
        digests = subject["digests"] if first is not None else [None] * len(ids)
        rows = [
            (change.collection_id, one, label, None if first is None else first + place, change.time, digest)
            for place, (one, label, digest) in enumerate(zip(ids, labels, digests, strict=True))
        ]
        insert = "INSERT INTO examples (collection, id, label, sequence, time, digest, revision) VALUES "
        self.state.executemany(insert + f"(?, ?, ?, ?, ?, ?, {int(change.revision)})", rows)
        if first is not None:
            if first <= self.sequence:
                raise ValueError(f"its examples' numbers begin at {first}, but {self.sequence} was used before")
            self.sequence = first + len(ids) - 1
        else:
            self.sequence += len(ids)

    def _delete_example(self, change: Change) -> None:
        key = (change.collection_id, change.subject["example"])
        self._touch("DELETE FROM examples WHERE collection = ? AND id = ?", *key)

    def _update_examples(self, change: Change) -> None:
        subject, name = change.subject, change.collection_id
        for example, digest in zip(subject["examples"], subject["digests"], strict=True):
            self._touch("UPDATE examples SET digest = ? WHERE collection = ? AND id = ?", digest, name, example)
            if "label" in subject:
                key = (subject["label"], name, example)
                self._run("UPDATE examples SET label = ? WHERE collection = ? AND id = ?", *key)

    def _delete_examples(self, change: Change) -> None:
        for example in change.subject["examples"]:
            self._touch("DELETE FROM examples WHERE collection = ? AND id = ?", change.collection_id, example)
        self._mark_deleted(change)

    def _attach(self, change: Change) -> None:
        subject, name = change.subject, change.collection_id
        if "labels" not in subject:
            self._run("INSERT OR IGNORE INTO unnamed_labels VALUES (?, ?)", name, change.time)
        self._add_labels(change, subject.get("labels", []))
        self._run("INSERT INTO indexes VALUES (?, ?, ?, 0)", name, subject["index"], subject.get("digest"))

    def _detach(self, change: Change) -> None:
        self._run("DELETE FROM tombstones WHERE collection = ?", change.collection_id)
        self._touch("DELETE FROM indexes WHERE collection = ?", change.collection_id)

    def _replace_index(self, change: Change) -> None:
        self._detach(change)
        subject, name = change.subject, change.collection_id
        self._run("INSERT INTO indexes VALUES (?, ?, ?, 0)", name, subject["index"], subject.get("digest"))
        self._mark_deleted(change)
        last = subject.get("last")
        if last is not None:
            kept = json.dumps(subject.get("kept", []))
            where = "collection = ? AND sequence <= ? AND sequence NOT IN (SELECT value FROM json_each(?))"
            self._run(f"DELETE FROM examples WHERE {where}", name, last, kept)
        unknown = "sequence IS NULL AND " if last is not None else ""
        self._run(f"UPDATE examples SET open = 1 WHERE {unknown} collection = ? AND NOT open", name)

    def _delete_row(self, change: Change) -> None:
        self._run("INSERT INTO tombstones VALUES (?, ?)", change.collection_id, int(change.subject["row"]))

    def _mark_deleted(self, change: Change) -> None:
        """Marks the index rows that a change deleted."""
        if "rows" not in change.subject:
            self._run("UPDATE indexes SET open = 1 WHERE collection = ?", change.collection_id)
            return
        rows = ((change.collection_id, row) for one, last in change.subject["rows"] for row in range(one, last + 1))
        self.state.executemany("INSERT INTO tombstones VALUES (?, ?)", rows)

    def _ignore(self, change: Change) -> None:
        """Ignores a change that affects no row of the comparison."""

    def _clean_up_reembedding(self, change: Change) -> None:
        subject, name = change.subject, change.collection_id
        for example, digest in subject["folded"]:
            self._touch("UPDATE examples SET digest = ? WHERE collection = ? AND id = ?", digest, name, example)
        for example in subject["gone"]:
            self._touch("DELETE FROM examples WHERE collection = ? AND id = ?", name, example)

    def _create_key(self, change: Change) -> None:
        self._run("INSERT OR REPLACE INTO keys VALUES (?, 0)", change.subject["key"])

    def _revoke_key(self, change: Change) -> None:
        self._touch("UPDATE keys SET revoked = 1 WHERE name = ?", change.subject["key"])


def _labels(runs: list[Any]) -> Iterator[str]:
    """Yields the label of each example from runs of (label, count)."""
    for label, times in runs:
        yield from [label] * times
