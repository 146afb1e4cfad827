"""Views of collections on the disk, so that a start reads arrays instead of adding up the ledger's rows.

DATA/snapshots/COLLECTION/REVISION/
    manifest.json     what this is of, and the SHA-256 of every file and of itself; its folder's rename makes a snapshot
    sequences.npy     of the examples that were enrolled, ascending: int64, (n,)
    ids.jsonl         their ids, a thousand a line
    labels.json       the labels and domains that occur
    codes.npy, domains.npy, contents.npy    the place of each example's label and domain, and its content's key
    sums.npy          of each label's vectors: float64, (C, d); not of very many labels
    vectors-00000.npy, …    float32, (m, d): the files that a manifest lists, one after the other

The ledger is the truth: a snapshot that is torn, of another ledger, or of a history that the ledger does not have is
ignored, and the view is built from the ledger. No file is unpickled.
"""

from glimpse.server.snapshots.scheduler import LoadedSnapshot, Snapshots

__all__ = ["LoadedSnapshot", "Snapshots"]
