"""Trains the last blocks of a checkpoint on labelled inputs, before it is exported."""
