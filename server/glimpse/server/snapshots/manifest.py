"""manifest.json: the origin of a snapshot and the digests of its files."""

import hashlib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from glimpse.ledger import AttachmentRecord, CollectionRecord, Head

NAME = "manifest.json"
FORMAT: Literal[1] = 1

Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class UnusableSnapshot(Exception):
    """Raised with the reason, for the log, if a view must be built from the ledger instead."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(_Model):
    """A file of vectors.

    Attributes:
        file: The file's name.
        sha256: The file's digest.
        count: The number of examples.
        first: The first example's sequence number.
        last: The last example's sequence number.
        sequences: The SHA-256 of all sequence numbers.
    """

    file: Annotated[str, Field(pattern=r"^vectors-[0-9]{5}\.npy$")]
    sha256: Sha256
    count: Annotated[int, Field(ge=1)]
    first: Count
    last: Count
    sequences: Sha256


class Origin(_Model):
    """The collection and the history of a snapshot.

    Attributes:
        ledger_id: The ledger.
        revision: The ledger's revision that the view held. It may hold later changes too.
        digest: The digest of the change with that revision.
        collection: The collection's id.
        create_time: The collection's creation time, because another collection may have its id later.
        embedding_space: The collection's embedding space.
        dimension: The dimension of its vectors.
        index: The attached index's id and the digest of its manifest; empty: no index.
    """

    ledger_id: str
    revision: Count
    digest: str
    collection: str
    create_time: int
    embedding_space: str
    dimension: Annotated[int, Field(ge=1)]
    index: tuple[str, str] = ("", "")

    @classmethod
    def of(cls, record: CollectionRecord, attachment: AttachmentRecord | None, head: Head) -> Self:
        """Returns the origin of a snapshot of this collection at this head of the ledger."""
        return cls(
            ledger_id=head.ledger_id,
            revision=head.revision,
            digest=head.digest,
            collection=record.id,
            create_time=record.create_time,
            embedding_space=record.embedding_space,
            dimension=record.dimension,
            index=(attachment.index_id, attachment.digest) if attachment else ("", ""),
        )


class Manifest(_Model):
    """A snapshot.

    Attributes:
        format: The version of the format.
        origin: The collection and the history.
        count: The number of examples.
        files: The SHA-256 of every file except those of vectors.
        parts: The files of vectors, in order.
        sha256: The SHA-256 of all fields above.
    """

    format: Literal[1] = FORMAT
    origin: Origin
    count: Count
    files: dict[str, Sha256]
    parts: tuple[Part, ...]
    sha256: str = ""

    def with_digest(self) -> Self:
        """Returns a copy whose `sha256` is set."""
        return self.model_copy(update={"sha256": self._digest()})

    def _digest(self) -> str:
        return hashlib.sha256(self.model_dump_json(exclude={"sha256"}).encode()).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Reads the manifest of the snapshot in `folder`. Raises UnusableSnapshot."""
    try:
        manifest = Manifest.model_validate_json((folder / NAME).read_bytes())
    except (OSError, ValidationError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise UnusableSnapshot(f"cannot read its manifest: {reason}") from error
    if manifest.with_digest() != manifest:
        raise UnusableSnapshot("its manifest does not match its digest")
    return manifest


def check_origin(manifest: Manifest, current: Origin, digest: str) -> None:
    """Checks that a snapshot belongs to a collection and to the ledger's history.

    Args:
        manifest: The snapshot's manifest.
        current: The origin that a snapshot would have now.
        digest: The digest that the ledger has for the snapshot's revision.

    Raises:
        UnusableSnapshot: It does not.
    """
    origin = manifest.origin
    if origin.ledger_id != current.ledger_id:
        raise UnusableSnapshot("it belongs to another ledger")
    if origin.revision > current.revision:
        message = f"its revision is {origin.revision}, the ledger's only {current.revision}: was the ledger restored?"
        raise UnusableSnapshot(message)
    if origin.digest != digest:
        raise UnusableSnapshot(f"the ledger's change {origin.revision} differs: was the ledger restored?")
    if (origin.collection, origin.create_time) != (current.collection, current.create_time):
        raise UnusableSnapshot("its collection was deleted")
    if (origin.embedding_space, origin.dimension) != (current.embedding_space, current.dimension):
        raise UnusableSnapshot("it has another embedding space")
    if origin.index != current.index:
        raise UnusableSnapshot("the collection has another index now")
