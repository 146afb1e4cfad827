"""`glimpse pull`."""
