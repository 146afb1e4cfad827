"""manifest.json: what a snapshot is of."""

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
    """Why a view has to be built from the ledger instead; for the log."""


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(_Told):
    """A file of vectors: of so many examples, the first's number and the last's, and the SHA-256 of all the numbers."""

    file: Annotated[str, Field(pattern=r"^vectors-[0-9]{5}\.npy$")]
    sha256: Sha256
    count: Annotated[int, Field(ge=1)]
    first: Count
    last: Count
    sequences: Sha256


class Origin(_Told):
    """Of which collection, and of which history."""

    ledger_id: str
    #: The ledger's change that the view was up to, and that one's digest. Some that came later may be in it too.
    revision: Count
    digest: str
    collection: str
    #: That of the collection: another may have its id later.
    create_time: int
    embedding_space: str
    dimension: Annotated[int, Field(ge=1)]
    #: The index that the collection stood on, and its manifest's digest; empty: none.
    index: tuple[str, str] = ("", "")

    @classmethod
    def of(cls, record: CollectionRecord, attached: AttachmentRecord | None, at: Head) -> Self:
        """What a collection is of where its ledger stands."""
        return cls(
            ledger_id=at.ledger_id,
            revision=at.revision,
            digest=at.digest,
            collection=record.id,
            create_time=record.create_time,
            embedding_space=record.embedding_space,
            dimension=record.dimension,
            index=(attached.index_id, attached.digest) if attached else ("", ""),
        )


class Manifest(_Told):
    """A whole snapshot."""

    format: Literal[1] = FORMAT
    origin: Origin
    count: Count
    #: The SHA-256 of every file but those of vectors.
    files: dict[str, Sha256]
    parts: tuple[Part, ...]
    #: Of all that stands above.
    sha256: str = ""

    def sealed(self) -> Self:
        """With its digest."""
        return self.model_copy(update={"sha256": self._digest()})

    def _digest(self) -> str:
        return hashlib.sha256(self.model_dump_json(exclude={"sha256"}).encode()).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """A snapshot's manifest. Raises UnusableSnapshot."""
    try:
        manifest = Manifest.model_validate_json((folder / NAME).read_bytes())
    except (OSError, ValidationError) as error:
        told = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise UnusableSnapshot(f"its manifest cannot be read: {told}") from error
    if manifest.sealed() != manifest:
        raise UnusableSnapshot("its manifest is not what its digest says")
    return manifest


def check_origin(manifest: Manifest, now: Origin, digest: str) -> None:
    """Whether a snapshot is of what the ledger says of a collection. Raises UnusableSnapshot.

    Args:
        manifest: the snapshot's.
        now: the collection as it is, at the ledger's head.
        digest: the ledger's of the snapshot's revision.
    """
    was = manifest.origin
    if was.ledger_id != now.ledger_id:
        raise UnusableSnapshot("it is of another ledger")
    if was.revision > now.revision:
        raise UnusableSnapshot(f"it is of revision {was.revision}, the ledger at {now.revision}: restored since?")
    if was.digest != digest:
        raise UnusableSnapshot(f"the ledger has another change as its revision {was.revision}: restored since?")
    if (was.collection, was.create_time) != (now.collection, now.create_time):
        raise UnusableSnapshot("it is of a collection that was deleted")
    if (was.embedding_space, was.dimension) != (now.embedding_space, now.dimension):
        raise UnusableSnapshot("it is of another embedding space")
    if was.index != now.index:
        raise UnusableSnapshot("the collection stands on another index now")
