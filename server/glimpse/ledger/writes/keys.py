"""API keys: each function works in its caller's transaction. What is stored cannot be turned back into a key."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import Connection, insert, select, update

from glimpse.ledger.database import schema
from glimpse.ledger.errors import AlreadyExists, NotFound


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key that was made. `hash` is of its secret, salted. Times in microseconds; None: never.

    `collections` are patterns of ids; `limits` a second's worth by name, where it has limits of its own.
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
    """Adds a key. Raises AlreadyExists where one of its name was ever made."""
    if connection.scalar(select(schema.api_keys.c.id).where(schema.api_keys.c.name == record.name)):
        raise AlreadyExists(f"key {record.name!r} exists; the name of a key stands for it alone, revoked or not")
    values = {**asdict(record), "collections": list(record.collections), "limits": dict(record.limits)}
    connection.execute(insert(schema.api_keys).values(values))


def revoke(connection: Connection, name: str, now: int) -> bool:
    """Ends a key for good; False where it had ended so before. Raises NotFound."""
    there = schema.api_keys.c
    if connection.scalar(select(there.id).where(there.name == name)) is None:
        raise NotFound(f"there is no key {name!r}; see `glimpse keys list`")
    unrevoked = update(schema.api_keys).where(there.name == name, there.revoke_time.is_(None))
    return bool(connection.execute(unrevoked.values(revoke_time=now)).rowcount)


def list_keys(connection: Connection) -> list[KeyRecord]:
    """Every key that was made, oldest first, revoked ones too."""
    there = schema.api_keys
    rows = connection.execute(select(there).order_by(there.c.create_time, there.c.id))
    return [KeyRecord(**row._mapping) for row in rows]
