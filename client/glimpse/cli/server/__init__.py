"""`glimpse serve` and `glimpse status`."""
