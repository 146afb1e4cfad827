"""Maps that were made, by the revision of their collection."""

from collections import OrderedDict
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from glimpse.client import Collection
from glimpse.console.maps.layout import Layout, Method
from glimpse.console.session import Session

_MAX_MAPS = 4


@dataclass(frozen=True, slots=True)
class Key:
    """The source and the method of a map.

    Attributes:
        collection: Full name of the collection.
        embedding_space: Embedding space of its vectors.
        revision: Revision of the last change to the collection.
        method: How coordinates were made.
    """

    collection: str
    embedding_space: str
    revision: int
    method: Method

    @classmethod
    def of(cls, collection: Collection, method: Method) -> "Key":
        """Returns the key of a collection as it is."""
        return cls(collection.name, collection.embedding_space, collection.revision, method)


@dataclass(frozen=True, slots=True)
class Map:
    """A map with the texts of its points.

    Attributes:
        layout: Where the points are.
        names: Full names of the examples.
        domains: Their domains.
        in_index: Whether each is a row of the attached index.
        total: Number of examples of the collection, from which the points were drawn.
    """

    layout: Layout
    names: tuple[str, ...]
    domains: tuple[str, ...]
    in_index: tuple[bool, ...]
    total: int


class MapCache:
    """The maps of one session. The one that was used longest ago goes first."""

    def __init__(self, most: int = _MAX_MAPS) -> None:
        self._most = most
        self._maps: OrderedDict[Key, Map] = OrderedDict()

    def get(self, key: Key) -> Map | None:
        """Returns a map. None: it was not made, or the collection has changed since."""
        if key in self._maps:
            self._maps.move_to_end(key)
        return self._maps.get(key)

    def put(self, key: Key, made: Map) -> None:
        """Keeps a map. Older revisions of the same collection are forgotten."""
        for old in [one for one in self._maps if one.collection == key.collection and one.revision < key.revision]:
            del self._maps[old]
        self._maps[key] = made
        while len(self._maps) > self._most:
            self._maps.popitem(last=False)


# A map shows what the key of one session may read, so sessions do not share them.
_CACHES: "WeakKeyDictionary[Session, MapCache]" = WeakKeyDictionary()


def cache_of(session: Session) -> MapCache:
    """Returns the maps of a session. They go with it."""
    return _CACHES.setdefault(session, MapCache())
