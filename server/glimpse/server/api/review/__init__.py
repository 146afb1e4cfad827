"""The calls of ReviewService, one module per kind of work."""
