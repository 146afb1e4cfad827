"""What other libraries' errors say, for a line of ours."""

from collections.abc import Iterator

from glimpse.export.errors import first_line


def reason(error: Exception) -> str:
    """The first sentence of an error's first line; and its cause's, where an error of another kind lies behind it.

    transformers says "Could not import module 'BertModel'", and keeps why to the cause.
    """
    [said, *causes] = (_sentence(one) for one in chain(error))
    return f"{said} ({causes[-1]})" if causes and causes[-1] not in said else said


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it was raised from, down to the first one."""
    inner: BaseException | None = error
    while inner is not None:
        yield inner
        inner = inner.__cause__ or (None if inner.__suppress_context__ else inner.__context__)


def _sentence(error: BaseException) -> str:
    return first_line(error).split(". ")[0].rstrip(".")
