"""`glimpse ledger`: backs up, verifies, exports and lists a ledger without a server."""
