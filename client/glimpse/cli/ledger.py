"""`glimpse ledger`."""

from glimpse.cli import ledger_copies, ledger_log, ledger_parquet, ledger_verify, options

app = options.group("The ledger itself, beside servers that run: backup, restore, verify, export, import, log.")
app.command("backup")(ledger_copies.backup)
app.command("restore")(ledger_copies.restore)
app.command("verify")(ledger_verify.verify)
app.command("export")(ledger_parquet.export)
app.command("import")(ledger_parquet.import_)
app.command("log")(ledger_log.log)
