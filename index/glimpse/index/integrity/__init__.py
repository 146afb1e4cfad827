"""Checks of index folders: a trial in a separate process, and a comparison with the manifest."""
