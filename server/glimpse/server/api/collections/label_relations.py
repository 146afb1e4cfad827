"""Checks of what a label says about other labels: its parent, its parts and its aliases."""

from collections.abc import Collection, Sequence
from typing import Any

from glimpse.fewshot.label_tree import MAX_LEVELS
from glimpse.ledger import LabelRecord
from glimpse.server import validation
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.learning import can_answer
from glimpse.server.errors import already_exists, failed_precondition, invalid, not_found
from glimpse.v1 import collection_service_pb2 as pb

_MAX_PARTS = 32
#: The most aliases of a label.
MAX_ALIASES = 64
_MOST_EXAMPLES = 1_000_000


def relation_fields(view: CollectionView, label: pb.Label, paths: Sequence[str]) -> dict[str, Any]:
    """Returns the fields of a request's label that `paths` name as its record has them, after a check of their form.

    Labels are named in the spelling of the ledger.

    Raises:
        RequestError: A field is malformed.
    """
    fields = dict[str, Any]()
    if "parent_label_id" in paths:
        parent = label.parent_label_id
        fields["parent_id"] = named_label(view, parent, "label.parent_label_id") if parent else ""
    if "policy" in paths:
        fields |= _policy(label.policy)
    if "composition" in paths:
        fields |= _composition(view, label.composition)
    if "aliases" in paths:
        validation.check_at_most(label.aliases, MAX_ALIASES, "label.aliases")
        ids = (validation.check_label_id(alias, f"label.aliases[{n}]") for n, alias in enumerate(label.aliases))
        fields["aliases"] = tuple(dict.fromkeys(ids))
    return fields


def check_relations(view: CollectionView, record: LabelRecord) -> None:
    """Checks a label, which the collection may not have yet, against the other labels as they are now.

    Raises:
        RequestError: A label that it names does not exist, or the labels would contradict each other.
    """
    for field, ids in _references(record).items():
        for label_id in ids:
            if label_id not in view.labels:
                message = f"collection {view.record.id!r} has no label {label_id!r}; create it first"
                raise not_found("LABEL_NOT_FOUND", message, field)
    _check_levels(view, record)
    _check_roles(view, record)
    if record.composed:
        _check_composed(view, record)
    for position, alias in enumerate(record.aliases):
        if ((other := view.find_label(alias)) and other != record.id) or alias == record.id:
            message = f"{alias!r} finds label {other or record.id!r} already"
            raise already_exists("LABEL_EXISTS", message, f"label.aliases[{position}]")


def check_unused(view: CollectionView, label_id: str, field: str, without: Collection[str] = ()) -> None:
    """Checks that no label, apart from those in `without`, has this label as its parent or part.

    Raises:
        RequestError: LABEL_IN_USE.
    """
    for other in view.labels.values():
        if other.id in without:
            continue
        if other.parent_id == label_id or label_id in (*other.parts, *other.not_parts):
            used = "the parent" if other.parent_id == label_id else "a part"
            message = f"label {label_id!r} is {used} of label {other.id!r}; change or delete that label first"
            raise failed_precondition("LABEL_IN_USE", message, field)


def _policy(policy: pb.LabelPolicy) -> dict[str, Any]:
    if has_threshold := policy.HasField("match_threshold"):
        validation.check_range(policy.match_threshold, -1, 1, "label.policy.match_threshold")
    if has_rate := policy.HasField("false_reject_rate"):
        validation.check_rate(policy.false_reject_rate, "label.policy.false_reject_rate")
    validation.check_range(policy.min_examples, 0, _MOST_EXAMPLES, "label.policy.min_examples")
    return {
        "match_threshold": policy.match_threshold if has_threshold else None,
        "false_reject_rate": policy.false_reject_rate if has_rate else None,
        "min_examples": policy.min_examples,
    }


def _composition(view: CollectionView, composition: pb.Composition) -> dict[str, Any]:
    names = [*composition.label_ids, *composition.not_label_ids]
    validation.check_at_most(names, _MAX_PARTS, "label.composition")
    parts, not_parts = (
        tuple(named_label(view, name, f"label.composition.{field}[{place}]") for place, name in enumerate(ids))
        for field, ids in (("label_ids", composition.label_ids), ("not_label_ids", composition.not_label_ids))
    )
    if len({*parts, *not_parts}) < len(names):
        raise invalid("DUPLICATE_LABEL", "a composition must name each label once", "label.composition")
    return {"parts": parts, "not_parts": not_parts}


def named_label(view: CollectionView, label_id: str, field: str) -> str:
    """Returns the id of a label in the spelling of the ledger; an unknown one in its normal form."""
    return view.find_label(label_id) or validation.check_label_id(label_id, field)


def _references(record: LabelRecord) -> dict[str, tuple[str, ...]]:
    """Returns the labels that a label names, by the field that names them."""
    parent = (record.parent_id,) if record.parent_id else ()
    return {
        "label.parent_label_id": parent,
        "label.composition.label_ids": record.parts,
        "label.composition.not_label_ids": record.not_parts,
    }


def _check_levels(view: CollectionView, record: LabelRecord) -> None:
    """Checks that the labels above a label, and the labels below it, form a tree of few enough levels."""
    above, current = 0, record.parent_id
    while current:
        above += 1
        if current == record.id or above > MAX_LEVELS:
            message = f"label {record.id!r} would be above itself in the tree of labels"
            raise invalid("LABEL_CYCLE", message, "label.parent_label_id")
        current = view.labels[current].parent_id
    if record.parent_id and above + 1 + _levels_below(view, record.id) > MAX_LEVELS:
        message = f"the tree of labels would have more than {MAX_LEVELS} levels"
        raise invalid("TOO_MANY_LEVELS", message, "label.parent_label_id")


def _check_roles(view: CollectionView, record: LabelRecord) -> None:
    """Checks that a label in the tree and its parent can both answer."""
    if record.parent_id and not (can_answer(record) and can_answer(view.labels[record.parent_id])):
        message = "only labels of classes form a tree, not negative or unlabeled ones"
        raise invalid("LABEL_ROLE", message, "label.parent_label_id")


def _levels_below(view: CollectionView, label_id: str) -> int:
    """Returns how many levels of labels are below a label."""
    below, level = -1, {label_id}
    while level:
        below += 1
        level = {label.id for label in view.labels.values() if label.parent_id in level}
    return below


def _check_composed(view: CollectionView, record: LabelRecord) -> None:
    """Checks that a label can be composed of its parts. Raises RequestError."""
    field = "label.composition"
    if not view.independent:
        message = "a composed label needs a collection of independent labels, of which several can hold"
        raise failed_precondition("LABELS_EXCLUSIVE", message, field)
    if not record.parts:
        message = "a composed label needs a label that holds: else it would hold for every input unlike the collection"
        raise invalid("EMPTY", message, f"{field}.label_ids")
    if record.role not in (pb.LABEL_ROLE_UNSPECIFIED, pb.LABEL_ROLE_CLASS):
        raise failed_precondition("COMPOSED_LABEL", "a composed label must have the role of a class", "label.role")
    if record.prompts or view.examples.count(record.id):
        raise failed_precondition("COMPOSED_LABEL", "a composed label has neither examples nor prompts", field)
    for part in (*record.parts, *record.not_parts):
        if part == record.id or view.labels[part].composed:
            raise failed_precondition("COMPOSED_LABEL", f"the part {part!r} must not be a composed label", field)
        if not can_answer(view.labels[part]):
            message = f"the part {part!r} is never an answer: its examples are negative or unlabeled"
            raise failed_precondition("COMPOSED_LABEL", message, field)
    if any(record.id in (*label.parts, *label.not_parts) for label in view.labels.values()):
        message = f"label {record.id!r} is a part of another label, so it cannot be composed itself"
        raise failed_precondition("COMPOSED_LABEL", message, field)
