"""Reads vectors that are stored already: those of an index folder, and of a collection on a server."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from glimpse.backbone import MINI, ImageLimits
from glimpse.cli.common.errors import CliError, missing_module
from glimpse.cli.common.progress import progress, spinner
from glimpse.cli.common.session import connected
from glimpse.cli.discover.folder import TextsAndPictures, own_words
from glimpse.cli.discover.items import EmbedTexts, Items, Words, chosen_rows, no_words
from glimpse.cli.pull.backbones import opened_backbone
from glimpse.client import Client, Collection, Example, LabelRole, Text
from glimpse.fewshot import normalize
from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.index import IndexFolderError, Manifest
from glimpse.index.storage.manifest import MANIFEST_NAME, VECTORS_FOLDER
from glimpse.inputs import TEXTS, legible, picture_suffixes

# Examples of one call: vectors of 4,096 numbers stay within half of the message limit.
_PAGE = 500


def is_index(folder: Path) -> bool:
    """Returns whether a folder is an index: it has a manifest, and a folder of vectors."""
    return (folder / MANIFEST_NAME).is_file() and (folder / VECTORS_FOLDER).is_dir()


def read_index(folder: Path, backbone: str | None, vectors_cache: Path) -> Items:
    """Reads an index folder.

    Args:
        folder: The index.
        backbone: The bundle that it was built with, which embeds names; None for glimpse-mini, if it was that one.
        vectors_cache: Folder of the cache of vectors.

    Raises:
        CliError: The folder is not a valid index, has no rows, or was built with another backbone.
    """
    try:
        from glimpse.index import BulkIndex
    except ModuleNotFoundError as error:
        raise missing_module(error, "index") from error
    try:
        index = BulkIndex.open(folder, gpu=False)
        if not len(index):
            raise CliError(f"{folder} has no rows")
        rows = chosen_rows(len(index))
        mask = np.zeros(len(index), bool)
        mask[rows] = True
        with spinner(f"reading {folder}"):
            vectors, groups = index.vectors(rows), dict(index.groups())
            sources = [str(one) for table in index.tables(mask) for one in table.column("source").to_pylist()]
    except IndexFolderError as error:
        raise CliError(str(error), error.next_step) from error
    embed_words, words = _text_tower(index.manifest, backbone, vectors_cache)
    numbers = rows.tolist()
    return Items(
        legible(str(folder)),
        "rows",
        sources,
        vectors,
        [index.label(row) or "" for row in numbers],
        [groups.get(row, "") for row in numbers],
        len(index),
        list(map(_file, sources)),
        embed_texts=embed_words,
        words=words,
    )


def _file(source: str) -> Path | None:
    """Returns the picture or text file of a row. An index may name any file; others are not read or copied."""
    path = Path(source)
    return path if path.suffix.lower() in (*picture_suffixes(), *TEXTS) else None


def _text_tower(manifest: Manifest, backbone: str | None, vectors_cache: Path) -> tuple[EmbedTexts | None, Words]:
    """Returns what embeds texts into an index's space, and the vocabulary of that backbone. Raises CliError."""
    try:
        bundle = opened_backbone(backbone or MINI)
    except CliError:
        if backbone:
            raise
        return None, no_words
    if bundle.manifest.embedding_space != manifest.embedding_space:
        if backbone:
            message = f"the index was built with {manifest.backbone!r}, and {backbone} has another embedding space"
            raise CliError(message, "name the bundle of the index with --backbone")
        return None, no_words
    if bundle.manifest.text is None:
        return None, no_words

    def embed_words(texts: Sequence[str]) -> Array:
        return TextsAndPictures(bundle, vectors_cache, ImageLimits()).embed_texts(texts)

    return embed_words, partial(own_words, bundle, embed_words)


def read_collection(name: str, server: str | None) -> Items:
    """Reads the examples of a collection from a server, rows of its index included.

    Args:
        name: The collection's id or full name.
        server: The server's address; None for the client's default.

    Raises:
        CliError: No server answers, or the collection has no examples.
        GlimpseError: A call failed.
    """
    with connected(server) as client:
        collection = client.get_collection(name)
        roles = {label.id: label.role for label in client.list_labels(collection, page_size=_PAGE)}
        examples = _examples(client, collection)
    if not examples:
        raise CliError(f"the collection {collection.id} has no examples", "enroll some, or discover a folder")
    unlabeled = {label for label, role in roles.items() if role is LabelRole.UNLABELED}

    def embed_words(texts: Sequence[str]) -> Array:
        with connected(server) as client:
            results = client.stream_embed((Text(text) for text in texts), backbone=collection.backbone)
            return np.stack([result.unwrap().values for result in results])

    return Items(
        collection.name,
        "examples",
        [example.id for example in examples],
        normalize(np.stack([example.vector.values for example in examples if example.vector])),
        ["" if example.label in unlabeled else example.label for example in examples],
        [example.group for example in examples],
        collection.example_count,
        [None] * len(examples),
        negative=frozenset(label for label, role in roles.items() if role is LabelRole.NEGATIVE),
        embed_texts=embed_words,
    )


def _examples(client: Client, collection: Collection) -> list[Example]:
    """Returns the examples that are looked at, with their vectors."""
    chosen, kept = set(chosen_rows(collection.example_count).tolist()), list[Example]()
    listed = client.list_examples(collection, include_vector=True, page_size=_PAGE)
    with progress("reading examples", collection.example_count) as advance:
        for place, example in enumerate(listed):
            if place in chosen:
                kept.append(example)
            advance(1)
    return kept
