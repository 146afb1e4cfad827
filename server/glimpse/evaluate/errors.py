"""The error of an evaluation that cannot run."""


class EvaluationError(Exception):
    """Raised for an expected error; `next_step` says what to do about it."""

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.next_step = next_step
