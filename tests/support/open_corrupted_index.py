"""Opens an index folder with corrupted files repeatedly, as a server does. It runs as a process that may crash.

    python -m support.open_corrupted_index FOLDER FILE FIRST COUNT

Prints the number of each change before it is tried, so that the waiting process knows the last one.
"""

import random
import resource
import shutil
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np

from glimpse.index import IndexFolderError
from glimpse.index.integrity.sandbox import look
from glimpse.index.storage.manifest import read_manifest
from glimpse.ledger import CollectionRecord
from glimpse.server.collections.index_directory import IndexDirectory
from glimpse.server.collections.messages import example_message
from glimpse.server.errors import RequestError

# The index has some hundred rows: code that takes more memory trusted a corrupted number.
_MOST_BYTES = 3 << 30
_NUMBERS = (0, 1, 31, 255, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 62) + 1, (1 << 64) - 1)


def changed(content: bytes, seed: int) -> bytes:
    """Changes some bytes, a number or the length, mostly near the start and the end, where headers are."""
    chosen, made = random.Random(seed), bytearray(content)
    for _ in range(chosen.choice((1, 1, 1, 2, 4))):
        near = chosen.choice((64, 256, 4096, len(made)))
        place = chosen.randrange(min(near, len(made)))
        place = len(made) - 1 - place if chosen.random() < 0.3 else place
        kind = chosen.randrange(5)
        if kind == 0:
            made[place] = chosen.randrange(256)
        elif kind == 1:
            made[place] ^= 1 << chosen.randrange(8)
        elif kind == 2:
            made[place] = chosen.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif kind == 3:
            form, mask = chosen.choice((("<I", (1 << 32) - 1), ("<Q", (1 << 64) - 1)))
            number = struct.pack(form, chosen.choice(_NUMBERS) & mask)
            made[place : place + len(number)] = number[: len(made) - place]
        elif chosen.random() < 0.1:
            del made[place:]
            made = made or bytearray(b"\0")
    return bytes(made)


def use(indexes: IndexDirectory, record: CollectionRecord) -> None:
    """Uses an index in every way that calls do."""
    look(indexes.folder / "it")
    attachment, _ = indexes.open(record, "it", "index")
    index = attachment.index
    random_rows = np.random.default_rng(1).normal(size=(6, record.dimension)).astype(np.float32)
    queries = np.concatenate([random_rows, index.vectors(range(min(4, len(index))))])
    some = np.arange(len(index)) % 3 > 0
    for k in (1, 10, len(index) + 5):
        for allowed in (None, some):
            cosines, rows = index.search(queries, k, allowed)
            assert np.isfinite(cosines).all(), "cosines that are no numbers"
            assert rows.min() >= -1, "rows that are not there"
            assert rows.max() < len(index), "rows that are not there"
    ids = attachment.page(-1, 10, None)
    for found in attachment.records(ids):
        example_message("c", found, record.embedding_space)
    attachment.tombstone(ids[:3])
    attachment.sums()


def main() -> None:
    """Runs the rounds."""
    folder, name, first, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_BYTES, _MOST_BYTES))
    manifest, content = read_manifest(folder), (folder / name).read_bytes()
    record = CollectionRecord(
        id="c", backbone="b", embedding_space=manifest.embedding_space, dimension=manifest.dimension
    )
    opened = 0
    with tempfile.TemporaryDirectory() as place:
        for seed in range(first, first + count):
            print(seed, flush=True)
            shutil.copytree(folder, Path(place) / "it")
            made = changed(content, seed)
            (Path(place) / "it" / name).write_bytes(made)
            if name == "index.faiss":
                text = (folder / "manifest.json").read_text()
                text = text.replace(f'"bytes": {len(content)}', f'"bytes": {len(made)}')
                (Path(place) / "it" / "manifest.json").write_text(text)
            try:
                use(IndexDirectory(Path(place)), record)
                opened += 1
            except IndexFolderError:
                pass
            except RequestError as error:
                if error.reason not in ("INDEX_UNUSABLE", "EMBEDDING_SPACE_MISMATCH"):
                    raise
            shutil.rmtree(Path(place) / "it")
    print("opened", opened)


if __name__ == "__main__":
    main()
