"""`glimpse keys`: on the ledger itself, beside servers that run or without one; they learn of it within a second."""

import getpass
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.output import Column, print_note, print_records
from glimpse.cli.common.records import print_data
from glimpse.cli.ledger.location import Data, LedgerUrl, ledger_settings

if TYPE_CHECKING:
    from glimpse.ledger import KeyRecord, Ledger

app = options.group("API keys of a ledger: create, list, revoke. Needs no server.")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62})")
_PATTERN = re.compile(r"[a-z0-9*-]{1,63}")
_WHOLE = re.compile(r"glimpse_([0-9a-f]{16})")
_SPANS = {"m": "minutes", "h": "hours", "d": "days"}
_COLUMNS = (
    Column("NAME"),
    Column("SCOPE", 8),
    Column("COLLECTIONS"),
    Column("LIMITS/S"),
    Column("EXPIRES (UTC)", 16),
    Column("STATE", 7),
)
_FIELDS = ("name", "id", "scope", "collections", "limits", "create_time", "expires", "state")
# Of limits, in a table.
_UNITS = {"requests_per_second": "req", "inputs_per_second": "in", "bytes_per_second": "B"}


class ScopeName(StrEnum):
    """Each includes those before it."""

    READ = "read"
    CLASSIFY = "classify"
    ENROLL = "enroll"
    ADMIN = "admin"


Name = Annotated[str, typer.Argument(metavar="NAME", help="The key's name: who has it, in the record of changes.")]
Rate = Annotated[float | None, typer.Option(min=0.001, metavar="N", help="Default: the server's, by default none.")]


@app.command()
def create(
    name: Name,
    scope: Annotated[ScopeName, typer.Option("--scope", help="What it may do; each includes those before it.")],
    collections: Annotated[
        list[str] | None,
        typer.Option("--collection", metavar="ID", help="Where; `*` stands for any letters. Repeatable. Default: *"),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="WHEN", help="90d, 12h, 30m, or a date: 2027-01-31. Default: never."),
    ] = None,
    requests_per_second: Rate = None,
    inputs_per_second: Rate = None,
    bytes_per_second: Rate = None,
    config: options.Config = None,
    data: Data = None,
    ledger: LedgerUrl = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Make a key, and show it: on stdout, this once. The ledger keeps a salted hash."""
    patterns = collections or ["*"]
    if not _NAME.fullmatch(name):
        right = re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip("._-")[:63]
        hint = f"; {right} would do" if right else ""
        raise typer.BadParameter(
            f"a key's name has letters, digits, `.`, `_` and `-`, 63 at most, none of these first{hint}"
        )
    if wrong := next((one for one in patterns if not _PATTERN.fullmatch(one)), None):
        raise typer.BadParameter(f"--collection {wrong}: lower-case letters, digits, hyphens and `*`{_hint(wrong)}")
    limits = {
        "requests_per_second": requests_per_second,
        "inputs_per_second": inputs_per_second,
        "bytes_per_second": bytes_per_second,
    }
    until = None if expires is None else _time(expires)
    with _opened(config, data, ledger) as opened, opened.begin() as writer:
        from glimpse.ledger import KeyRecord
        from glimpse.server.auth.api_keys import new_key

        writer.actor = _operator()
        key, key_id, salt, hashed = new_key()
        given = {limit: rate for limit, rate in limits.items() if rate is not None}
        record = KeyRecord(key_id, name, salt, hashed, scope.value, patterns, given, expire_time=until)
        record = writer.create_key(record)
    if output is not options.Format.TABLE:
        print_data(output, {"key": key, **_shown(record)})
    else:
        print_note(f"key {name!r}: {scope.value} in {', '.join(patterns)}; it is shown this once")
        print(key)


@app.command("list")
def list_(
    config: options.Config = None,
    data: Data = None,
    ledger: LedgerUrl = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """List the keys, revoked ones too; what they are is not there to show.

    The oldest first; as JSON with ids, times of making and whole limits.
    """
    with _opened(config, data, ledger) as opened:
        records = map(_row if output is options.Format.TABLE else _shown, opened.keys())
        print_records(output, records, _COLUMNS, _FIELDS)


@app.command()
def revoke(
    name: Annotated[
        str, typer.Argument(metavar="KEY", help="The key's name, its id, or the beginning of a name that `list` cut.")
    ],
    config: options.Config = None,
    data: Data = None,
    ledger: LedgerUrl = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """End a key for good.

    By its name, by its id (`list --format json` shows it), or by the key itself where it leaked.
    """
    with _opened(config, data, ledger) as opened, opened.begin() as writer:
        writer.actor = _operator()
        name = _name_of(opened.keys(), name)
        before = writer.head.revision
        is_new = writer.revoke_key(name) > before
    if output is not options.Format.TABLE:
        print_data(output, {"revoked": name})
    else:
        now = "is revoked; servers that reach the ledger refuse it within a second"
        print_note(f"key {name!r} {now if is_new else 'was revoked already'}")


def _name_of(keys: Iterable["KeyRecord"], shown: str) -> str:
    """The name of the key that is meant. Raises BadParameter."""
    # A key that leaked is at hand whole: its id is in it, and its secret must not be repeated.
    key_id = whole[1] if (whole := _WHOLE.match(shown)) else shown
    beginning = shown.removesuffix("…") if shown.endswith("…") else None
    found = []
    for key in keys:
        if key.name == shown:
            return shown
        if key.id == key_id or (beginning and key.name.startswith(beginning)):
            found.append(key.name)
    if len(found) > 1:
        raise typer.BadParameter(f"{shown} is the beginning of {', '.join(found)}; give one of them whole")
    return found[0] if found else key_id


@contextmanager
def _opened(config: Path | None, data: Path | None, url: str | None) -> "Iterator[Ledger]":
    """The ledger that the settings name, for its operator. Raises CliError."""
    with ledger_settings(config, data, url) as settings:
        from glimpse.ledger import Ledger
        from glimpse.ledger.database.file_permissions import make_folder

        if not settings.ledger:
            make_folder(settings.data)
        with Ledger.open(settings.ledger_url) as ledger:
            yield ledger


def _hint(pattern: str) -> str:
    """A pattern of collections that would do."""
    right = re.sub(r"[^a-z0-9*]+", "-", pattern.lower())[:63]
    return f"; {right} would do" if _PATTERN.fullmatch(right) else ""


def _operator() -> str:
    """Who writes, in the record of changes: this machine's user."""
    try:
        # As it is stored: a name from the environment may hold bytes that are no UTF-8.
        return f"operator:{getpass.getuser()}".encode(errors="backslashreplace").decode()
    except (OSError, KeyError):  # a container's user may have no name
        return "operator"


def _shown(record: "KeyRecord") -> dict[str, Any]:
    """A key for printing, without its hash."""
    ended = record.expire_time is not None and record.expire_time <= time.time_ns() // 1_000
    return {
        "name": record.name,
        "id": record.id,
        "scope": record.scope,
        "collections": list(record.collections),
        "limits": dict(record.limits),
        "create_time": _moment(record.create_time),
        "expires": _moment(record.expire_time),
        "state": "revoked" if record.revoke_time is not None else "expired" if ended else "good",
    }


def _row(record: "KeyRecord") -> dict[str, Any]:
    """A key for a table: what fits."""
    known = _shown(record)
    until = known["expires"] and known["expires"][:16].replace("T", " ")
    limits = ", ".join(f"{rate:g} {_UNITS.get(name, name)}" for name, rate in record.limits.items())
    return {**known, "limits/s": limits or None, "expires_(utc)": until}


def _moment(microseconds: int | None) -> str | None:
    if microseconds is None:
        return None
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds")


def _time(expires: str) -> int:
    """When that is, in microseconds. Raises BadParameter."""
    now = datetime.now(UTC)
    try:
        if span := re.fullmatch(r"(\d{1,6})([mhd])", expires):
            moment = now + timedelta(**{_SPANS[span[2]]: int(span[1])})
        else:
            moment = datetime.fromisoformat(expires)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"--expires {expires}: give 90d, 12h, 30m, or a date such as 2027-01-31") from error
    if moment <= now:
        raise typer.BadParameter(f"--expires {expires} is over already")
    return int(moment.timestamp() * 1e6)
