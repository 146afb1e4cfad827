"""Changes of examples, each with the way back."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from glimpse.client import AlreadyExists, Collection, FailedPrecondition, Image, NewExample, NotFound, Text
from glimpse.console.components import counted
from glimpse.console.context import Context

_MAX_NAMES = 256  # of one UpdateExamples or DeleteExamples
Undo = Callable[[], Awaitable[str]]
"""Takes a change back. Returns the full name of the example that was enrolled again, or an empty text."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was made.

    Attributes:
        text: What was changed, for people.
        undo: Takes it back. None: that is not possible.
        deleted: Whether an example was deleted.
    """

    text: str
    undo: Undo | None
    deleted: bool = False


async def move(context: Context, names: Sequence[str], old: str, new: str) -> Change:
    """Gives examples another label.

    Args:
        context: The page.
        names: Full names of the examples.
        old: Id of the label they have.
        new: Id of the label they get. It is created if it does not exist.

    Raises:
        AlreadyExists: If another example with the same content has the new label.
        GlimpseError: If the call fails for another reason.
    """
    collection = _collection(context)
    with suppress(AlreadyExists):
        await context.client.create_label(collection, new)
    await _update(context, names, new)

    async def undo() -> str:
        await _update(context, names, old)
        return ""

    return Change(f"{counted(len(names), 'example')} moved to {new}.", undo)


async def remove(context: Context, name: str, content: bytes | str | None = None) -> Change:
    """Deletes an example.

    Args:
        context: The page.
        name: Full name of the example.
        content: Its content, to enroll it again. None: its kept original is read first. Without one the change
            cannot be undone.

    Raises:
        GlimpseError: If the call fails.
    """
    example = await context.client.get_example(name)
    kept = content if content is not None else await _read_original(context, name)
    await context.client.delete_example(name)
    if kept is None:
        return Change("Deleted. The original was not kept, so there is no undo.", None, deleted=True)
    again = NewExample(
        Text(kept) if isinstance(kept, str) else Image(kept),
        example.label,
        domain=example.domain,
        metadata=example.metadata,
        group=example.group,
    )

    async def undo() -> str:
        enrollment = await context.client.enroll(_collection(context), again, create_labels=True)
        return enrollment.results[0].unwrap().name

    return Change("Deleted.", undo, deleted=True)


async def remove_all(context: Context, names: Iterable[str], labels: Iterable[str] = ()) -> None:
    """Deletes examples, and labels that have no example left.

    Args:
        context: The page.
        names: Full names of examples. Those that somebody else has deleted are left out.
        labels: Ids of labels.

    Raises:
        GlimpseError: If a call fails.
    """
    collection, left = _collection(context), list(names)
    for start in range(0, len(left), _MAX_NAMES):
        part = left[start : start + _MAX_NAMES]
        try:
            await context.client.delete_examples(collection, part)
        except NotFound:  # somebody else deleted one, and the call deletes all or none
            for name in part:
                with suppress(NotFound):
                    await context.client.delete_example(name)
    for label in labels:
        with suppress(FailedPrecondition, NotFound):
            await context.client.delete_label(collection, label)


async def _update(context: Context, names: Sequence[str], label: str) -> None:
    for start in range(0, len(names), _MAX_NAMES):
        await context.client.update_examples(_collection(context), names[start : start + _MAX_NAMES], label=label)


async def _read_original(context: Context, name: str) -> bytes | str | None:
    try:
        return (await context.session.content.load(name, 0)).content
    except FailedPrecondition:  # originals of this collection may not be read
        return None


def _collection(context: Context) -> Collection:
    assert context.collection  # noqa: S101  (the frame shows the page for a collection alone)
    return context.collection
