"""`glimpse ledger backup` and `restore`: copies a ledger to a file and back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.output import print_record
from glimpse.cli.common.output_files import check_target
from glimpse.cli.common.records import print_data
from glimpse.cli.ledger.location import (
    VERIFIED,
    Data,
    LedgerUrl,
    Review,
    ledger_settings,
    note_review,
    part_progress,
    row_counts,
)

if TYPE_CHECKING:
    from glimpse.ledger.maintenance.backup import CopyResult


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File for the backup, which is a ledger in SQLite.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    review: Review = False,
    config: options.Config = None,
    data: Data = None,
    ledger: LedgerUrl = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Copy a ledger into one file, and verify the copy. Servers may keep writing.

    The copy is consistent: it contains the whole ledger at one moment, including the salted hashes of API keys. It does
    not contain bundles and indexes, which are files of their own; the output lists those that it needs. Queries that
    wait for review are left out; --review includes them.
    """
    check_target(file, another="another file")
    with ledger_settings(config, data, ledger) as settings:
        from glimpse.ledger.maintenance.backup import back_up

        copied = back_up(settings.ledger_url, file, part_progress, force=force, review=review)
    _print(output, {"file": str(file), "bytes": copied.size, "sha256": copied.digest}, copied)
    note_review(copied.review_left_out)


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file from `glimpse ledger backup`.")],
    config: options.Config = None,
    data: Data = None,
    ledger: LedgerUrl = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Copy a backup into an empty ledger, in SQLite or PostgreSQL, and verify it.

    Either everything is restored or nothing. No server may have the ledger open. Its id and revisions are those of the
    backup. Queries that have expired since are dropped.
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
