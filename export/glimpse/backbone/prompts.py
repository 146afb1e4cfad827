"""What a text encoder is asked about a label."""

from collections.abc import Sequence


def with_templates(texts: Sequence[str], templates: Sequence[str]) -> list[str]:
    """Each text set into every template; as it is where there is none."""
    return [template.replace("{}", text) for text in texts for template in templates or ("{}",)]


def name_as_prompt(label_id: str, display_name: str = "") -> str:
    """A label's name as people would write it: the display name, or the id with `_` and `-` as spaces."""
    spaced = " ".join(label_id.replace("_", " ").replace("-", " ").split())
    return display_name.strip() or spaced or label_id
