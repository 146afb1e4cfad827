"""Prompts for labels: the sentences that a text encoder compares with an input."""

from collections.abc import Sequence


def with_templates(texts: Sequence[str], templates: Sequence[str]) -> list[str]:
    """Returns each text in every template, {} replaced by the text; without templates, the texts themselves."""
    return [template.replace("{}", text) for text in texts for template in templates or ("{}",)]


def name_as_prompt(label_id: str, display_name: str = "") -> str:
    """Returns a label's name as a person would write it: its display name, or its id with spaces for `_` and `-`."""
    spaced = " ".join(label_id.replace("_", " ").replace("-", " ").split())
    return display_name.strip() or spaced or label_id
