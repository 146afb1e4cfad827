"""Errors of a whole source, and of one of its inputs."""

ROW_MALFORMED = "ROW_MALFORMED"
FILE_UNREADABLE = "FILE_UNREADABLE"
TABLE_DAMAGED = "TABLE_DAMAGED"
PATH_OUTSIDE = "PATH_OUTSIDE"


class InputsError(Exception):
    """Raised for a file, folder or table that cannot be read at all.

    Attributes:
        message: What is wrong.
        next_step: What the user can do about it; empty if there is no advice.
    """

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step


class Rejected(Exception):
    """Raised for one input that cannot be used. The other inputs of the source are not affected.

    Attributes:
        reason: A stable reason for programs.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
