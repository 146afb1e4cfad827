"""`glimpse ledger`."""

from glimpse.cli import ledger_copies, ledger_log, ledger_parquet, ledger_verify, options

app = options.group("The ledger itself, beside servers that run: backup, restore, verify, export, import, log.")
app.command("backup", short_help="Copy a ledger into one file, and verify the copy.")(ledger_copies.backup)
app.command("restore", short_help="Copy a backup into an empty ledger, and verify it.")(ledger_copies.restore)
app.command("verify", short_help="Check that a ledger is whole. Changes nothing.")(ledger_verify.verify)
app.command("export", short_help="Write a ledger into Parquet files, API keys only with --keys.")(ledger_parquet.export)
app.command("import", short_help="Read an export into an empty ledger, and verify it.")(ledger_parquet.import_)
app.command("log")(ledger_log.log)
