"""`glimpse console`: the console in a browser."""
