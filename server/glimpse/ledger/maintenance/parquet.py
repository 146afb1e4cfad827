"""Exports a ledger as a folder of Parquet files for pandas and DuckDB, and imports it: see docs/ledger.md."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import ColumnElement, Connection, Table, select

from glimpse.files.scratch import scratch_beside
from glimpse.ledger.database import schema
from glimpse.ledger.database.file_permissions import make_folder, opener
from glimpse.ledger.database.schema_version import current_schema
from glimpse.ledger.database.transactions import now_microseconds, read_head
from glimpse.ledger.errors import LedgerError
from glimpse.ledger.maintenance.arrow_schema import arrow_schema, from_arrow, to_arrow
from glimpse.ledger.maintenance.bulk_load import bulk_load, put
from glimpse.ledger.maintenance.consistent_read import BATCH, Progress, check_current, consistent_read, count, rows
from glimpse.ledger.maintenance.kept_queries import ExpiredRows
from glimpse.ledger.records import Head

#: The manifest of an export, written last.
MANIFEST: Final = "ledger.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The result of an export or import.

    Attributes:
        head: the ledger's head.
        rows: row counts by table.
        keys_left_out: API keys of the ledger that were not exported.
        review_left_out: its review items that were not exported.
    """

    head: Head
    rows: dict[str, int]
    keys_left_out: int = 0
    review_left_out: int = 0


def export(
    url: str,
    folder: Path,
    progress: Progress,
    *,
    collections: Sequence[str] = (),
    keys: bool = False,
    review: bool = False,
) -> ExportResult:
    """Writes one state of a ledger into a new folder.

    Args:
        url: the ledger.
        folder: the folder to create; it may exist if it is empty.
        progress: reports progress.
        collections: only these collections; such an export cannot be imported.
        keys: also export the salted hashes of API keys.
        review: also export the review queue, with the kept queries.

    Raises:
        LedgerError: the export failed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise LedgerError(f"{folder} is there already and is not an empty folder; name another")
    try:
        with scratch_beside(folder) as scratch:
            aside = scratch / "export"
            make_folder(aside)
            with consistent_read(url) as source:
                check_current(source)
                exported = _write(source, aside, progress, collections, _tables(keys=keys, review=review))
            if folder.exists():
                aside.chmod(folder.stat().st_mode)
            os.replace(aside, folder)
    except OSError as error:
        raise LedgerError(f"{folder} cannot be written: {error.strerror}") from error
    except pa.ArrowInvalid as error:
        raise LedgerError(f"the ledger is damaged ({error}); run `glimpse ledger verify`") from error
    return exported


def _write(
    source: Connection, folder: Path, progress: Progress, collections: Sequence[str], tables: Sequence[Table]
) -> ExportResult:
    columns = schema.collections.c
    reembedding = set(source.scalars(select(schema.shadows.c.collection_id)))
    ids = source.execute(select(columns.id, columns.dimension))
    dimensions = {row.id: 0 if row.id in reembedding else row.dimension for row in ids}
    if unknown := sorted(set(collections) - dimensions.keys()):
        raise LedgerError(f"there is no collection {unknown[0]!r}; see `glimpse collections list`")
    written = {}
    for table in tables:
        where = _only(table, collections)
        with progress(f"exporting {table.name}", count(source, table, *where)) as advance:
            if table is schema.examples:
                make_folder(folder / table.name)
                files = [
                    (folder / table.name / f"{name}.parquet", dimensions[name], [table.c.collection_id == name])
                    for name in sorted(set(collections) or dimensions)
                ]
            else:
                files = [(folder / f"{table.name}.parquet", 0, where)]
            written[table.name] = 0
            for file, dimension, conditions in files:
                for number in _write_file(source, table, file, dimension, conditions):
                    written[table.name] += number
                    advance(number)
    left_out = [0 if table in tables else count(source, table) for table in (schema.api_keys, schema.review_items)]
    exported = ExportResult(read_head(source), written, *left_out)
    manifest = {"format": _FORMAT, "schema": current_schema(), "revision": exported.head.revision, "rows": written}
    manifest |= {"ledger_id": exported.head.ledger_id, "collections": sorted(collections) or None}
    with open(folder / MANIFEST, "w", encoding="utf-8", opener=opener) as stream:
        stream.write(json.dumps(manifest, indent=2) + "\n")
    return exported


def _tables(*, keys: bool, review: bool) -> list[Table]:
    """Returns the tables to export, in order of their references."""
    left_out = [*([] if keys else [schema.api_keys]), *schema.REVIEW_TABLES]
    tables = [table for table in schema.metadata.sorted_tables if table not in left_out]
    return [*tables, *(schema.REVIEW_TABLES if review else ())]


def _only(table: Table, collections: Sequence[str]) -> list[ColumnElement[bool]]:
    """Returns the conditions for the rows of some collections; none for tables that are not of collections."""
    column = table.c.id if table is schema.collections else table.c.get("collection_id")
    return [column.in_(collections)] if collections and column is not None else []


def _write_file(
    source: Connection, table: Table, file: Path, dimension: int, where: Sequence[ColumnElement[bool]]
) -> Iterator[int]:
    """Writes a file; yields the number of rows of each batch."""
    columns = arrow_schema(table, dimension)
    batches = rows(source, table, list(table.columns), *where)
    with (
        closing(batches),
        open(file, "wb", opener=opener) as sink,
        pq.ParquetWriter(sink, columns, compression="zstd") as writer,
    ):
        for part in batches:
            writer.write_batch(to_arrow(table, part, columns), row_group_size=BATCH)
            yield len(part)


def import_(folder: Path, url: str, progress: Progress) -> ExportResult:
    """Imports an exported folder into an empty ledger, all or nothing, without kept queries that have expired.

    Raises:
        LedgerError: the import failed.
    """
    manifest = _manifest(folder)
    names = manifest["rows"]
    tables = _tables(keys=schema.api_keys.name in names, review=schema.review_items.name in names)
    expired = ExpiredRows(now_microseconds())
    with bulk_load(url, progress) as target:
        for table in tables:
            expected, done = manifest["rows"].get(table.name), 0
            with progress(f"importing {table.name}", expected or 0) as advance:
                for part in _read(folder, table):
                    put(target, table, expired.drop(table, part))
                    advance(len(part))
                    done += len(part)
            if done != expected:
                raise LedgerError(f"{folder}: {done:,} rows of {table.name}, but {MANIFEST} says {expected:,}")
        return ExportResult(read_head(target), dict(manifest["rows"]))


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        found, version, part = manifest["format"], manifest["schema"], manifest["collections"]
        counts: dict[str, int] = manifest["rows"]
    except OSError as error:
        raise LedgerError(f"{folder} is no exported ledger: {MANIFEST} cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerError(f"{folder} is no exported ledger: {MANIFEST} is not valid") from error
    if (found, version) != (_FORMAT, current_schema()):
        raise LedgerError(
            f"{folder} has format {found} and schema {version}, not {_FORMAT} and {current_schema()}; import it with "
            "the version that made it, and make a backup"
        )
    if part is not None:
        raise LedgerError(
            f"{folder} holds a part of a ledger: {', '.join(part)}; only a complete export can be imported"
        )
    if missing := [
        table.name for table in _tables(keys=False, review=False) if not isinstance(counts.get(table.name), int)
    ]:
        raise LedgerError(f"{folder}: {MANIFEST} has no row count of {missing[0]}")
    return manifest


def _read(folder: Path, table: Table) -> Iterator[list[dict[str, Any]]]:
    whole = table is not schema.examples
    files = [folder / f"{table.name}.parquet"] if whole else sorted((folder / table.name).glob("*.parquet"))
    for path in files:
        try:
            with pq.ParquetFile(path) as file:
                yield from _read_file(file, path, table)
        except OSError as error:  # also pyarrow's, for missing or truncated files
            raise LedgerError(f"{path} cannot be read: {error}") from error
        except ValueError as error:  # also pyarrow's
            raise LedgerError(f"{path}: {error}") from error


def _read_file(file: pq.ParquetFile, path: Path, table: Table) -> Iterator[list[dict[str, Any]]]:
    found = file.schema_arrow
    vectors = found.field("vector").type if "vector" in found.names else None
    dimension = vectors.list_size if vectors is not None and pa.types.is_fixed_size_list(vectors) else 0
    expected = arrow_schema(table, dimension)
    if not found.equals(expected):
        differing = [name for name in {*expected.names, *found.names} if not _same(name, expected, found)]
        raise LedgerError(
            f"{path}: the column {sorted(differing or expected.names)[0]!r} differs from that of an export"
        )
    for batch in file.iter_batches(BATCH):
        yield from_arrow(table, batch)


def _same(name: str, one: pa.Schema, other: pa.Schema) -> bool:
    return name in one.names and name in other.names and one.field(name).equals(other.field(name))
