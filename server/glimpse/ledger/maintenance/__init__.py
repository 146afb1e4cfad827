"""Maintenance while servers run: backup and restore, verification, Parquet, and the history of changes.

    from glimpse.ledger.maintenance.backup import back_up
    back_up("sqlite:///data/ledger.sqlite", Path("ledger.backup"), progress)

Each operation reads one state of the ledger, in batches, in a transaction that blocks no writer.
"""
