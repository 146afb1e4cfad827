"""Trials: a collection of a few examples, and its predictions."""
