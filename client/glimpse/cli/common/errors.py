"""Expected errors, printed as one line that says what to do next."""

import os
from typing import Any


class CliError(Exception):
    """An expected error.

    Attributes:
        message: What is wrong.
        next_step: What the user can do about it; empty if there is no advice.
    """

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step


_NEXT_STEPS = {
    "COLLECTION_NOT_FOUND": "list collections with: glimpse collections list; "
    "or create one: glimpse collections create NAME",
    "LABEL_NOT_FOUND": "list labels with: glimpse labels list COLLECTION",
    "EXAMPLE_NOT_FOUND": "list examples with: glimpse examples list COLLECTION",
    "BACKBONE_NOT_FOUND": "list backbones with: glimpse backbones list",
    "BACKBONE_REQUIRED": "choose one with --backbone; list backbones with: glimpse backbones list",
    "CREDENTIALS_REQUIRED": "set GLIMPSE_API_KEY, or name a key file with --api-key-file",
    "INDEX_NOT_FOUND": "the server's folder is `glimpse serve --indexes`, by default `indexes` in its --data folder",
    "INDEX_ATTACHED": "detach it first: glimpse index detach COLLECTION",
    "NO_INDEX": "attach one: glimpse index attach COLLECTION INDEX",
    "COMPACTION_NOT_FOUND": "the server restarted, or another server answered; start the compaction again",
    "INPUTS_NOT_KEPT": "run: glimpse collections update COLLECTION --keep-inputs; then enroll the same files again",
    "REEMBEDDING_NOT_FOUND": "start one: glimpse collections re-embed start COLLECTION --to BACKBONE",
    "REEMBEDDING_EXISTS": "end it first: glimpse collections re-embed end COLLECTION",
    "CONTENT_NOT_READABLE": "with an admin key: glimpse collections update COLLECTION --content-readable",
    "RESOLUTION_NOT_FOUND": "`glimpse review resolve` prints its id; a resolution is forgotten after a year",
    "REVIEW_GROUP_CHANGED": "list groups with: glimpse review groups COLLECTION",
    "PAGE_TOKEN_EXPIRED": "list again",
    "REEMBEDDING_INCOMPLETE": "see its progress: glimpse collections re-embed status COLLECTION",
}
# Extras that need neither ONNX Runtime nor FAISS.
_STANDALONE_EXTRAS = ("cli", "console", "otel", "postgres")
# Causes for which no server was reached at all.
_NOT_CONNECTED = ("Connection refused", "Domain name not found")
# The server advises programs to set a request field; here the field is an option.
_OPTIONS = {"say create_labels": "add --create", "say force": "add --force"}


def explain(error: Exception) -> str | None:
    """Returns one line for an expected error, and None for any other, which is a bug."""
    if isinstance(error, CliError):
        return _line(error.message, error.next_step)
    if isinstance(error, OSError) and error.filename:
        return _line(f"{error.filename}: {error.strerror}")
    from glimpse.client import GlimpseError

    if isinstance(error, GlimpseError):
        line = _line(with_options(error.message), _NEXT_STEPS.get(error.reason, ""))
        # The server's log has the same request id.
        return f"{line} [request {error.request_id}]" if error.request_id else line
    return None


def with_options(message: str) -> str:
    """Returns a server's message with the command's options in place of request fields."""
    for field, option in _OPTIONS.items():
        message = message.replace(field, option)
    return message


def missing_module(error: ModuleNotFoundError, extra: str) -> CliError:
    """Returns an error that says how to install the extra which brings the missing module.

    Raises:
        ModuleNotFoundError: The missing module is one of Glimpse's own.
    """
    module = (error.name or "glimpse").split(".")[0]
    if module == "glimpse":
        raise error
    # Some commands need it for some of what they read and write.
    return CliError(f"the module {module!r} is missing", _install("index" if module == "pyarrow" else extra))


def _install(extra: str) -> str:
    """Returns the pip command that installs an extra, with the server's for CPUs or for GPUs if it needs one."""
    if extra in _STANDALONE_EXTRAS:
        return f"pip install 'glimpse-fewshot[{extra}]'"
    also = "" if extra == "server" else f",{extra}"
    return f"pip install 'glimpse-fewshot[server{also}]'; for an NVIDIA GPU: 'glimpse-fewshot[gpu{also}]'"


def unreachable(address: str, error: Any) -> CliError:
    """Returns the error for an address where no server answers, or where the TLS handshake fails."""
    message = str(error.message).removesuffix(": OK")
    if problem := _handshake_problem(message):
        what, step = problem
        return CliError(f"the server at {address} answers, but {what}", step)
    # gRPC's message ends in the cause: "…: Connection refused".
    cause = message.rpartition(": ")[2].rstrip("]")
    step = "start one with: glimpse serve; or name another with --server"
    # A server that requires TLS or a client certificate closes the connection without giving a reason.
    closed = "" if cause in _NOT_CONNECTED else f"; or {_possible_requirement()}"
    return CliError(f"no server answers at {address} ({cause})", step + closed)


def _handshake_problem(message: str) -> tuple[str, str] | None:
    """Returns what is wrong with TLS according to gRPC's message, and what to do; None if it is not about TLS."""
    ca = os.environ.get("GLIMPSE_TLS_CA")
    if "Hostname Verification Check failed" in message:
        return "its certificate is for another name", "give --server a name that is in its certificate"
    if "WRONG_VERSION_NUMBER" in message:
        return "in plain text", "leave out --tls and --tls-ca, and their variables GLIMPSE_TLS and GLIMPSE_TLS_CA"
    before, _, cause = message.partition("CERTIFICATE_VERIFY_FAILED: ")
    if before == message:
        return None
    if "issuer" not in cause and "self" not in cause:
        return f"its certificate is not valid: {cause}", "the server needs a new certificate"
    if ca:
        return f"no authority in {ca} signed its certificate", "name the authority that signed it: --tls-ca FILE"
    return "this machine trusts no authority that signed its certificate", "name the authority: --tls-ca FILE"


def _possible_requirement() -> str:
    """Returns what a server that closes connections may require."""
    if cert := os.environ.get("GLIMPSE_CLIENT_CERT"):
        return f"it may reject the certificate in {cert}: --tls-cert FILE --tls-key FILE"
    if os.environ.get("GLIMPSE_TLS_CA") or os.environ.get("GLIMPSE_TLS"):
        return "it may require a client certificate: --tls-cert FILE --tls-key FILE"
    return "it may require TLS: --tls-ca FILE"


def too_late(error: Any, has_timeout: bool) -> CliError:
    """Returns the error for a call that exceeded its deadline.

    Args:
        error: The client's error.
        has_timeout: Whether the command has the option `--timeout`.
    """
    step = "allow more time with --timeout" if has_timeout else "try again; the server's log may say why it is slow"
    return CliError(error.message, step)


def _line(message: str, next_step: str = "") -> str:
    text = " ".join(message.split())
    return f"glimpse: {text}" + (f" — {next_step}" if next_step else "")
