"""Vectors to neighbours, through FAISS."""

from glimpse.index.flat import FlatIndex

__all__ = ["FlatIndex"]
