"""The fields of a collection as the command prints it."""

from dataclasses import asdict
from typing import Any

from glimpse.cli.common.enum_names import pinned_head_name
from glimpse.client import Collection, LabelMode

#: The fields of a record, in order.
FIELDS = (
    *("id", "display_name", "backbone", "embedding_space", "match_threshold", "match_margin", "min_space_cosine"),
    *("false_reject_rate", "false_accept_rate", "coverage", "mistake_costs", "names_as_prompts", "keep_inputs"),
    *("multi_label", "head", "review_policy", "content_readable", "adapt_to_unlabeled"),
    *("labels", "examples", "index", "revision", "create_time", "update_time"),
)


def record(collection: Collection) -> dict[str, Any]:
    """Returns a collection's fields for printing."""
    return {
        "id": collection.id,
        "display_name": collection.display_name,
        "backbone": collection.backbone.rpartition("/")[2],
        "embedding_space": collection.embedding_space,
        "match_threshold": collection.policy.match_threshold,
        "match_margin": collection.policy.match_margin,
        "min_space_cosine": collection.embedding_space_policy.min_space_cosine,
        "false_reject_rate": collection.policy.false_reject_rate,
        "false_accept_rate": collection.policy.false_accept_rate,
        "coverage": collection.policy.coverage,
        "mistake_costs": [asdict(each) for each in collection.policy.mistake_costs or ()] or None,
        "names_as_prompts": collection.names_as_prompts,
        "keep_inputs": collection.keep_inputs,
        "multi_label": collection.label_mode is LabelMode.INDEPENDENT,
        "head": pinned_head_name(collection.pinned_head),
        "review_policy": collection.review_policy and asdict(collection.review_policy),
        "content_readable": collection.content_readable,
        "adapt_to_unlabeled": collection.adapt_to_unlabeled,
        "labels": collection.label_count,
        "examples": collection.example_count,
        "index": collection.index and collection.index.id,
        "revision": collection.revision,
        "create_time": collection.create_time.isoformat(timespec="seconds"),
        "update_time": collection.update_time.isoformat(timespec="seconds"),
    }
