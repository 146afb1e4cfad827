"""`glimpse adapt`."""
