"""A label as `glimpse labels` prints it."""

from dataclasses import asdict
from typing import Any

from glimpse.cli.common.enum_names import role_name
from glimpse.client import Label, LabelPolicy

#: The fields of a record, in order.
FIELDS = (
    "id",
    "display_name",
    "prompts",
    "role",
    "examples",
    "parent",
    "aliases",
    "match_threshold",
    "false_reject_rate",
    "min_examples",
    "parts",
    "not_parts",
    "create_time",
    "update_time",
)


def label_record(label: Label) -> dict[str, Any]:
    """Returns the fields of a label."""
    return {
        "id": label.id,
        "display_name": label.display_name,
        "prompts": list(label.prompts),
        "role": role_name(label.role),
        "examples": label.example_count,
        "parent": label.parent,
        "aliases": list(label.aliases),
        **asdict(label.policy or LabelPolicy()),
        "parts": list(label.composition.labels) if label.composition else [],
        "not_parts": list(label.composition.not_labels) if label.composition else [],
        "create_time": label.create_time.isoformat(timespec="seconds"),
        "update_time": label.update_time.isoformat(timespec="seconds"),
    }
