"""The sequence of changes: its digests, reads of what came after a revision, and notifications."""
