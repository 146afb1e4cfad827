"""Snapshots: views of collections on disk, so that a start reads arrays instead of adding up the ledger's rows.

DATA/snapshots/COLLECTION/REVISION/
    manifest.json     the origin, and the SHA-256 of every file and of itself; renaming the folder completes a snapshot
    sequences.npy     sequence numbers of the enrolled examples, ascending: int64, (n,)
    ids.jsonl         their ids, a thousand in a line
    labels.json       the labels, domains and groups that occur
    codes.npy, domains.npy, groups.npy    the position of each example's label, domain and group
    contents.npy      the key of each example's content
    sums.npy          the sum of each label's vectors: float64, (C, d); absent with more than 10,000 labels
    vectors-00000.npy, …    float32, (m, d): the files in the order of the manifest

The ledger is the source of truth. A snapshot is ignored, and the view built from the ledger, if it is incomplete, or
belongs to another ledger or to a history that the ledger does not have. A snapshot without groups.npy is older than
groups; it is read, and its examples are in no group. No file is unpickled.
"""

from glimpse.server.snapshots.scheduler import LoadedSnapshot, Snapshots

__all__ = ["LoadedSnapshot", "Snapshots"]
