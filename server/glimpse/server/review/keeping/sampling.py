"""The sample of a collection's queries, from which rates on real traffic are estimated.

A query is admitted with a rate that depends on its decision alone, and then has a random key. The rows with the least
keys stay, whatever their decision. So a row stands for 1/rate queries as long as it lives: no eviction, expiry or
second server changes its weight, and the weighted shares of the decisions stay unbiased.

Keys fall with time, as in sampling with forward decay (Cormode, Shkapenyuk, Srivastava, Xu 2009): ln(u) - t ln(2)/7 for
u uniform in (0, 1) and t in days. A query of last week stays half as likely as one of today. Decay is the reason why a
full sample still takes new queries, and why it needs no window.
"""

import math
import random

from glimpse.ledger.review.records import MAX_SAMPLES
from glimpse.server.review.keeping.kept_query import CollectionKey
from glimpse.v1 import classification_service_pb2 as pb

# Sure answers are the most queries, and teach the least.
_RATES: dict[int, float] = {pb.DECISION_MATCH: 0.25}
_HALF_LIFE_DAYS, _DAY = 7.0, 86_400_000_000


class Sampling:
    """Draws keys, and knows from which key on a collection's sample has no room. In the event loop's thread only."""

    def __init__(self) -> None:
        self._greatest: dict[CollectionKey, float] = {}

    def draw(self, collection: CollectionKey, decision: int, time: int) -> tuple[float | None, float]:
        """Draws the key of a query.

        Args:
            collection: The collection.
            decision: Number of the contract's enum.
            time: Microseconds since the epoch.

        Returns:
            The key, None if the query is not sampled, and the weight: how many queries it stands for.
        """
        rate = _RATES.get(decision, 1.0)
        if random.random() >= rate:
            return None, 1 / rate
        key = math.log(1.0 - random.random()) - time / _DAY * math.log(2) / _HALF_LIFE_DAYS
        return (key if key < self._greatest.get(collection, math.inf) else None), 1 / rate

    def forget(self, collection_id: str) -> None:
        """Forgets the sample of a collection, which has room again."""
        self._greatest = {key: greatest for key, greatest in self._greatest.items() if key[0] != collection_id}

    def set_keys(self, collection: CollectionKey, keys: list[float]) -> None:
        """Sets the keys of the stored sample, in any order. If it is full, queries with greater keys have no room."""
        if len(keys) < MAX_SAMPLES:
            self._greatest.pop(collection, None)
        else:
            self._greatest[collection] = sorted(keys)[MAX_SAMPLES - 1]
