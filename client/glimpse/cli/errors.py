"""Expected errors as one line that says what to do next."""

from typing import Any


class CliError(Exception):
    """An error to be expected, with what to do next."""

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step


_NEXT_STEPS = {
    "COLLECTION_NOT_FOUND": "see `glimpse collections list`, or make it: glimpse collections create NAME",
    "LABEL_NOT_FOUND": "see `glimpse labels list COLLECTION`, or add --create to make missing labels",
    "BACKBONE_NOT_FOUND": "see `glimpse backbone list`",
    "BACKBONE_REQUIRED": "name one with --backbone; see `glimpse backbone list`",
    "COLLECTION_NOT_EMPTY": "add --force to delete its labels and examples with it",
    "LABEL_NOT_EMPTY": "add --force to delete its examples with it",
}


def explain(error: Exception) -> str | None:
    """One line for an expected error; None for a bug."""
    if isinstance(error, CliError):
        return _line(error.message, error.next_step)
    if isinstance(error, OSError) and error.filename:
        return _line(f"{error.filename}: {error.strerror}")
    from glimpse.client import DeadlineExceeded, GlimpseError

    if isinstance(error, DeadlineExceeded):
        return _line(error.message, "give it longer with --timeout")
    if isinstance(error, GlimpseError):
        return _line(error.message, _NEXT_STEPS.get(error.reason, ""))
    return None


def unreachable(address: str, error: Any) -> CliError:
    """No server answers at an address."""
    # gRPC's text ends in the cause: "…: Connection refused".
    cause = str(error.message).rpartition(": ")[2]
    return CliError(
        f"no server answers at {address} ({cause})",
        "start one with: glimpse serve; or name another with --server",
    )


def _line(message: str, next_step: str = "") -> str:
    text = " ".join(message.split())
    return f"glimpse: {text}" + (f" — {next_step}" if next_step else "")
