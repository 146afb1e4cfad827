"""Searches vectors: exact, approximate, in index folders, and in both layers together."""
