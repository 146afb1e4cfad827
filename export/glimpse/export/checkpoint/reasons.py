"""What other libraries' errors say, for a line of ours."""

from glimpse.export.errors import first_line


def reason(error: Exception) -> str:
    """The first sentence of an error's first line, or its type's name where it says nothing."""
    return first_line(error).split(". ")[0].rstrip(".")
