"""`glimpse index`: builds, searches and maintains indexes, and attaches them to collections."""
