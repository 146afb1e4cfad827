"""Converts between records and rows."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row

from glimpse.ledger.records import Change, CollectionRecord, ExampleRecord, LabelRecord

# Columns that never change after creation, and the revision, which the transaction writes.
_FIXED = ("id", "backbone", "embedding_space", "dimension", "label_mode", "side", "revision", "create_time")

# Columns of a label that are JSON lists of texts.
_LISTS = ("prompts", "parts", "not_parts", "aliases")


def changeable(record: CollectionRecord) -> dict[str, Any]:
    """Returns the values that an update of a collection stores."""
    return {name: value for name, value in asdict(record).items() if name not in _FIXED}


def collection_record(row: Row[Any]) -> CollectionRecord:
    """Builds a collection from its row."""
    values = dict(row._mapping)
    return CollectionRecord(**values | {"mistake_costs": tuple(map(tuple, values["mistake_costs"]))})


def label_row(collection_id: str, record: LabelRecord) -> dict[str, Any]:
    """Returns a label's row."""
    lists = {name: list(getattr(record, name)) for name in _LISTS}
    return {**asdict(record), **lists, "collection_id": collection_id}


def label_record(row: Row[Any]) -> LabelRecord:
    """Builds a label from its row."""
    values = dict(row._mapping)
    del values["collection_id"]
    return LabelRecord(**values | {name: tuple(values[name]) for name in _LISTS})


def example_row(collection_id: str, record: ExampleRecord, side: int) -> dict[str, Any]:
    """Returns an example's row; `side` is the collection's."""
    values = {name: getattr(record, name) for name in ExampleRecord.__slots__}  # asdict would copy the values
    return {**values, "collection_id": collection_id, "side": side}


def example_record(row: Row[Any]) -> ExampleRecord:
    """Builds an example from its row."""
    return ExampleRecord(**{name: row._mapping[name] for name in ExampleRecord.__slots__})


def change_record(row: Row[Any]) -> Change:
    """Builds a change from its row."""
    return Change(**row._mapping)
