"""The ledger's columns as Parquet has them, and back, bit by bit."""

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
# JSON that has a shape, and bytes that are numbers; the rest of either is as it is stored.
_NAMED = {"prompts": _TEXTS, "metadata": _MAP, "prompt_vector": _FLOATS}
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
    """The columns of a table's file. `dimension`: of the vectors, where it has any, and all have the same; else 0."""
    fields = [pa.field(one.name, _type(one, dimension), bool(one.nullable)) for one in table.columns]
    return pa.schema(fields, {"glimpse.ledger": table.name})


def _type(column: Column[Any], dimension: int) -> pa.DataType:
    if column.name == "vector":
        return pa.list_(pa.float32(), dimension) if dimension else _FLOATS
    if column.name == "time" or column.name.endswith("_time"):
        return _TIME
    if column.name in _NAMED:
        return _NAMED[column.name]
    return next(kind for ours, kind in _TYPES.items() if isinstance(column.type, ours))


def to_arrow(table: Table, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    """Rows of a table as Parquet takes them. Raises pyarrow.ArrowInvalid where a vector has not its dimension."""
    arrays = [_array(one, [row[one.name] for row in rows], schema.field(one.name).type) for one in table.columns]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(column: Column[Any], values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_fixed_size_list(kind):
        if wrong := next((one for one in values if len(one) != 4 * kind.list_size), None):
            raise pa.ArrowInvalid(f"a vector has {len(wrong)} bytes, not {4 * kind.list_size}")
        return pa.FixedSizeListArray.from_arrays(pa.array(np.frombuffer(b"".join(values), "<f4")), type=kind)
    if kind == _FLOATS:
        return pa.array([None if one is None else np.frombuffer(one, "<f4") for one in values], kind)
    if kind == _TIME:
        return pa.array(values, pa.int64()).cast(kind)
    if kind == _MAP:
        return pa.array([list(one.items()) for one in values], kind)
    if isinstance(column.type, JSON) and kind != _TEXTS:
        values = [json.dumps(one, ensure_ascii=False) for one in values]
    return pa.array(values, kind)


def from_arrow(table: Table, batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows of a table again. Raises ValueError where they cannot be."""
    columns = [_values(one, batch.column(one.name)) for one in table.columns]
    names = [one.name for one in table.columns]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _values(column: Column[Any], array: pa.Array) -> list[Any]:
    kind = array.type
    if pa.types.is_fixed_size_list(kind):
        return [row.tobytes() for row in array.flatten().to_numpy().reshape(len(array), kind.list_size)]
    if kind == _FLOATS:
        return [one.values.to_numpy().tobytes() if one.is_valid else None for one in array]
    if kind == _TIME:
        found: list[Any] = array.cast(pa.int64()).to_pylist()
        return found
    found = array.to_pylist()
    if kind == _MAP:
        return [dict(one) for one in found]
    if isinstance(column.type, JSON) and kind != _TEXTS:
        return [json.loads(one) for one in found]
    return found
