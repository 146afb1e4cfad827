"""The files of an index folder: shards, manifest, label sums and id table."""
