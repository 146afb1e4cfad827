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
    "LABEL_NOT_FOUND": "see `glimpse labels list COLLECTION`",
    "BACKBONE_NOT_FOUND": "see `glimpse backbone list`",
    "BACKBONE_REQUIRED": "name one with --backbone; see `glimpse backbone list`",
    "CREDENTIALS_REQUIRED": "set GLIMPSE_API_KEY, or name a file with --api-key-file",
    "INDEX_NOT_FOUND": "that is `glimpse serve --indexes`, by default the folder `indexes` in its --data",
    "INDEX_ATTACHED": "glimpse index detach COLLECTION",
    "NO_INDEX": "glimpse index attach COLLECTION INDEX",
    "INPUTS_NOT_KEPT": "glimpse collections update COLLECTION --keep-inputs, then enroll the same files again",
    "MIGRATION_NOT_FOUND": "glimpse collections migrate start COLLECTION --to BACKBONE",
    "MIGRATION_EXISTS": "glimpse collections migrate end COLLECTION",
    "MIGRATION_INCOMPLETE": "see `glimpse collections migrate status COLLECTION`",
}
# What the server advises a program to set in its request is an option here.
_OPTIONS = {"say create_labels": "add --create", "say force": "add --force"}


def explain(error: Exception) -> str | None:
    """One line for an expected error; None for a bug."""
    if isinstance(error, CliError):
        return _line(error.message, error.next_step)
    if isinstance(error, OSError) and error.filename:
        return _line(f"{error.filename}: {error.strerror}")
    from glimpse.client import GlimpseError

    if isinstance(error, GlimpseError):
        line = _line(with_options(error.message), _NEXT_STEPS.get(error.reason, ""))
        # By which the server's log has it.
        return f"{line} [request {error.request_id}]" if error.request_id else line
    return None


def with_options(message: str) -> str:
    """A message of the server, with the command's options in place of the request's fields."""
    for field, option in _OPTIONS.items():
        message = message.replace(field, option)
    return message


def missing_module(error: ModuleNotFoundError, extra: str) -> CliError:
    """What to say of a module that one of the project's extras brings. Raises the error where the module is our own."""
    module = (error.name or "glimpse").split(".")[0]
    if module == "glimpse":
        raise error
    install = f"install the extra {extra!r}: pip install '.[{extra}]' in Glimpse's folder"
    return CliError(f"the module {module!r} is missing", install)


def unreachable(address: str, error: Any) -> CliError:
    """No server answers at an address."""
    # gRPC's text ends in the cause: "…: Connection refused".
    cause = str(error.message).rpartition(": ")[2]
    return CliError(
        f"no server answers at {address} ({cause})",
        "start one with: glimpse serve; or name another with --server; or it wants TLS: --tls-ca FILE",
    )


def too_late(error: Any, has_timeout: bool) -> CliError:
    """No answer in time, in a command that has --timeout or has not."""
    step = "give it longer with --timeout" if has_timeout else "try again; the server's log may say what holds it up"
    return CliError(error.message, step)


def _line(message: str, next_step: str = "") -> str:
    text = " ".join(message.split())
    return f"glimpse: {text}" + (f" — {next_step}" if next_step else "")
