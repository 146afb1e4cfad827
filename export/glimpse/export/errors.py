"""Errors of an export."""


class ExportError(Exception):
    """Raised for a model that cannot be exported. The message says why and what to do; nothing was written."""


def first_line(error: BaseException) -> str:
    """Returns the first line of another library's error, or the name of its type if the error has no text."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
