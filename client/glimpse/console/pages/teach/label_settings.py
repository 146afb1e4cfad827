"""The dialog with the settings of a label: when it may answer, the label above it, and its other ids."""

from collections.abc import Sequence
from typing import Any

from nicegui import ui

from glimpse.client import Label, LabelPolicy
from glimpse.console.components import answer_of, dialog_panel

_TEXT = "An empty field is not set: the policy of the collection decides."


async def ask_settings(label: Label) -> dict[str, Any]:
    """Asks for the settings of a label.

    Args:
        label: The label as it is.

    Returns:
        The new values of the settings that change, as `update_label` takes them.
    """
    policy = label.policy or LabelPolicy()
    with dialog_panel(f"Settings of {label.display_name or label.id}", _TEXT) as dialog:
        threshold = _number("Least cosine to its mean", policy.match_threshold, -1, 1, 0.01)
        threshold.props["hint"] = "Inputs below it are unknown."
        rate = _number("False rejects, in percent", _percent(policy.false_reject_rate), 0.01, 50, 1)
        rate.props["hint"] = "This part of its own inputs may be unknown: 5 % needs 19 examples."
        least = _number("Least examples", policy.min_examples or None, 0, 1_000_000, 1)
        least.props["hint"] = "With fewer, it is never a match."
        parent = ui.input("Label above it", value=label.parent).props("outlined maxlength=128")
        parent.props["hint"] = "The id of a more general label."
        aliases = ui.input("Other ids", value=", ".join(label.aliases)).props("outlined")
        aliases.props["hint"] = "Separated by commas."
        with ui.element("div").classes("actions end"):
            ui.button("Cancel", on_click=lambda: dialog.submit(False)).props("flat no-caps")
            ui.button("Save", on_click=lambda: dialog.submit(True)).props("unelevated no-caps")
    if not await answer_of(dialog):
        return {}
    share = None if rate.value is None else rate.value / 100
    new = {
        "policy": LabelPolicy(threshold.value, share, int(least.value or 0)),
        "parent": (parent.value or "").strip(),
        "aliases": split_ids(aliases.value or ""),
    }
    old = {"policy": policy, "parent": label.parent, "aliases": label.aliases}
    return {name: value for name, value in new.items() if value != old[name]}


def split_ids(text: str) -> Sequence[str]:
    """Returns the ids that a text has between its commas."""
    return tuple(part for part in (each.strip() for each in text.split(",")) if part)


def _number(name: str, value: float | None, low: float, high: float, step: float) -> ui.number:
    field = ui.number(name, value=value, min=low, max=high, step=step)
    field.props("outlined clearable")
    return field


def _percent(rate: float | None) -> float | None:
    return None if rate is None else round(100 * rate, 6)
