"""Builds indexes: chooses, trains, fills and measures them, and writes index folders."""
