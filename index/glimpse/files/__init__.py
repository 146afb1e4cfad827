"""Temporary folders that a killed process does not leave behind, and the cache. Standard library only."""
