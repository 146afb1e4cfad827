"""Expected errors as one line that says what to do next."""

import os
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
    "EXAMPLE_NOT_FOUND": "see `glimpse examples list COLLECTION`",
    "BACKBONE_NOT_FOUND": "see `glimpse backbones list`",
    "BACKBONE_REQUIRED": "name one with --backbone; see `glimpse backbones list`",
    "CREDENTIALS_REQUIRED": "set GLIMPSE_API_KEY, or name a file with --api-key-file",
    "INDEX_NOT_FOUND": "that is `glimpse serve --indexes`, by default the folder `indexes` in its --data",
    "INDEX_ATTACHED": "glimpse index detach COLLECTION",
    "NO_INDEX": "glimpse index attach COLLECTION INDEX",
    "COMPACTION_NOT_FOUND": "the server was restarted, or another one answered; start it again",
    "INPUTS_NOT_KEPT": "glimpse collections update COLLECTION --keep-inputs, then enroll the same files again",
    "REEMBEDDING_NOT_FOUND": "glimpse collections re-embed start COLLECTION --to BACKBONE",
    "REEMBEDDING_EXISTS": "glimpse collections re-embed end COLLECTION",
    "REEMBEDDING_INCOMPLETE": "see `glimpse collections re-embed status COLLECTION`",
}
# Extras that need neither ONNX Runtime nor FAISS.
_ALONE = ("cli", "otel", "postgres")
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
    return CliError(f"the module {module!r} is missing", _install(extra))


def _install(extra: str) -> str:
    """Returns the command that brings an extra, beside what a server needs for CPUs or for GPUs."""
    if extra in _ALONE:
        return f"pip install 'glimpse-fewshot[{extra}]'"
    beside = "" if extra == "server" else f",{extra}"
    return f"pip install 'glimpse-fewshot[server{beside}]'; for an NVIDIA GPU: 'glimpse-fewshot[gpu{beside}]'"


def unreachable(address: str, error: Any) -> CliError:
    """No server answers at an address, or none that this command and it agree on how to talk to."""
    told = str(error.message).removesuffix(": OK")
    if refused := _handshake(told):
        what, step = refused
        return CliError(f"the server at {address} answers, but {what}", step)
    # gRPC's text ends in the cause: "…: Connection refused".
    cause = told.rpartition(": ")[2]
    step = "start one with: glimpse serve; or name another with --server"
    # A server that does not like how it is called hangs up, and says no more.
    hangs_up = "" if cause == "Connection refused" else f"; or {_wanted()}"
    return CliError(f"no server answers at {address} ({cause})", step + hangs_up)


def _handshake(told: str) -> tuple[str, str] | None:
    """What is wrong with TLS, by gRPC's words for it, and what to do; None: nothing that it tells of."""
    ca = os.environ.get("GLIMPSE_TLS_CA")
    if "Hostname Verification Check failed" in told:
        return "its certificate is for another name", "give --server a name that its certificate has"
    if "WRONG_VERSION_NUMBER" in told:
        return "in plain text", "leave --tls and --tls-ca out, and their variables GLIMPSE_TLS and GLIMPSE_TLS_CA"
    verified, _, why = told.partition("CERTIFICATE_VERIFY_FAILED: ")
    if verified == told:
        return None
    if "issuer" not in why and "self" not in why:
        return f"its certificate is not good: {why}", "its server needs another"
    if ca:
        return f"its certificate is signed by nobody in {ca}", "name who signed it: --tls-ca FILE"
    return "its certificate is signed by nobody this machine trusts", "--tls-ca FILE"


def _wanted() -> str:
    """What a server may want of whoever it hangs up on."""
    if cert := os.environ.get("GLIMPSE_CLIENT_CERT"):
        return f"it does not take the certificate in {cert}: --tls-cert FILE --tls-key FILE"
    if os.environ.get("GLIMPSE_TLS_CA") or os.environ.get("GLIMPSE_TLS"):
        return "it wants a certificate of yours: --tls-cert FILE --tls-key FILE"
    return "it wants TLS: --tls-ca FILE"


def too_late(error: Any, has_timeout: bool) -> CliError:
    """No answer in time, in a command that has --timeout or has not."""
    step = "give it longer with --timeout" if has_timeout else "try again; the server's log may say what holds it up"
    return CliError(error.message, step)


def _line(message: str, next_step: str = "") -> str:
    text = " ".join(message.split())
    return f"glimpse: {text}" + (f" — {next_step}" if next_step else "")
