"""Sorts pictures that arrive in a folder into one subfolder per label, with the asyncio client.

    python sort_inbox.py INBOX SORTED COLLECTION [--once]

Each picture moves to SORTED/LABEL, or to SORTED/unknown where the server does not answer MATCH. Many pictures are on
their way at once; `stream_classify` keeps their order and holds a fast reader back. A picture that the server cannot
read is reported and moves to SORTED/unreadable.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from glimpse.client import AsyncClient, Decision, Input

POLL_SECONDS = 0.5


async def arriving(inbox: Path, once: bool) -> AsyncIterator[Input]:
    """Yields each new picture in `inbox` once; ends after the first look if `once`."""
    seen = set[Path]()
    while True:
        for path in sorted(set(await asyncio.to_thread(lambda: [*inbox.iterdir()])) - seen):
            seen.add(path)
            yield Input(path, id=path.name)
        if once:
            return
        await asyncio.sleep(POLL_SECONDS)


async def sort(inbox: Path, sorted_folder: Path, collection: str, once: bool) -> None:
    """Moves pictures until cancelled, or until the inbox is empty if `once`."""
    async with AsyncClient() as client:
        async for result in client.stream_classify(collection, arriving(inbox, once)):
            if not result.ok:
                print(f"{result.id}: {result.error}")
                target = "unreadable"
            else:
                answer = result.unwrap()
                target = answer.label if answer.decision is Decision.MATCH else "unknown"
            folder = sorted_folder / target
            folder.mkdir(parents=True, exist_ok=True)
            (inbox / result.id).rename(folder / result.id)
            print(f"{result.id} -> {target}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inbox", type=Path)
    parser.add_argument("sorted", type=Path)
    parser.add_argument("collection")
    parser.add_argument("--once", action="store_true", help="stop when the inbox is empty")
    given = parser.parse_args()
    asyncio.run(sort(given.inbox, given.sorted, given.collection, given.once))
