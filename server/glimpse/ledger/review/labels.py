"""Chooses the label that review items are resolved as."""

from sqlalchemy import Connection, and_, func, select

from glimpse.ledger.database import schema
from glimpse.ledger.errors import AlreadyExists, NotFound
from glimpse.ledger.records import LabelRecord
from glimpse.ledger.review.resolution import ResolutionKind, Resolve
from glimpse.ledger.writes.enrollment import existing_labels

_labels, _examples = schema.labels.c, schema.examples.c


def choose_label(connection: Connection, resolve: Resolve) -> tuple[LabelRecord | None, bool]:
    """Returns the label of the items, and whether it has to be created; None if they are skipped.

    Raises:
        NotFound: the label does not exist.
        AlreadyExists: the new label exists.
    """
    kind, label, collection_id = resolve.kind, resolve.label, resolve.collection_id
    if kind == ResolutionKind.SKIP:
        return None, False
    if label is None:
        raise ValueError(f"a resolution of the kind {kind} needs a label")
    if kind == ResolutionKind.NEGATIVE:
        return _negative(connection, collection_id, label)
    exists = bool(existing_labels(connection, collection_id, [label.id]))
    if kind == ResolutionKind.LABEL and not exists:
        raise NotFound(f"there is no label {label.id!r}")
    if kind == ResolutionKind.NEW_LABEL and exists:
        raise AlreadyExists(f"label {label.id!r} exists in collection {collection_id!r}")
    return label, not exists


def _negative(connection: Connection, collection_id: str, new: LabelRecord) -> tuple[LabelRecord, bool]:
    """Returns the label with the role of `new` that has most examples; without one, `new` by an id that is free.

    Rows of an attached index do not count: the ledger does not know their labels.
    """
    same = and_(_examples.collection_id == _labels.collection_id, _examples.label_id == _labels.id)
    query = select(_labels.id).select_from(schema.labels.outerjoin(schema.examples, same))
    query = query.where(_labels.collection_id == collection_id, _labels.role == new.role).group_by(_labels.id)
    found = connection.scalar(query.order_by(func.count(_examples.sequence).desc(), _labels.id).limit(1))
    if found is not None:
        return LabelRecord(found), False
    ids = [new.id, *(f"{new.id}-{number}" for number in range(2, 1_000))]
    taken = existing_labels(connection, collection_id, ids)
    label_id = next(label_id for label_id in ids if label_id not in taken)
    return LabelRecord(label_id, new.display_name, new.prompts, new.prompt_vector, new.role), True
