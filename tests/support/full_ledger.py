"""A ledger with every kind of row, made by every kind of change."""

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from sqlalchemy import create_engine, select

from glimpse.ledger import (
    AttachmentRecord,
    CollectionRecord,
    DecisionCount,
    Enrollment,
    EnrollRequest,
    ExampleRecord,
    KeyRecord,
    LabelRecord,
    ReembeddingRecord,
    ReembeddingResult,
)
from glimpse.ledger.database import schema
from support.ledgers import Direct

Row = tuple[Any, ...]


def quiet(_title: str, _total: int) -> AbstractContextManager[Callable[[int], None]]:
    """Ignores progress."""
    return nullcontext(lambda _: None)


def unit(number: int, dimension: int) -> bytes:
    """Returns a vector of length 1."""
    values = np.random.default_rng(number).normal(size=dimension).astype("<f4")
    return bytes((values / np.linalg.norm(values)).astype("<f4").tobytes())


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def example(number: int, label: str, dimension: int = 8, **more: Any) -> ExampleRecord:
    return ExampleRecord(
        f"e{number}", label, f"sha256:{sha256(str(number))}", number % 3 + 1, unit(number, dimension), **more
    )


def fill(ledger: Direct) -> None:
    """Makes every kind of change; leaves rows in every table, with texts, numbers and NULL in every column."""
    _fill_birds(ledger)
    ledger.create_collection(CollectionRecord("gone", "backbones/a", "sha256:a", 8))
    ledger.enroll("gone", [LabelRecord("x")], [example(90, "x")])
    ledger.delete_collection("gone")
    ledger.create_collection(CollectionRecord("gone", "backbones/a", "sha256:a", 8))  # another, and empty
    small = CollectionRecord("small", "backbones/b", "sha256:b", 3, "Ünïcode ☃ 🐦\t\\", 0.1, 1 / 3, 0.9, None, 0.0, 1.0)
    ledger.create_collection(small)
    request = EnrollRequest("once", sha256("once"), lambda _: bytes(range(256)))
    ledger.enroll("small", [LabelRecord("a"), LabelRecord("b")], [example(50, "a", 3), example(51, "b", 3)], request)
    first = AttachmentRecord("built", sha256("built"), 1_700_000_000_123_456)
    ledger.attach("small", first, [LabelRecord("a"), LabelRecord("from-index"), LabelRecord("also", role=2)])
    ledger.tombstone("small", 5_000_000_000)
    ledger.tombstone("small", 3)
    ledger.delete_label("small", "also", [7, 8, 9, 11])
    ledger.enroll("small", [], [example(52, "from-index", 3)])
    folded = AttachmentRecord("folded", sha256("folded"), 1_700_000_000_123_457, True)
    ledger.replace_index("small", folded, min(one.sequence for one in ledger.examples("small")) + 1, [1, 2, 2**53 + 1])
    ledger.tombstone("small", 4)
    ledger.delete_examples("small", [], [5, 6, 2**53 + 2])
    ledger.create_collection(CollectionRecord("bare", "backbones/b", "sha256:b", 3))
    ledger.attach("bare", first, [LabelRecord("z")])
    ledger.detach("bare")
    limits = {"requests": 2.5}
    _fill_sides(ledger)
    [birds, *_] = (one for one in ledger.collections() if one.id == "birds")
    ledger.add_decisions([DecisionCount("birds", birds.create_time, 20_000 + day, 1, 2, 2**40) for day in range(2)])
    ledger.create_key(KeyRecord("id-1", "phone", b"\0salt", b"\xffhash", "classify", ["birds-*", "small"], limits))
    ledger.create_key(KeyRecord("id-2", "old", b"s", b"h", "admin", ["*"], expire_time=1_900_000_000_000_001))
    ledger.revoke_key("old")


def _fill_birds(ledger: Direct) -> None:
    ledger.create_collection(CollectionRecord("birds", "backbones/a", "sha256:a", 8, names_as_prompts=True))
    ledger.enroll("birds", [LabelRecord("robin"), LabelRecord("wren")], [example(n, "robin") for n in range(1, 6)])
    metadata = {"": "empty", "k": "", "ключ": "значение \"'\n", "long": "x" * 5_000}
    odd = example(6, "wren", domain="", metadata=metadata, embedding_space="", group="clip ☃")
    ledger.enroll("birds", [], [odd, example(7, "robin", embedding_space="sha256:child"), example(8, "wren")])
    prompted = LabelRecord("kite", "Kite", ("a kite", "", "ein Milan é"), unit(1_000, 8), 1)
    ledger.create_label("birds", prompted)
    none, _ = ledger.create_label("birds", LabelRecord("none", prompts=()))
    ledger.update_label("birds", replace(none, display_name="None of these", role=2))
    ledger.enroll("birds", [LabelRecord("brief")], [example(9, "brief"), example(10, "robin"), example(11, "brief")])
    ledger.delete_label("birds", "brief")
    ledger.delete_example("birds", "e3")
    ledger.update_examples("birds", ["e1", "e6", "e10"], {"label_id": "kite", "metadata": {"ключ": "☃"}})
    ledger.update_examples("birds", ["e6", "e7"], {"domain": "garden", "group": "clip ☃"})
    ledger.delete_examples("birds", ["e8", "e10"])
    [birds] = ledger.collections()
    ledger.update_collection(replace(birds, display_name="Birds", coverage=0.95))


def _fill_sides(ledger: Direct) -> None:
    """Adds collections in re-embedding: one in its second switch, and one that has ended and is half merged."""
    for name in ("moving", "moved"):
        old = CollectionRecord(name, "backbones/a", "sha256:a", 8, match_threshold=0.3, keep_inputs=True)
        ledger.create_collection(old)
        labels = [LabelRecord("a", prompts=("an a",), prompt_vector=unit(2_000, 8)), LabelRecord("b")]
        some = [example(number, "ab"[number % 2]) for number in range(60, 66)]
        kept = {one.content_digest: str(number).encode() for number, one in enumerate(some, 60)}
        with ledger.ledger.begin() as writer:
            writer.enroll([Enrollment(name, labels, some, inputs=kept)])
        ledger.enroll(name, [], [example(66, "b"), example(67, "b")])
        ledger.start_reembedding(name, ReembeddingRecord("backbones/b", "sha256:b", 3))
        with ledger.reembedding(name, 0) as reader:
            missing = reader.pending_examples(0, 100)
        put = [
            ReembeddingResult(
                one.sequence, unit(one.sequence, 3) if one.content else None, "" if one.content else "NO: ☃"
            )
            for one in missing
        ]
        ledger.store_reembedded(name, 0, put[:3], [])
        ledger.delete_example(name, "e61")
        ledger.switch_backbone(name, 0, put[3:], [ReembeddingResult("a", unit(2_001, 3))])
        ledger.enroll(name, [], [example(68, "a", 3), replace(example(66, "b", 3), id="again")])
        ledger.update_examples(name, ["e60", "e68"], {"label_id": "b", "domain": "garden"})
    ledger.end_reembedding("moved")
    ledger.clean_up_reembedding("moved", 3)


def everything(url: str) -> dict[str, list[Row]]:
    """Returns every row of every table, as values."""
    engine, found = create_engine(url), {}
    with engine.connect() as connection:
        for table in schema.metadata.sorted_tables:
            rows = connection.execute(select(table))
            found[table.name] = sorted((tuple(map(_plain, row)) for row in rows), key=repr)
    engine.dispose()
    return found


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
