"""What other libraries' errors say, for a line of ours."""


def reason(error: Exception) -> str:
    """The first sentence of an error's first line, or its type's name where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__).split(". ")[0].rstrip(".")
