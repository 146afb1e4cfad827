"""The subcommands of `glimpse ledger`."""

from glimpse.cli.common import options
from glimpse.cli.ledger import backup, log, parquet, verify

app = options.group("Back up, restore, verify, export and list a ledger.")
app.command("backup", short_help="Copy a ledger into one file.")(backup.backup)
app.command("restore", short_help="Copy a backup into an empty ledger.")(backup.restore)
app.command("verify", short_help="Check a ledger's digests and rows.")(verify.verify)
app.command("export", short_help="Write a ledger to Parquet files.")(parquet.export)
app.command("import", short_help="Read an export into an empty ledger.")(parquet.import_)
app.command("log", short_help="List the changes of a ledger.")(log.log)
