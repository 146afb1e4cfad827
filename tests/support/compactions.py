"""Compacts a collection's index and waits for the end."""

import time

from glimpse.v1 import collection_service_pb2 as col
from support.server import Stubs


def compact(stubs: Stubs, collection: str, *, wait_for_ready: bool = False) -> col.Compaction:
    """Starts a compaction of a collection, by its full name, and returns it when it has ended."""
    request = col.StartCompactionRequest(collection=collection)
    stubs.collections.StartCompaction(request, wait_for_ready=wait_for_ready)
    return ended(stubs, collection)


def ended(stubs: Stubs, collection: str, seconds: float = 60) -> col.Compaction:
    """Waits at most `seconds` until a collection's compaction ends, and returns it."""
    request, end = col.GetCompactionRequest(collection=collection), time.monotonic() + seconds
    while time.monotonic() < end:
        compaction: col.Compaction = stubs.collections.GetCompaction(request).compaction
        if compaction.state != col.COMPACTION_STATE_RUNNING:
            return compaction
        time.sleep(0.02)
    raise AssertionError("the compaction does not end")
