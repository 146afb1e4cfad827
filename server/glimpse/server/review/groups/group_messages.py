"""Describes groups: the members that still wait, the label that fits them, and names from a vocabulary."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.review.proposal import propose_label, propose_names
from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.ledger import ReviewItem
from glimpse.server.classification.neighbors import NeighborSearch
from glimpse.server.classification.stored_vectors import predict_vectors
from glimpse.server.collections.collection import CollectionView
from glimpse.server.inference.backbones import Backbones
from glimpse.server.resource_names import review_item_name
from glimpse.server.review.groups.grouping import Group
from glimpse.v1 import review_service_pb2 as pb

# Members that say which label fits, and names of a group.
_VOTERS, _NAMES = 16, 3
# From this part of UNKNOWN members on, no label of the collection fits.
_NEW = 0.5


@dataclass(frozen=True, slots=True)
class Names:
    """A vocabulary: texts, and their vectors, `(V, d)`."""

    texts: Sequence[str]
    vectors: Array


@dataclass(frozen=True, slots=True)
class Members:
    """The members of a group that still wait, the medoid first."""

    group: Group
    items: Sequence[ReviewItem]

    @property
    def etag(self) -> str:
        """The digest of the ids."""
        return etag_of([item.id for item in self.items])

    @property
    def vectors(self) -> Array:
        """Their vectors, `(n, d)`."""
        return np.stack([np.frombuffer(item.vector, "<f4") for item in self.items])


def etag_of(item_ids: Collection[str]) -> str:
    """Returns the digest of a set of ids."""
    return hashlib.sha256("\n".join(sorted(item_ids)).encode()).hexdigest()[:32]


def waiting_members(group: Group, items: Mapping[str, ReviewItem], space: str) -> Members:
    """Returns the members of a group that still wait in an embedding space.

    Args:
        group: The group.
        items: The items of the group, as they are now.
        space: The collection's embedding space.
    """
    found = (items.get(item_id) for item_id in group.item_ids)
    return Members(
        group, [item for item in found if item and item.resolution_id is None and item.embedding_space == space]
    )


def group_message(collection_id: str, members: Members) -> pb.ReviewGroup:
    """Returns a group without proposals."""
    group, query_count = members.group, sum(item.count for item in members.items)
    gone = len(group.item_ids) - len(members.items)
    return pb.ReviewGroup(
        etag=members.etag,
        items=[review_item_name(collection_id, item.id) for item in members.items],
        size=group.size - gone,
        # The grouping also knows the queries of members that are not named.
        query_count=query_count if gone else max(group.query_count, query_count),
        spread=group.spread,
    )


async def propose(
    view: CollectionView,
    groups: Sequence[tuple[pb.ReviewGroup, Members]],
    names: Names | None,
    neighbors: NeighborSearch,
    backbones: Backbones,
    deadline: float,
) -> None:
    """Adds the labels and the names that fit to groups.

    Args:
        view: The collection.
        groups: The groups with their members, which exist.
        names: A vocabulary; None if no names are proposed.
        neighbors: Finds examples.
        backbones: The loaded backbones.
        deadline: In time.monotonic() seconds.

    Raises:
        RequestError: The names of labels were not embedded in time.
    """
    if not groups:
        return
    vectors = [members.vectors for _, members in groups]
    voters = [rows[:_VOTERS] for rows in vectors]
    predictions = iter(await predict_vectors(view, np.concatenate(voters), neighbors, backbones, deadline))
    for (message, _), rows, few in zip(groups, vectors, voters, strict=True):
        proposal = propose_label([next(predictions) for _ in few], len(view.classifier.labels))
        if proposal and proposal.unknown < _NEW:
            message.proposed_label_id, message.probability = proposal.label, proposal.probability
        if names:
            places, cosines = propose_names(rows, names.vectors, _NAMES)
            message.names.extend(
                pb.ProposedName(name=names.texts[place], cosine=cosine)
                for place, cosine in zip(places.tolist(), cosines.tolist(), strict=True)
            )
