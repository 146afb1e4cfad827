"""Choices of what to call a group, and results in words."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from glimpse.client import Label, LabelRole, ReviewGroup, ReviewItemResult, ReviewResolution
from glimpse.console.components import counted, percent

DIGITS = 9
MAX_WORDS = 1_000
_ITEM = ("query", "queries")
_NO_CLASS = (LabelRole.NEGATIVE, LabelRole.UNLABELED)

NameOf = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Choice:
    """A name for items: a label, none of the labels, or nothing.

    Attributes:
        label: Id of a label, which may be new. Empty: one of the others.
        negative: They are none of the labels.
        skip: They are taken from the queue, and not enrolled.
    """

    label: str = ""
    negative: bool = False
    skip: bool = False


def digit_labels(labels: Iterable[Label], likely: Sequence[str], recent: Sequence[str]) -> list[str]:
    """Returns the ids of the labels that the digits 1 to 9 stand for.

    Up to nine labels keep their digits. Of more labels, those that are likely for the group come first, then those that
    were used last, then those with most examples.

    Args:
        labels: The labels of the collection.
        likely: Ids of labels that fit the group, best first.
        recent: Ids of labels that were used, the last one first.
    """
    classes = {label.id: label for label in labels if label.role not in _NO_CLASS}
    if len(classes) <= DIGITS:  # a new label is the last one, so that the digits of the others stay
        return sorted(classes, key=lambda name: (classes[name].create_time, name))
    known = [name for name in (*likely, *recent) if name in classes]
    largest = sorted(classes, key=lambda name: (-classes[name].example_count, name))
    return list(dict.fromkeys([*known, *largest]))[:DIGITS]


def likely_labels(proposed: str, answers: Iterable[str]) -> list[str]:
    """Returns the ids of labels that fit a group, best first.

    Args:
        proposed: Id of the label that the server proposes. Empty: none.
        answers: Ids of the labels that its queries got. Empty ones do not count.
    """
    ranked = [name for name, _ in Counter(filter(None, answers)).most_common()]
    return list(dict.fromkeys([*filter(None, [proposed]), *ranked]))


def split_words(text: str) -> list[str]:
    """Returns the lines of a text, each once, without empty ones."""
    return list(dict.fromkeys(filter(None, map(str.strip, text.splitlines()))))


def describe_group(group: ReviewGroup) -> str:
    """Returns how large a group is, and how much alike its members are."""
    alike = "1 query, like no other" if group.size == 1 else f"{group.size:,} queries that are alike"
    sent = f", sent {group.query_count:,} times" if group.query_count > group.size else ""
    unnamed = group.size - len(group.items)
    rest = f"; the first {len(group.items):,} are named at once" if unnamed > 0 else ""
    return f"{alike}{sent}{rest}."


def describe_change(group: ReviewGroup | None) -> tuple[str, list[str]]:
    """Returns what to say when a group has other members than people looked at."""
    if group is None:
        return "Somebody else has finished this group.", ["Nothing was named twice."]
    now = counted(group.size, *_ITEM)
    text = f"Somebody else worked on this group. It has {now} now, and none of them was named."
    return text, ["It is back in the list, before the group that is shown: look at it again."]


def describe_choice(choice: Choice, count: int, name_of: NameOf) -> str:
    """Returns what was done: `3 queries are star now.`"""
    items, verb = counted(count, *_ITEM), "is" if count == 1 else "are"
    if choice.skip:
        return f"{items} skipped."
    if choice.negative:
        return f"{items} {verb} none of the labels."
    return f"{items} {verb} {name_of(choice.label)} now."


def describe_result(choice: Choice, resolution: ReviewResolution, name_of: NameOf) -> tuple[str, list[str]]:
    """Returns what was done, and lines with the figures before and after, and with what was not done."""
    count = len(resolution.results) - len(resolution.failed)
    text = describe_choice(choice, count, name_of) if count else "Nothing was left to name."
    effect = describe_effect(resolution)
    return text, [*([effect] if effect else []), *describe_failures(resolution.failed, name_of)]


def describe_effect(resolution: ReviewResolution) -> str:
    """Returns the figures before and after. Empty: they were not measured."""
    rates = (
        ("Accuracy", resolution.accuracy_before, resolution.accuracy_after),
        ("Unknown queries", resolution.unknown_rate_before, resolution.unknown_rate_after),
    )
    return " · ".join(f"{name} {percent(old)} → {percent(new)}" for name, old, new in rates if new is not None)


def describe_failures(failed: Iterable[ReviewItemResult], name_of: NameOf) -> list[str]:
    """Returns why items were not resolved: one line for each reason, with the number of items."""
    counts = Counter(_reason(result, name_of) for result in failed)
    return [f"{reason}: {counted(count, *_ITEM)}." for reason, count in counts.items()]


def _reason(result: ReviewItemResult, name_of: NameOf) -> str:
    assert result.error is not None  # noqa: S101  (the caller passes results that failed)
    match result.error.reason:
        case "ALREADY_RESOLVED":
            who = result.resolved_by or "somebody without a key"
            if result.resolved_label:
                return f"Already resolved by {who} as {name_of(result.resolved_label)}"
            return f"Already skipped by {who}"
        case "REVIEW_ITEM_NOT_FOUND":
            return "Gone, expired or deleted"
        case "REVIEW_ITEM_OF_OTHER_SPACE":
            return "Of another embedding space, so only to be skipped"
    return f"Not resolved, {result.error.message}"
