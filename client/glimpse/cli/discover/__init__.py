"""`glimpse discover`: what is in a folder, an index or a collection."""
