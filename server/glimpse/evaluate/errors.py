"""What can be wrong with a request to evaluate."""


class EvaluationError(Exception):
    """An error to be expected, with what to do next."""

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.next_step = next_step
