"""`glimpse ledger backup` and `restore`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.output import print_record
from glimpse.cli.common.output_files import check_target
from glimpse.cli.common.records import print_data
from glimpse.cli.ledger.location import VERIFIED, Data, LedgerUrl, ledger_settings, part_progress, row_counts

if TYPE_CHECKING:
    from glimpse.ledger.maintenance.backup import CopyResult


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy: a ledger itself, in SQLite.")],
    force: Annotated[bool, typer.Option("--force", help="Take the place of a file that is there.")] = False,
    config: options.Config = None,
    data: Data = None,
    ledger: LedgerUrl = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Copy a ledger into one file while servers write to it, and verify the copy.

    The copy is of one moment. It holds what the ledger holds, API keys' salted hashes too; bundles and indexes it
    names, for they are files of their own.
    """
    check_target(file, another="another file")
    with ledger_settings(config, data, ledger) as settings:
        from glimpse.ledger.maintenance.backup import back_up

        copied = back_up(settings.ledger_url, file, part_progress, force=force)
    _print(output, {"file": str(file), "bytes": copied.size, "sha256": copied.digest}, copied)


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `glimpse ledger backup` made.")],
    config: options.Config = None,
    data: Data = None,
    ledger: LedgerUrl = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Copy a backup into an empty ledger, in SQLite or PostgreSQL, and verify it there: all or nothing.

    No server may have that ledger open. It keeps its identity and its revisions.
    """
    with ledger_settings(config, data, ledger) as settings:
        from glimpse.ledger.maintenance.backup import restore as copy_back

        copied = copy_back(file, settings.ledger_url, part_progress)
    _print(output, {}, copied)


def _print(output: options.Format, record: dict[str, Any], copied: "CopyResult") -> None:
    needs = copied.dependencies
    record |= {"ledger_id": copied.head.ledger_id, "revision": copied.head.revision, "digest": copied.head.digest}
    if output is not options.Format.TABLE:
        needed = {
            "backbones": [{"name": name, "embedding_space": space} for name, space in needs.backbones],
            "indexes": [{"name": name, "digest": digest} for name, digest in needs.indexes],
        }
        print_data(output, {**record, "rows": copied.rows, "needs": needed})
        return
    record |= row_counts(copied.rows)
    record |= {f"needs {name}": space for name, space in needs.backbones}
    record |= {f"needs index {name}": digest for name, digest in needs.indexes}
    print_record(output, record | VERIFIED)
