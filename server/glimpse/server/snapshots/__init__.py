"""Snapshots: views of collections on disk, so that a start reads arrays instead of adding up the ledger's rows.

DATA/snapshots/COLLECTION/REVISION/
    manifest.json     the origin, and the SHA-256 of every file and of itself; renaming the folder completes a snapshot
    sequences.npy     sequence numbers of the enrolled examples, ascending: int64, (n,)
    ids.jsonl         their ids, a thousand in a line
    labels.json       the labels and domains that occur
    codes.npy, domains.npy, contents.npy    the position of each example's label and domain, and its content's key
    sums.npy          the sum of each label's vectors: float64, (C, d); absent with more than 10,000 labels
    vectors-00000.npy, …    float32, (m, d): the files in the order of the manifest

The ledger is the source of truth. A snapshot is ignored, and the view built from the ledger, if it is incomplete, or
belongs to another ledger or to a history that the ledger does not have. No file is unpickled.
"""

from glimpse.server.snapshots.scheduler import LoadedSnapshot, Snapshots

__all__ = ["LoadedSnapshot", "Snapshots"]
