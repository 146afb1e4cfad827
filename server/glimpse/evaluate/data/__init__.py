"""The data: reading, splitting and embedding it."""
