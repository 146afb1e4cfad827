"""What makes a whole build impossible. What is wrong with one input alone is an Unreadable, and the rest goes on."""


class BuildError(Exception):
    """An error to be expected, with what to do next."""

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
