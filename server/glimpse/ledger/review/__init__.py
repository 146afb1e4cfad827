"""The review queue: queries that a collection kept because it was not sure, and their resolutions.

The queue is in the ledger's database, so that resolving and enrolling are one transaction, but it is no part of the
sequence of changes: an item comes and goes without a revision. What a resolution enrolls is an ordinary change.
"""
