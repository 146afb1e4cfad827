"""What can be wrong with a source as a whole, and with one input of it."""

ROW_MALFORMED = "ROW_MALFORMED"
FILE_UNREADABLE = "FILE_UNREADABLE"
TABLE_DAMAGED = "TABLE_DAMAGED"
PATH_OUTSIDE = "PATH_OUTSIDE"


class InputsError(Exception):
    """A file, folder or table that cannot be read at all, with what to do next."""

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step


class Rejected(Exception):
    """One input that cannot be used; the others can. `reason` is stable, for programs."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
