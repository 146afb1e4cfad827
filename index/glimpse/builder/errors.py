"""Errors of a build as a whole. A problem of a single input is an `Unreadable`, and the build continues."""


class BuildError(Exception):
    """Raised for an error that stops a build.

    Attributes:
        message: what is wrong.
        next_step: what to do, if known.
    """

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
