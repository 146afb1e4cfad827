"""Tests API keys in the ledger, on either database."""

from dataclasses import replace
from pathlib import Path

import pytest

from glimpse.ledger import AlreadyExists, KeyRecord, NotFound
from support.ledgers import Direct


def record(name: str) -> KeyRecord:
    limits = {"inputs_per_second": 2.5}
    return KeyRecord(f"id of {name}", name, b"\x00salt", b"\xffhash", "read", ["a", "b-*"], limits, expire_time=7)


def test_a_key_is_kept_and_ended_and_each_is_a_change(place: Path | str) -> None:
    with Direct.of(place) as ledger:
        made = ledger.create_key(record("ann"))
        assert made.create_time > 0
        assert ledger.keys() == [made]
        with pytest.raises(AlreadyExists):
            ledger.create_key(replace(record("ann"), id="another"))
        revision = ledger.revoke_key("ann")
        [ended] = ledger.keys()
        assert ended.revoke_time is not None
        assert ledger.revoke_key("ann") == revision
        assert ledger.keys() == [ended]
        with pytest.raises(NotFound):
            ledger.revoke_key("bob")
        found = [(one.kind, one.collection_id, one.subject) for one in ledger.changes()]
    assert found == [("create_key", "", {"key": "ann"}), ("revoke_key", "", {"key": "ann"})]
    assert "hash" not in str(found)
