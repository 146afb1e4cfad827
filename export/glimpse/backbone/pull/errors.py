"""The exception of the package."""


class PullError(Exception):
    """Raised for a source that cannot be pulled. The message says why and what to do; no bundle was written."""
