"""`glimpse experiments`: the kept runs of `glimpse evaluate`, and their differences."""
