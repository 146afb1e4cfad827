"""Names of the contract's enum values, as options take them and as tables and JSON show them."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import TypeVar

import typer

from glimpse.client import Head, LabelRole

E = TypeVar("E", bound=Enum)


def option_name(member: Enum) -> str:
    """Returns an enum value's name for options: `KERNEL_RIDGE` is `kernel-ridge`."""
    return member.name.lower().replace("_", "-")


# Heads that a collection can be pinned to. Heads with prompts are not among them: prompts are added automatically.
_WITH_PROMPTS = (Head.CLASS_MEAN_AND_PROMPTS, Head.LDA_AND_PROMPTS)
HEADS = {
    "ladder": Head.UNSPECIFIED,
    **{option_name(head): head for head in Head if head not in (Head.UNSPECIFIED, *_WITH_PROMPTS)},
}
ROLES = {option_name(role): role for role in LabelRole if role is not LabelRole.UNSPECIFIED}


def pinned_head_name(head: Head) -> str:
    """Returns a collection's pinned head as `--head` takes it; `ladder` if none is pinned."""
    return "ladder" if head is Head.UNSPECIFIED else option_name(head)


def head_name(head: Head) -> str | None:
    """Returns the name of the head that classified; None if there was none."""
    return None if head is Head.UNSPECIFIED else option_name(head)


def role_name(role: LabelRole) -> str:
    """Returns the name of a label's role; an unset role is `class`."""
    return option_name(LabelRole.CLASS if role is LabelRole.UNSPECIFIED else role)


def choice_parser(choices: Mapping[str, E]) -> Callable[[str], E]:
    """Returns a parser for an option that takes one of `choices`."""

    def parse(value: str) -> E:
        if value not in choices:
            raise typer.BadParameter(f"{value!r} is none of {', '.join(choices)}")
        return choices[value]

    return parse
