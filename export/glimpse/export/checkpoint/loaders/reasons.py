"""Shortens other libraries' errors for error messages."""

from collections.abc import Iterator

from glimpse.export.errors import first_line


def reason(error: Exception) -> str:
    """Returns the first sentence of an error's first line, with that of its root cause in brackets if it differs.

    transformers raises "Could not import module 'BertModel'" and keeps the reason in the cause.
    """
    [message, *causes] = (_sentence(exception) for exception in chain(error))
    return f"{message} ({causes[-1]})" if causes and causes[-1] not in message else message


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and the errors that caused it, up to the root cause."""
    inner: BaseException | None = error
    while inner is not None:
        yield inner
        inner = inner.__cause__ or (None if inner.__suppress_context__ else inner.__context__)


def _sentence(error: BaseException) -> str:
    return first_line(error).split(". ")[0].rstrip(".")
