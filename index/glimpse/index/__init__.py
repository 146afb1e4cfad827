"""Vectors to neighbours, through FAISS."""

from glimpse.index.flat import FlatIndex, Ids

__all__ = ["FlatIndex", "Ids"]
