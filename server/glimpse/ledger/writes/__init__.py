"""Writes: collections, labels, examples, indexes, keys and enrolments."""
