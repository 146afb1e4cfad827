"""The collections in memory: loading them, writing to them, and following the ledger."""
