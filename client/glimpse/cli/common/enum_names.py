"""The contract's enumerations as words: what options take, and what tables and JSON show."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import TypeVar

import typer

from glimpse.client import Head, LabelRole

E = TypeVar("E", bound=Enum)


def word(member: Enum) -> str:
    """`KERNEL_RIDGE` as `kernel-ridge`."""
    return member.name.lower().replace("_", "-")


# What a collection can be pinned to; unpinned, the ladder chooses. Prompts join a head by themselves.
_JOINED = (Head.CLASS_MEAN_AND_PROMPTS, Head.LDA_AND_PROMPTS)
HEADS = {
    "ladder": Head.UNSPECIFIED,
    **{word(one): one for one in Head if one not in (Head.UNSPECIFIED, *_JOINED)},
}
ROLES = {word(one): one for one in LabelRole if one is not LabelRole.UNSPECIFIED}


def pinned_head_name(head: Head) -> str:
    """A pinned head as `--head` takes it."""
    return "ladder" if head is Head.UNSPECIFIED else word(head)


def head_name(head: Head) -> str | None:
    """The head that answered; None: none did."""
    return None if head is Head.UNSPECIFIED else word(head)


def role_name(role: LabelRole) -> str:
    """A label's role; nobody set one: a class."""
    return word(LabelRole.CLASS if role is LabelRole.UNSPECIFIED else role)


def choice_parser(words: Mapping[str, E]) -> Callable[[str], E]:
    """An option's parser."""

    def parse(given: str) -> E:
        if given not in words:
            raise typer.BadParameter(f"{given!r} is none of {', '.join(words)}")
        return words[given]

    return parse
