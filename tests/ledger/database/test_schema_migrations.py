"""Tests that data of every released version survive the migration unchanged, in either database."""

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, Table, create_engine, insert, select, text

from glimpse import ledger as package
from glimpse.ledger import Ledger, LedgerError, sqlite_url
from glimpse.ledger.changes.hash_chain import FIRST, link
from glimpse.ledger.database.database import migrate
from glimpse.ledger.database.schema_version import current_schema
from glimpse.ledger.database.url import parse_url
from glimpse.ledger.maintenance.verify import verify
from support.full_ledger import quiet, sha256, unit


def _versions() -> list[str]:
    config = Config()
    config.set_main_option("script_location", str(Path(package.__file__).parent / "database" / "schema_migrations"))
    return sorted(script.revision for script in ScriptDirectory.from_config(config).walk_revisions())


# Rows of each table as a version's server wrote them; columns that the version lacks are left out.
_COLLECTION = {
    "id": "birds",
    "display_name": "Birds ☃",
    "backbone": "backbones/b",
    "embedding_space": "sha256:s",
    "dimension": 4,
    "match_threshold": 0.7,
    "match_margin": None,
    "min_space_cosine": 0.995,
    "names_as_prompts": True,
    "false_reject_rate": 1 / 3,
    "false_accept_rate": None,
    "coverage": 0.95,
    "label_mode": 2,
    "pinned_head": 3,
    "keep_inputs": True,
    "review_unknown": True,
    "review_ambiguous": True,
    "review_match_rate": 0.125,
    "review_inputs": True,
    "review_max_items": 5_000,
    "review_keep_days": 14,
    "content_readable": True,
    "adapt_to_unlabeled": True,
    "mistake_costs": [["robin", "wren", 0.25], ["wren", "robin", 1e6]],
    "side": 1,
    "revision": 6,
    "create_time": 11,
    "update_time": 11,
}
_LABEL: dict[str, Any] = {"collection_id": "birds", "id": "robin", "display_name": "Robin", "prompts": ["a robin", ""]}
_LABEL |= {"prompt_vector": unit(1, 4), "role": 1, "create_time": 12, "update_time": 12}
_LABEL |= {"parent_id": "bird", "match_threshold": 0.6, "false_reject_rate": None, "min_examples": 3}
_LABEL |= {"parts": ["brown"], "not_parts": ["blue", "☃"], "aliases": ["rotkehlchen"]}
_EXAMPLE = {
    "sequence": 7,
    "collection_id": "birds",
    "id": "e7",
    "label_id": "robin",
    "content_digest": f"sha256:{sha256('7')}",
    "modality": 1,
    "domain": "garden",
    "metadata": {"k": "", "ключ": "\"'\n"},
    "vector": unit(7, 4),
    "embedding_space": "sha256:child",
    "create_time": 13,
    "side": 1,
    "group": "clip 7",
}
_SHADOW: dict[str, Any] = {"collection_id": "birds", "backbone": "backbones/c", "embedding_space": "sha256:c"}
_SHADOW |= {
    "dimension": 2,
    "match_threshold": 0.1,
    "match_margin": None,
    "min_space_cosine": None,
    "turn": 1,
    "time": 14,
}
_VECTOR = {"sequence": 7, "collection_id": "birds", "problem": "", "vector": unit(8, 2), "embedding_space": None}
_COUNTS = {"collection_id": "birds", "day": 20_000, "match_count": 1, "unknown_count": 2, "ambiguous_count": 2**40}
_PROMPT = {"collection_id": "birds", "label_id": "robin", "turn": 1, "problem": "", "prompt_vector": unit(9, 2)}

_FUTURE = 2**53 + 1  # opening deletes what has expired
_RESOLUTION: dict[str, Any] = {"collection_id": "birds", "id": "x1", "time": 15, "actor": "ann", "kind": "label"}
_RESOLUTION |= {"label_id": "robin", "created_label": False, "item_count": 1, "revision": 6, "examples": {"e7": "d"}}
_RESOLUTION |= {"undo_time": None, "request_id": "r", "request_digest": sha256("r"), "answer": b"\0\xff"}
_ITEM: dict[str, Any] = {"sequence": 3, "collection_id": "birds", "id": "i3", "decision": 3, "modality": 1}
_ITEM |= {"label_id": "robin", "probability": 1 / 3, "uncertainty": 0.9, "content_digest": f"sha256:{sha256('3')}"}
_ITEM |= {"content_bytes": 1, "count": 2, "embedding_space": "sha256:s", "vector": unit(3, 4), "caller": "☃"}
_ITEM |= {"domain": "", "create_time": 14, "last_time": 15, "expire_time": _FUTURE, "delete_time": _FUTURE}
_ITEM |= {"resolution_id": "x1", "example": 7}
_SAMPLE: dict[str, Any] = {"collection_id": "birds", "id": "s1", "item_id": "i3", "decision": 3, "label_id": "robin"}
_SAMPLE |= {"probability": 1 / 3, "weight": 2.5, "key": -0.1, "embedding_space": "sha256:s", "vector": unit(3, 4)}
_SAMPLE |= {"create_time": 14, "expire_time": _FUTURE, "resolution_id": "x1", "resolved_label_id": "robin"}


def _changes() -> list[dict[str, Any]]:
    expected = [
        ("create_collection", {}),
        ("create_label", {"label": "robin"}),
        ("enroll", {"labels": ["wren"], "examples": ["e7", "e8"]}),
        ("delete_example", {"example": "e8"}),
        ("attach", {"index": "built"}),
        ("delete_row", {"row": 3}),
        ("create_key", {"key": "somebody"}),
    ]
    rows, digest = [], FIRST
    for number, (kind, subject) in enumerate(expected, 1):
        of = "" if kind == "create_key" else "birds"
        change = {"revision": number, "kind": kind, "collection_id": of, "subject": subject, "time": 10 + number}
        digest = link(digest, number, kind, of, subject, 10 + number, "")
        rows.append({**change, "actor": "", "digest": digest})
    return rows


def _rows() -> dict[str, list[dict[str, Any]]]:
    changes = _changes()
    head = {"id": 1, "ledger_id": "x" * 32, "revision": 7, "digest": changes[-1]["digest"], "sequence": 8}
    index = {"collection_id": "birds", "index_id": "built", "digest": sha256("built"), "time": 15, "made": False}
    request = {"collection_id": "birds", "id": "r", "digest": sha256("r"), "answer": b"\0\1\xff", "time": 2**53 + 1}
    key: dict[str, Any] = {"id": "k", "name": "somebody", "salt": b"\0", "hash": b"\xff", "scope": "read"}
    key |= {"collections": ["*"], "limits": {"requests_per_second": 0.5}, "create_time": 5}
    return {
        "changes": changes,
        "collections": [_COLLECTION],
        "labels": [_LABEL, {**_LABEL, "id": "wren", "prompt_vector": None, "create_time": 13, "update_time": 13}],
        "examples": [_EXAMPLE],
        "requests": [request],
        "attachments": [index],
        "tombstones": [{"collection_id": "birds", "row": 3}],
        "head": [head],
        "api_keys": [key],
        "inputs": [{"collection_id": "birds", "content_digest": f"sha256:{sha256('7')}", "content": b"7"}],
        "shadows": [_SHADOW],
        "shadow_vectors": [_VECTOR],
        "shadow_prompts": [_PROMPT],
        "review_resolutions": [_RESOLUTION],
        "review_items": [_ITEM],
        "review_contents": [{"collection_id": "birds", "item_id": "i3", "part": 0, "time": 14, "content": b"3"}],
        "review_samples": [_SAMPLE],
        "review_drops": [{"collection_id": "birds", "time": 3_600_000_000, "count": 4}],
        "decision_counts": [_COUNTS],
    }


def _tables(url: str) -> list[Table]:
    engine, metadata = create_engine(url), MetaData()
    metadata.reflect(engine)
    engine.dispose()
    return [table for table in metadata.sorted_tables if table.name not in ("alembic_version", "sqlite_sequence")]


def _write(url: str) -> dict[str, list[dict[str, Any]]]:
    """Inserts rows into every table of the schema; returns those that were written."""
    engine, written = create_engine(url), {}
    with engine.begin() as connection:
        for table in _tables(url):
            rows = [{name: row[name] for name in row if name in table.c} for row in _rows()[table.name]]
            connection.execute(table.delete())  # migrations create the head
            connection.execute(insert(table), rows)
            written[table.name] = rows
    engine.dispose()
    return written


def _read(url: str, written: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Reads the same columns from the current tables."""
    engine, found = create_engine(url), {}
    with engine.connect() as connection:
        for table in _tables(url):
            if rows := written.get(table.name):
                query = select(*(table.c[name] for name in rows[0])).order_by(*table.primary_key)
                found[table.name] = [dict(row._mapping) for row in connection.execute(query)]
    engine.dispose()
    return found


@pytest.mark.parametrize("version", _versions())
def test_data_of_every_version_is_unchanged(place: Path | str, version: str) -> None:
    url = place if isinstance(place, str) else sqlite_url(place)
    migrate(parse_url(url), version)
    written = _write(url)
    assert written["examples"]
    assert _read(url, written) == written
    with Ledger.open(url) as ledger:
        head = ledger.head()
        assert (head.revision, head.digest) == (7, _changes()[-1]["digest"])
        assert head.sequence >= 7
        assert [one.id for one in ledger.examples("birds")] == ["e7"]
    del written["requests"]  # opening deletes these after a week, except those of the future
    assert _read(url, written) == written
    if version >= "0004":  # earlier versions had no index
        assert not list(verify(url, quiet))


def test_every_table_of_every_version_has_rows(tmp_path: Path) -> None:
    for version in _versions():
        url = f"sqlite:///{tmp_path}/{version}.sqlite"
        migrate(parse_url(url), version)
        assert {table.name for table in _tables(url)} <= _rows().keys()
        for table in _tables(url):
            [row, *_] = _rows()[table.name]
            lacking = [one.name for one in table.c if one.name not in row and not one.nullable]
            assert not lacking, (table.name, lacking)
    assert _versions()[-1] == current_schema()


def test_a_migration_is_logged_in_one_line(place: Path | str, caplog: pytest.LogCaptureFixture) -> None:
    url = parse_url(place if isinstance(place, str) else sqlite_url(place))
    migrate(url, "0005")
    caplog.clear()
    with caplog.at_level(logging.INFO, "glimpse.ledger"):
        migrate(url)
        migrate(url)
    expected = [one.getMessage() for one in caplog.records if one.name.startswith("glimpse.")]
    assert expected == [f"ledger migrated 0005 → {current_schema()}"]


def test_a_later_versions_ledger_is_refused_and_left_as_it_is(full: str) -> None:
    engine = create_engine(full)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LedgerError, match="has schema 9999, newer than this version"):
        Ledger.open(full)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
    engine.dispose()


def test_a_current_ledger_is_opened_without_alembic(tmp_path: Path) -> None:
    code = f"import sys\nfrom glimpse.ledger import Ledger\nLedger.open('sqlite:///{tmp_path}/ledger.sqlite').close()\n"
    code += "print('alembic' in sys.modules)"
    for migrated in ("True", "False"):  # the first run makes the ledger
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.strip() == migrated
