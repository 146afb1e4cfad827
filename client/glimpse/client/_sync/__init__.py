"""The sync client, one module for each group of methods. `_async` is generated from this package."""
