"""Measures static vectors of word pieces, distilled from all-MiniLM-L6-v2: `python -m bench.static_text`.

Each word piece is embedded alone by MiniLM, and PCA keeps 128 or 256 dimensions. A piece weighs the logarithm of its
rank in the vocabulary, because common pieces come first, as in Model2Vec. Rows are stored as int8. A text is the mean
of its pieces. Beside it: MiniLM itself, and words hashed to random directions. Figures: balanced accuracy in percent,
and the part of the self-check's paraphrases whose own partner is first (the self-check requires 80 %).
"""

import re
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import tokenizers
from threadpoolctl import threadpool_limits

from bench.fewshot.draws import best_labels, draw, seeds
from bench.report import Target, page_head, write_tables
from bench.vectors import DATA, READERS, Array, Labelled, Rows, cached, embed_texts, minilm, texts
from glimpse.backbone import Encoder
from glimpse.export.foreign.probes import paraphrases
from glimpse.export.foreign.self_check import own_partner_first

Encode = Callable[[list[str]], Array]
RESULTS = Path(__file__).parent / "results" / "static_text"
SHOTS = (1, 5, 10)
_BATCH = 64
# Words and pieces in Latin letters, and single characters of Latin scripts: 27,664 of 30,522.
_KEPT = re.compile(r"(##)?([a-z0-9]+|[^\W\u0250-\U0010ffff]|[!-~])")
_WIDTH = 256


def pieces() -> tuple[tokenizers.Tokenizer, list[int]]:
    """Returns MiniLM's tokenizer, and the ids of the pieces that are kept, common ones first."""
    tokenizer = tokenizers.Tokenizer.from_file(str(minilm().path / "tokenizer.json"))
    vocabulary = tokenizer.get_vocab()
    return tokenizer, sorted(number for piece, number in vocabulary.items() if _KEPT.fullmatch(piece))


def embedded_pieces(tokenizer: tokenizers.Tokenizer, kept: list[int]) -> Array:
    """Returns MiniLM's vector of each piece, (pieces, 384)."""
    first, last = (tokenizer.token_to_id(name) for name in ("[CLS]", "[SEP]"))
    ids = np.array([[first, number, last] for number in kept])
    encoder = Encoder(minilm(), threads=2)
    parts = [ids[i : i + _BATCH] for i in range(0, len(ids), _BATCH)]
    return np.concatenate([encoder.encode_texts(part, np.ones_like(part)) for part in parts])


def static_table(vectors: Array, dimension: int) -> Array:
    """Returns the weighted rows of the pieces as int8 stores them, (pieces, dimension)."""
    centred = vectors - vectors.mean(0)
    directions = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :dimension]
    table = (centred @ directions) * np.log(2 + np.arange(len(vectors)))[:, None]
    scale = np.abs(table).max(1, keepdims=True) / 127
    return np.asarray(np.round(table / scale) * scale, np.float32)


def static_texts(tokenizer: tokenizers.Tokenizer, kept: list[int], table: Array, lines: list[str]) -> Array:
    """Returns the unit means of texts' pieces, (n, dimension)."""
    row = {number: place for place, number in enumerate(kept)}
    means = []
    for encoding in tokenizer.encode_batch(lines, add_special_tokens=False):
        rows = [
            row[number]
            for number, on in zip(encoding.ids, encoding.attention_mask, strict=True)
            if on and number in row
        ]
        means.append(table[rows].mean(0) if rows else table.mean(0))
    return unit(np.stack(means))


def hashed_texts(lines: list[str]) -> Array:
    """Returns the unit means of random directions of texts' words, (n, 256)."""
    found: dict[str, Array] = {}

    def direction(word: str) -> Array:
        if word not in found:
            found[word] = np.random.default_rng(zlib.crc32(word.encode())).normal(size=_WIDTH).astype(np.float32)
        return found[word]

    split = [re.findall(r"\w+", line.lower()) or [""] for line in lines]
    return unit(np.stack([np.mean([direction(word) for word in words], 0) for words in split]))


def unit(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def labelled(rows: Rows, encode: Encode) -> Labelled:
    """Embeds the texts of labelled rows."""
    return Labelled(encode([text for _, text in rows]), np.array([label for label, _ in rows]))


def accuracy(data: tuple[Labelled, Labelled], shots: int) -> float:
    """Returns the mean balanced accuracy of the draws, in percent."""
    known = sorted(set(data[0].labels))
    found = []
    for seed in seeds(known):
        one = draw(data, known, shots, seed)
        found.append(one.balanced(best_labels(one.ask(one.queries.vectors))))
    return float(np.mean(found))


def main() -> None:
    """Measures every encoder, and writes the tables."""
    tokenizer, kept = pieces()
    tokenizer.no_padding()
    tokenizer.no_truncation()
    vectors = cached("static-pieces", lambda: embedded_pieces(tokenizer, kept))
    tables = {f"static, {width} dimensions": static_table(vectors, width) for width in (128, _WIDTH)}
    encoders: dict[str, Encode] = {
        "hashed words": hashed_texts,
        **{name: partial(static_texts, tokenizer, kept, table) for name, table in tables.items()},
        "MiniLM": lambda lines: embed_texts(minilm(), lines),
    }
    figures: dict[str, dict[str, list[float]]] = {name: {} for name in encoders}
    with threadpool_limits(1):
        for data in READERS:
            stored, rows = texts(DATA, data), READERS[data](DATA / "text")
            for name, encode in encoders.items():
                parts = stored if name == "MiniLM" else (labelled(rows[0], encode), labelled(rows[1], encode))
                figures[name][data] = [accuracy(parts, shots) for shots in SHOTS]
                print(name, data, figures[name][data], flush=True)
    ranks = {name: own_partner_first(*(encode(side) for side in paraphrases())) for name, encode in encoders.items()}
    megabytes = {name: table.size / 1e6 for name, table in tables.items()}
    write(figures, ranks, megabytes)


def write(figures: dict[str, dict[str, list[float]]], ranks: dict[str, float], megabytes: dict[str, float]) -> None:
    """Writes the tables; the last has the part of the way from hashed words to MiniLM on banking77."""
    columns = ["encoder", "MB of vectors", *(f"{data}, {shots}" for data in READERS for shots in SHOTS), "paraphrases"]
    lines = [
        [
            name,
            f"{megabytes[name]:.1f}" if name in megabytes else "",
            *(f"{value:.1f}" for data in READERS for value in by_set[data]),
            f"{100 * ranks[name]:.0f}",
        ]
        for name, by_set in figures.items()
    ]
    targets = []
    for name in megabytes:
        least, most = (np.array(figures[one]["banking77"]) for one in ("hashed words", "MiniLM"))
        part = (np.array(figures[name]["banking77"]) - least) / (most - least)
        targets.append(Target(f"{name}: part of the gap on banking77, least", float(part.min()), ">=", 0.5))
    head = page_head("Static vectors of word pieces beside MiniLM", "bench.static_text")
    record = {"accuracy": figures, "paraphrases": ranks, "megabytes": megabytes}
    section = ("Balanced accuracy, %, by shots", columns, lines)
    write_tables(RESULTS, head, [section], ("Worth shipping", targets), record, {})


if __name__ == "__main__":
    main()
