"""API keys. Each function works in its caller's transaction. A stored hash cannot be turned back into a key."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import Connection, insert, select, update

from glimpse.ledger.database import schema
from glimpse.ledger.errors import AlreadyExists, NotFound


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An API key. Times are microseconds since the epoch; None means never.

    Attributes:
        hash: salted hash of the secret.
        collections: patterns of collection ids.
        limits: requests per second by limit name, if the key has limits of its own.
    """

    id: str
    name: str
    salt: bytes
    hash: bytes
    scope: str
    collections: Sequence[str]
    limits: Mapping[str, float] = field(default_factory=dict)
    create_time: int = 0
    expire_time: int | None = None
    revoke_time: int | None = None


def create(connection: Connection, record: KeyRecord) -> None:
    """Adds a key. Raises AlreadyExists if a key of that name, revoked or not, exists."""
    if connection.scalar(select(schema.api_keys.c.id).where(schema.api_keys.c.name == record.name)):
        raise AlreadyExists(f"key {record.name!r} exists; names are never reused, even after a key is revoked")
    values = {**asdict(record), "collections": list(record.collections), "limits": dict(record.limits)}
    connection.execute(insert(schema.api_keys).values(values))


def revoke(connection: Connection, name: str, now: int) -> bool:
    """Revokes a key. Returns False if it was revoked before. Raises NotFound."""
    columns = schema.api_keys.c
    if connection.scalar(select(columns.id).where(columns.name == name)) is None:
        raise NotFound(f"there is no key {name!r}; see `glimpse keys list`")
    unrevoked = update(schema.api_keys).where(columns.name == name, columns.revoke_time.is_(None))
    return bool(connection.execute(unrevoked.values(revoke_time=now)).rowcount)


def list_keys(connection: Connection) -> list[KeyRecord]:
    """Returns every key, oldest first, including revoked ones."""
    table = schema.api_keys
    rows = connection.execute(select(table).order_by(table.c.create_time, table.c.id))
    return [KeyRecord(**row._mapping) for row in rows]
