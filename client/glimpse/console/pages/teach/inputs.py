"""Makes examples of dropped files and pasted texts."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from glimpse.client import Image, NewExample, Text
from glimpse.console.components import Upload

_TEXT_SUFFIX = ".txt"


@dataclass(frozen=True, slots=True)
class Teaching:
    """An input that is taught.

    Attributes:
        name: Path of its file. Empty: it was pasted or typed.
        label: Id of its label.
        content: Bytes of a picture, or a text.
    """

    name: str
    label: str
    content: bytes | str

    def example(self) -> NewExample:
        """Returns the example to enroll."""
        content = Text(self.content) if isinstance(self.content, str) else Image(self.content)
        return NewExample(content, self.label)


@dataclass(frozen=True, slots=True)
class Sorted:
    """Files with a label, and files without one.

    Attributes:
        taught: The inputs to enroll, in the order of the files.
        unlabelled: Paths of the files that have no label.
        unreadable: Paths of text files that are not UTF-8.
    """

    taught: tuple[Teaching, ...]
    unlabelled: tuple[str, ...]
    unreadable: tuple[str, ...]


def sort_uploads(files: Iterable[Upload], label: str) -> Sorted:
    """Gives each file its label: the one that was chosen, or else the name of the folder that the file is in.

    A file whose name ends with `.txt` is one text. Every other file is a picture.

    Args:
        files: The files.
        label: Id of the chosen label. Empty: folders are labels.
    """
    taught: list[Teaching] = []
    unlabelled: list[str] = []
    unreadable: list[str] = []
    for file in files:
        own = label or clean(file.folder)
        content = _content(file)
        if not own:
            unlabelled.append(file.path)
        elif content is None:
            unreadable.append(file.path)
        else:
            taught.append(Teaching(file.path, own, content))
    return Sorted(tuple(taught), tuple(unlabelled), tuple(unreadable))


def split_texts(text: str, label: str, *, by_line: bool) -> list[Teaching]:
    """Returns the texts of a paste.

    Args:
        text: What was typed or pasted.
        label: Id of their label.
        by_line: Whether each line is a text of its own. Lines without a word are left out.
    """
    parts: Sequence[str] = text.splitlines() if by_line else [text]
    return [Teaching("", label, part.strip()) for part in parts if part.strip()]


def clean(label: str) -> str:
    """Returns a label as the server spells it: in Unicode's form NFC, without spaces at its ends."""
    return unicodedata.normalize("NFC", label.strip())


def resolve_label(typed: str, names: Mapping[str, str]) -> str:
    """Returns the id of the label that somebody typed by its id or by its name for people.

    Args:
        typed: The text.
        names: Names for people by the ids of the labels.

    Returns:
        The id of a known label, or else the text as the id of a new one. Empty: nothing was typed.
    """
    wanted = clean(typed)
    if not wanted or wanted in names:
        return wanted
    ids = [label for label, name in names.items() if name == wanted]
    return ids[0] if len(ids) == 1 else wanted


def _content(file: Upload) -> bytes | str | None:
    if not file.name.lower().endswith(_TEXT_SUFFIX):
        return file.content
    try:
        return file.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
