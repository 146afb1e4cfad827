"""Temporary folders that a killed process does not leave behind, the cache, and digests. Standard library only."""
