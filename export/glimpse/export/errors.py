"""What can be wrong with a model that is to become a bundle."""


class ExportError(Exception):
    """A model that cannot be exported; the message says why and what to do. Nothing was written."""
