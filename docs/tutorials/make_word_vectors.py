"""Makes the word vectors of the tutorial on tickets: `python docs/tutorials/make_word_vectors.py OUT TABLE ...`.

The vector of a word is the sum of random directions, one for each of its runs of three and four letters. So words that
share letters are near each other ("refund", "refunded"), and no meaning is known beyond that. A sentence encoder knows
far more; this one needs no download.
"""

import csv
import hashlib
import re
import sys
from pathlib import Path

import numpy as np

DIMENSION = 256


def main(out: Path, *tables: Path) -> None:
    """Writes a word2vec text file of the words in the column `text` of the tables, the commonest first."""
    counts: dict[str, int] = {}
    for table in tables:
        with table.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                for word in re.findall(r"\w+", row["text"].lower()):
                    counts[word] = counts.get(word, 0) + 1
    words = sorted(counts, key=lambda word: (-counts[word], word))
    lines = [f"{len(words)} {DIMENSION}"]
    for word in words:
        # Common words say little about a ticket: they weigh less, as in TF-IDF.
        vector = _vector(word) / counts[word] ** 0.5
        lines.append(" ".join([word, *(f"{value:.3f}" for value in vector)]))
    out.write_text("\n".join(lines) + "\n", "utf-8")


def _vector(word: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    padded = f"<{word}>"
    runs = {padded} | {padded[at : at + size] for size in (3, 4) for at in range(len(padded) - size + 1)}
    directions = [np.random.default_rng(_seed(run)).standard_normal(DIMENSION) for run in sorted(runs)]
    return np.asarray(np.sum(directions, axis=0) / len(directions) ** 0.5, np.float32)


def _seed(run: str) -> int:
    return int.from_bytes(hashlib.sha256(run.encode()).digest()[:8], "little")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
