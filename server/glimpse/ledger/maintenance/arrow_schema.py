"""Converts the ledger's rows to Arrow record batches and back without loss."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Integer, LargeBinary, Table, Text

_TIME: Final = pa.timestamp("us", tz="UTC")
_FLOATS: Final = pa.list_(pa.float32())
_TEXTS: Final = pa.list_(pa.string())
_MAP: Final = pa.map_(pa.string(), pa.string())
# JSON with a fixed shape, and bytes that are floats; other JSON and bytes stay as they are stored.
_NAMED = {
    **dict.fromkeys(("prompts", "parts", "not_parts", "aliases"), _TEXTS),
    "metadata": _MAP,
    "prompt_vector": _FLOATS,
}
_TYPES = {
    Boolean: pa.bool_(),
    BigInteger: pa.int64(),
    Integer: pa.int32(),
    Float: pa.float64(),
    LargeBinary: pa.binary(),
    JSON: pa.string(),
    Text: pa.string(),
}


def arrow_schema(table: Table, dimension: int = 0) -> pa.Schema:
    """Returns the Arrow schema of a table's file.

    Args:
        dimension: length of the vectors if the table has any and all have the same; else 0.
    """
    fields = [pa.field(item.name, _type(item, dimension), bool(item.nullable)) for item in table.columns]
    return pa.schema(fields, {"glimpse.ledger": table.name})


def _type(column: Column[Any], dimension: int) -> pa.DataType:
    if column.name == "vector":
        return pa.list_(pa.float32(), dimension) if dimension else _FLOATS
    if column.name == "time" or column.name.endswith("_time"):
        return _TIME
    if column.name in _NAMED:
        return _NAMED[column.name]
    return next(kind for sql_type, kind in _TYPES.items() if isinstance(column.type, sql_type))


def to_arrow(table: Table, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    """Converts rows of a table. Raises pyarrow.ArrowInvalid if a vector has the wrong dimension."""
    arrays = [_array(item, [row[item.name] for row in rows], schema.field(item.name).type) for item in table.columns]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(column: Column[Any], values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_fixed_size_list(kind):
        if wrong := next((item for item in values if len(item) != 4 * kind.list_size), None):
            raise pa.ArrowInvalid(f"a vector has {len(wrong)} bytes, not {4 * kind.list_size}")
        return pa.FixedSizeListArray.from_arrays(pa.array(np.frombuffer(b"".join(values), "<f4")), type=kind)
    if kind == _FLOATS:
        return pa.array([None if item is None else np.frombuffer(item, "<f4") for item in values], kind)
    if kind == _TIME:
        return pa.array(values, pa.int64()).cast(kind)
    if kind == _MAP:
        return pa.array([list(item.items()) for item in values], kind)
    if isinstance(column.type, JSON) and kind != _TEXTS:
        values = [json.dumps(item, ensure_ascii=False) for item in values]
    return pa.array(values, kind)


def from_arrow(table: Table, batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Converts a record batch back to rows. Raises ValueError if it does not fit."""
    columns = [_values(item, batch.column(item.name)) for item in table.columns]
    names = [item.name for item in table.columns]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _values(column: Column[Any], array: pa.Array) -> list[Any]:
    kind = array.type
    if pa.types.is_fixed_size_list(kind):
        return [row.tobytes() for row in array.flatten().to_numpy().reshape(len(array), kind.list_size)]
    if kind == _FLOATS:
        return [item.values.to_numpy().tobytes() if item.is_valid else None for item in array]
    if kind == _TIME:
        values_list: list[Any] = array.cast(pa.int64()).to_pylist()
        return values_list
    values_list = array.to_pylist()
    if kind == _MAP:
        return [dict(item) for item in values_list]
    if isinstance(column.type, JSON) and kind != _TEXTS:
        return [json.loads(item) for item in values_list]
    return values_list
