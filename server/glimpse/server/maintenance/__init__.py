"""Long-running work on a collection: compaction, re-embedding with another backbone, and the switch to it."""
