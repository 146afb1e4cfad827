"""`glimpse ledger`."""

from glimpse.cli.common import options
from glimpse.cli.ledger import backup, log, parquet, verify

app = options.group("The ledger itself, beside servers that run: backup, restore, verify, export, import, log.")
app.command("backup", short_help="Copy a ledger into one file, and verify the copy.")(backup.backup)
app.command("restore", short_help="Copy a backup into an empty ledger, and verify it.")(backup.restore)
app.command("verify", short_help="Check that a ledger is whole. Changes nothing.")(verify.verify)
app.command("export", short_help="Write a ledger into Parquet files, API keys only with --keys.")(parquet.export)
app.command("import", short_help="Read an export into an empty ledger, and verify it.")(parquet.import_)
app.command("log")(log.log)
