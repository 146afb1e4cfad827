"""Servers that a user of each system would write, one a file."""
