"""Vectors to neighbours, through FAISS."""

from glimpse.index.candidates import CandidateIndex
from glimpse.index.flat import FlatIndex, Ids

__all__ = ["CandidateIndex", "FlatIndex", "Ids"]
