"""Decides which calls run, which wait, and which are refused: fair queues, limits, batches and thread pools."""
