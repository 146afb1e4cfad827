"""Keeps queries for review: what is taken, what makes room, and the batches that are written."""
