"""What can be wrong with a model that is to become a bundle."""


class ExportError(Exception):
    """A model that cannot be exported; the message says why and what to do. Nothing was written."""


def first_line(error: BaseException) -> str:
    """What another library's error says, for a line of ours; its type's name where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
