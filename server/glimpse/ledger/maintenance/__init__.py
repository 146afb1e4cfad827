"""What keeps a ledger: backups and restores, verification, Parquet, the record of changes. Beside servers that run.

    from glimpse.ledger.upkeep.backup import back_up
    back_up("sqlite:///data/ledger.sqlite", Path("ledger.backup"), progress)

Everything reads one state of the ledger, in one transaction that holds up no writer, a part at a time.
"""
