"""Writes the results of a build: rows, shards, errors and the state of an interrupted build."""
