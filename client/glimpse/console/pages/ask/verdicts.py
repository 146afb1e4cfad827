"""Answers in words."""

from collections import Counter
from collections.abc import Callable, Sequence

from glimpse.client import Classification, Decision, Evidence, Head, Timings
from glimpse.console.components import head_name, percent

_MAX_NAMED = 4
_NOTHING = "None of these"
DECISIONS = {
    Decision.MATCH: "Match",
    Decision.UNKNOWN: "Unknown",
    Decision.AMBIGUOUS: "Ambiguous",
    Decision.UNSPECIFIED: "No decision",
}
_STAGES = {"decode": "Decode", "queue": "Wait", "encode": "Encode", "head": "Score"}


def verdict(answer: Classification, name_of: Callable[[str], str], *, independent: bool = False) -> str:
    """Returns the answer in a few words: `star`, `star or moon?`, `like none of the labels`.

    Args:
        answer: The answer.
        name_of: Returns the name of a label for people.
        independent: Whether any number of labels may hold.
    """
    if not answer.label:
        return "no label can answer"
    if answer.decision is Decision.MATCH and independent:
        return " and ".join(_named(answer, name_of, max(answer.set_size, 1)))
    if answer.decision is Decision.MATCH:
        return name_of(answer.label)
    if answer.decision is Decision.AMBIGUOUS:
        within = f"{place_in_tree(answer, name_of)}: " if _is_group(answer) else ""
        return within + " or ".join(_named(answer, name_of, max(answer.set_size, 2))) + "?"
    return "like none of the labels"


def place_in_tree(answer: Classification, name_of: Callable[[str], str]) -> str:
    """Returns the path to the subtree, `animal / bird`. Empty: no label holds all the labels left."""
    path = answer.subtree.path if answer.subtree else ""
    return " / ".join(map(name_of, path.split("/"))) if path else ""


def note_of_tree(answer: Classification, name_of: Callable[[str], str]) -> str:
    """Returns what the tree of labels says: `In the tree: animal / bird, 93 %`. Empty: the collection has no tree."""
    if answer.subtree is None:
        return ""
    if place := place_in_tree(answer, name_of):
        return f"In the tree: {place}, {percent(answer.subtree.probability)}."
    return f"In the tree: any of {answer.subtree.label_count} labels, which have no common label above them."


def reason_of_head(answer: Classification) -> str:
    """Returns which head answered, and why: `LDA answered: labels have two examples or more.` Empty: none did."""
    if answer.head is Head.UNSPECIFIED:
        return ""
    name = head_name(answer.head)
    return f"{name[:1].upper()}{name[1:]} answered: {answer.head_reason}."


def bars(answer: Classification, name_of: Callable[[str], str]) -> list[tuple[str, float]]:
    """Returns labels with probabilities; if a background competed with them, it comes last."""
    rows = [(name_of(one.label), one.probability) for one in answer.labels]
    if answer.background_probability is not None:
        rows.append((_NOTHING, answer.background_probability))
    return rows


def dissent(answer: Classification, name_of: Callable[[str], str]) -> str:
    """Returns how many views have another best label of their own, and which: `1 of 5 views dissents: moon.`"""
    others = Counter(name_of(view.label) or "none" for view in answer.views if view.label != answer.label)
    count, total = others.total(), len(answer.views)
    if not count:
        return f"All {total} views agree."
    names = ", ".join(f"{name} ({times})" if times > 1 else name for name, times in others.most_common(_MAX_NAMED))
    return f"{count} of {total} views {'dissents' if count == 1 else 'dissent'}: {names}."


def best_example(answer: Classification) -> Evidence | None:
    """Returns the example to show beside the query: of a match, the nearest of its label, or else the nearest."""
    if answer.decision is Decision.MATCH:
        own = next((one for one in answer.evidence if one.label == answer.label), None)
        if own:
            return own
    return answer.evidence[0] if answer.evidence else None


def stages(timings: Timings) -> list[tuple[str, str]]:
    """Returns the stages with their times, `0.8 ms`; those that were not needed are left out. The total is last."""
    times = [(name, getattr(timings, f"{stage}_ms")) for stage, name in _STAGES.items()]
    return [(name, f"{ms:.1f} ms") for name, ms in [*times, ("Total", timings.total_ms)] if ms]


def tally(decisions: Sequence[Decision]) -> str:
    """Returns how often each decision was made: `3 match · 1 unknown`."""
    counts = [(name.lower(), decisions.count(decision)) for decision, name in DECISIONS.items()]
    return " · ".join(f"{count:,} {name}" for name, count in counts if count)


def _is_group(answer: Classification) -> bool:
    return bool(answer.subtree and answer.subtree.path and answer.subtree.label_count > 1)


def _named(answer: Classification, name_of: Callable[[str], str], count: int) -> list[str]:
    names = [name_of(one.label) for one in answer.labels[: min(count, _MAX_NAMED)]]
    return names if count <= _MAX_NAMED else [*names, "others"]
