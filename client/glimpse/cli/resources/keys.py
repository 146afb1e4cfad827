"""`glimpse keys`: manages API keys in the ledger. Running servers apply changes within a second."""

import getpass
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.output import print_note, print_records
from glimpse.cli.common.records import print_data
from glimpse.cli.ledger.location import Data, LedgerUrl, ledger_settings
from glimpse.cli.resources.key_record import COLUMNS, FIELDS, key_record, key_row

if TYPE_CHECKING:
    from glimpse.ledger import KeyRecord, Ledger

app = options.group("Create, list and revoke API keys. Needs no server.")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62})")
_PATTERN = re.compile(r"[a-z0-9*-]{1,63}")
_WHOLE_KEY = re.compile(r"glimpse_([0-9a-f]{16})")
_SPANS = {"m": "minutes", "h": "hours", "d": "days"}


class ScopeName(StrEnum):
    """Scopes of a key. Each includes those before it."""

    READ = "read"
    CLASSIFY = "classify"
    ENROLL = "enroll"
    ADMIN = "admin"


Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The key's name, which the ledger's log shows as the author of changes.")
]
Rate = Annotated[
    float | None,
    typer.Option(min=0.001, metavar="N", help="Limit of this key. Default: the server's limit, if it has one."),
]


@app.command()
def create(
    name: Name,
    scope: Annotated[
        ScopeName, typer.Option("--scope", help="What the key allows. Each scope includes those before it.")
    ],
    collections: Annotated[
        list[str] | None,
        typer.Option(
            "--collection",
            metavar="ID",
            help="Collections that the key may use; `*` matches any characters. Repeatable. Default: *",
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires", metavar="WHEN", help="Expiry: 90d, 12h, 30m, or a date such as 2027-01-31. Default: never."
        ),
    ] = None,
    requests_per_second: Rate = None,
    inputs_per_second: Rate = None,
    bytes_per_second: Rate = None,
    config: options.Config = None,
    data: Data = None,
    ledger: LedgerUrl = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Create an API key and print it on stdout.

    The key is shown only once, because the ledger stores only a salted hash.
    """
    patterns = collections or ["*"]
    if not _NAME.fullmatch(name):
        valid = re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip("._-")[:63]
        hint = f"; for example {valid}" if valid else ""
        raise typer.BadParameter(
            f"a key's name starts with a letter or digit, and has at most 63 letters, digits, `.`, `_` and `-`{hint}"
        )
    if invalid := next((pattern for pattern in patterns if not _PATTERN.fullmatch(pattern)), None):
        message = f"--collection {invalid}: use lower-case letters, digits, hyphens and `*`"
        raise typer.BadParameter(message + _hint(invalid))
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
        rates = {limit: rate for limit, rate in limits.items() if rate is not None}
        record = KeyRecord(key_id, name, salt, hashed, scope.value, patterns, rates, expire_time=until)
        record = writer.create_key(record)
    if output is not options.Format.TABLE:
        print_data(output, {"key": key, **key_record(record)})
    else:
        print_note(f"key {name!r}: {scope.value} in {', '.join(patterns)}; save it now, it is not shown again")
        print(key)


@app.command("list")
def list_(
    config: options.Config = None,
    data: Data = None,
    ledger: LedgerUrl = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """List API keys, oldest first, including revoked ones.

    The keys themselves are not stored, so they cannot be shown. JSON also contains ids, creation times and full limits.
    """
    with _opened(config, data, ledger) as opened:
        records = map(key_row if output is options.Format.TABLE else key_record, opened.keys())
        print_records(output, records, COLUMNS, FIELDS)


@app.command()
def revoke(
    name: Annotated[
        str,
        typer.Argument(
            metavar="KEY", help="The key's name, its id, the key itself, or the start of a name that `list` cuts (…)."
        ),
    ],
    config: options.Config = None,
    data: Data = None,
    ledger: LedgerUrl = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Revoke an API key. This cannot be undone.

    Name the key by its name, by its id (from `list --format json`), or by the key itself, for example after a leak.
    """
    with _opened(config, data, ledger) as opened, opened.begin() as writer:
        writer.actor = _operator()
        name = _name_of(opened.keys(), name)
        before = writer.head.revision
        is_new = writer.revoke_key(name) > before
    if output is not options.Format.TABLE:
        print_data(output, {"revoked": name})
    else:
        state = "revoked; servers that reach the ledger reject it within a second" if is_new else "was already revoked"
        print_note(f"key {name!r} {state}")


def _name_of(keys: Iterable["KeyRecord"], reference: str) -> str:
    """Returns the name of a key from its name, its id, the key itself, or the start of its name and `…`.

    Raises:
        BadParameter: Several names have this start.
    """
    # A leaked key contains its id. Only the id may appear in output, not the secret.
    key_id = match[1] if (match := _WHOLE_KEY.match(reference)) else reference
    start = reference.removesuffix("…") if reference.endswith("…") else None
    names = []
    for key in keys:
        if key.name == reference:
            return reference
        if key.id == key_id or (start and key.name.startswith(start)):
            names.append(key.name)
    if len(names) > 1:
        raise typer.BadParameter(f"{reference} matches {', '.join(names)}; give one full name")
    return names[0] if names else key_id


@contextmanager
def _opened(config: Path | None, data: Path | None, url: str | None) -> "Iterator[Ledger]":
    """Opens the ledger that the settings name. Raises CliError."""
    with ledger_settings(config, data, url) as settings:
        from glimpse.ledger import Ledger
        from glimpse.ledger.database.file_permissions import make_folder

        if not settings.ledger:
            make_folder(settings.data)
        with Ledger.open(settings.ledger_url) as ledger:
            yield ledger


def _hint(pattern: str) -> str:
    """Suggests a valid pattern that is close to an invalid one."""
    valid = re.sub(r"[^a-z0-9*]+", "-", pattern.lower())[:63]
    return f"; for example {valid}" if _PATTERN.fullmatch(valid) else ""


def _operator() -> str:
    """Returns the author of changes for the ledger's log: this machine's user."""
    try:
        # A name from the environment may contain bytes that are not UTF-8, which the ledger cannot store.
        return f"operator:{getpass.getuser()}".encode(errors="backslashreplace").decode()
    except (OSError, KeyError):  # a container's user may have no name
        return "operator"


def _time(expires: str) -> int:
    """Parses `--expires` into microseconds since the epoch. Raises BadParameter."""
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
        raise typer.BadParameter(f"--expires {expires} is in the past")
    return int(moment.timestamp() * 1e6)
