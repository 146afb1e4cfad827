"""Tests that Parquet files lose nothing and can be read without Glimpse."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glimpse.ledger import LedgerError, sqlite_url
from glimpse.ledger.maintenance.parquet import export, import_
from support.full_ledger import everything, quiet, unit
from support.ledgers import Direct
from support.postgres import Postgres


@pytest.fixture
def folder(full_sqlite: Path, tmp_path: Path) -> Path:
    """Returns an export of a full ledger."""
    export(sqlite_url(full_sqlite), tmp_path / "out", quiet, keys=True, review=True)
    return tmp_path / "out"


def test_there_and_back_every_row_is_the_same(full: str, server: Postgres, tmp_path: Path) -> None:
    before = everything(full)
    done = export(full, tmp_path / "out", quiet, keys=True, review=True)
    assert done.rows == {name: len(rows) for name, rows in before.items()}
    for url in (f"sqlite:///{tmp_path}/new.sqlite", server.database()):
        import_(tmp_path / "out", url, quiet)
        assert everything(url) == before


def test_keys_are_exported_only_on_request(full_sqlite: Path, tmp_path: Path) -> None:
    done = export(sqlite_url(full_sqlite), tmp_path / "out", quiet)
    assert "api_keys" not in done.rows
    assert done.keys_left_out == 2
    assert export(sqlite_url(full_sqlite), tmp_path / "all", quiet, keys=True).keys_left_out == 0
    assert not list((tmp_path / "out").rglob("api_keys*"))


def test_the_files_match_the_page(folder: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "ledger.md").read_text("utf-8")
    for file in sorted(folder.rglob("*.parquet")):
        table = file.parent.name if file.parent != folder else file.stem
        for field in pq.read_schema(file):
            kind = str(field.type)
            if pa.types.is_map(field.type):
                kind = "map of string to string"
            elif pa.types.is_list(field.type) or pa.types.is_fixed_size_list(field.type):
                kind = f"list of {field.type.value_type}"
            expected = f"| `{table}` | `{field.name}` | {kind}{', or none' if field.nullable else ''} |"
            assert expected in page, expected


def test_vectors_are_lists_of_their_collections_dimension(folder: Path) -> None:
    table = pq.read_table(folder / "examples" / "birds.parquet")
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 8)
    first = table.column("vector")[0].as_py()
    assert np.array(first, "<f4").tobytes() == unit(1, 8)
    assert table.column("create_time").type == pa.timestamp("us", tz="UTC")
    assert pq.read_schema(folder / "examples" / "small.parquet").field("vector").type.list_size == 3


def test_one_collection_can_be_exported_and_is_no_whole_ledger(full: str, tmp_path: Path) -> None:
    done = export(full, tmp_path / "out", quiet, collections=["small"])
    assert [file.name for file in (tmp_path / "out" / "examples").iterdir()] == ["small.parquet"]
    assert (done.rows["collections"], done.rows["attachments"], done.rows["requests"]) == (1, 1, 1)
    found = pq.read_table(tmp_path / "out" / "changes.parquet").column("collection_id").to_pylist()
    assert set(found) == {"small"}
    with pytest.raises(LedgerError, match="holds a part of a ledger: small"):
        import_(tmp_path / "out", f"sqlite:///{tmp_path}/new.sqlite", quiet)
    with pytest.raises(LedgerError, match="there is no collection 'nothing'"):
        export(full, tmp_path / "other", quiet, collections=["nothing"])
    assert not (tmp_path / "other").exists()


def test_a_folder_with_something_in_it_is_left_alone(full_sqlite: Path, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(LedgerError, match="not an empty folder"):
        export(sqlite_url(full_sqlite), folder, quiet)
    assert sorted(folder.rglob("*")) == before
    assert not [one for one in folder.parent.iterdir() if one.name.startswith(".out")]


def cut(folder: Path) -> None:
    file = folder / "labels.parquet"
    file.write_bytes(file.read_bytes()[:-20])


def lose_rows(folder: Path) -> None:
    file = folder / "examples" / "birds.parquet"
    table = pq.read_table(file)
    pq.write_table(table.slice(1), file)


def change_a_row(folder: Path) -> None:
    file = folder / "examples" / "birds.parquet"
    table = pq.read_table(file)
    domains = pa.array(["elsewhere"] * len(table))
    place = table.schema.get_field_index("domain")
    pq.write_table(table.set_column(place, table.schema.field("domain"), domains), file)


def change_a_column(folder: Path) -> None:
    file = folder / "labels.parquet"
    table = pq.read_table(file)
    pq.write_table(table.set_column(5, "role", table.column("role").cast(pa.int64())), file)


def change_the_format(folder: Path) -> None:
    file = folder / "ledger.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 2}))


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (cut, r"labels\.parquet"),
        (lose_rows, r"rows of examples, but ledger\.json says"),
        (change_a_row, "rolled back: example"),
        (change_a_column, r"labels\.parquet: the column 'role' differs"),
        (change_the_format, "has format 2"),
        (lambda folder: (folder / "ledger.json").unlink(), "is no exported ledger"),
        (lambda folder: (folder / "ledger.json").write_text("[]"), "is no exported ledger"),
        (lambda folder: (folder / "tombstones.parquet").unlink(), r"tombstones\.parquet cannot be read"),
        (lambda folder: shutil.rmtree(folder / "examples"), "0 rows of examples"),
    ],
)
def test_a_changed_export_is_refused(folder: Path, damage: object, expected: str, tmp_path: Path) -> None:
    damage(folder)  # type: ignore[operator]
    with pytest.raises(LedgerError, match=expected):
        import_(folder, sqlite_url(tmp_path / "new"), quiet)
    if (tmp_path / "new").exists():
        with Direct.of(tmp_path / "new") as ledger:
            assert (ledger.revision, ledger.collections()) == (0, [])
