"""The fields of an API key as the command prints them."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from glimpse.cli.common.output import Column

if TYPE_CHECKING:
    from glimpse.ledger import KeyRecord

#: Columns of a table.
COLUMNS = (
    Column("NAME"),
    Column("SCOPE", 8),
    Column("COLLECTIONS"),
    Column("LIMITS/S"),
    Column("EXPIRES (UTC)", 16),
    Column("STATE", 7),
)
#: Columns of a CSV.
FIELDS = ("name", "id", "scope", "collections", "limits", "create_time", "expires", "state")
# Units of the limits in a table.
_UNITS = {"requests_per_second": "req", "inputs_per_second": "in", "bytes_per_second": "B"}


def key_record(key: "KeyRecord") -> dict[str, Any]:
    """Returns a key's fields for printing, without its hash."""
    is_expired = key.expire_time is not None and key.expire_time <= time.time_ns() // 1_000
    return {
        "name": key.name,
        "id": key.id,
        "scope": key.scope,
        "collections": list(key.collections),
        "limits": dict(key.limits),
        "create_time": _moment(key.create_time),
        "expires": _moment(key.expire_time),
        "state": "revoked" if key.revoke_time is not None else "expired" if is_expired else "active",
    }


def key_row(key: "KeyRecord") -> dict[str, Any]:
    """Returns a key's fields in short form, for a table."""
    values = key_record(key)
    until = values["expires"] and values["expires"][:16].replace("T", " ")
    limits = ", ".join(f"{rate:g} {_UNITS.get(name, name)}" for name, rate in key.limits.items())
    return {**values, "limits/s": limits or None, "expires_(utc)": until}


def _moment(microseconds: int | None) -> str | None:
    if microseconds is None:
        return None
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds")
