"""Reads a folder, table or text file, and embeds its inputs by a bundle on this machine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from glimpse.backbone import Bundle, BundleError, Embedder, ImageLimits, Kind
from glimpse.backbone.background import background_vectors, background_words
from glimpse.cli.common.errors import CliError
from glimpse.cli.common.input_reader import Source, TableOptions
from glimpse.cli.common.inputs import read_labelled_sources, read_sources
from glimpse.cli.common.progress import progress
from glimpse.cli.discover.items import Items, Vocabulary, chosen_rows
from glimpse.cli.pull.backbones import opened_backbone
from glimpse.evaluate import EvaluationError
from glimpse.evaluate.data.dataset import Dataset
from glimpse.evaluate.data.embedding_cache import VectorStore
from glimpse.evaluate.data.encode_dataset import embed, embed_texts
from glimpse.evaluate.data.encoders import check_reads
from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.inputs import legible


@dataclass(frozen=True, slots=True)
class FolderOptions:
    """The way in which a folder or table is read and embedded.

    Attributes:
        backbone: Folder of a bundle, its name, or a source.
        labelled: Whether subfolders, or a table's column, are labels.
        table: Options of tables.
        cache: Folder of the cache of vectors.
        limits: Limits of pictures.
    """

    backbone: str
    labelled: bool
    table: TableOptions
    cache: Path
    limits: ImageLimits


def read_inputs(path: Path, options: FolderOptions) -> Items:
    """Reads and embeds inputs. One that was embedded before, by this command or an evaluation, is not embedded again.

    Raises:
        CliError: There is nothing to read, no label, or the backbone cannot read it.
    """
    bundle = opened_backbone(options.backbone)
    sources, total = _sources(path, options)
    failures = [(source.name, source.failure.message) for source in sources if source.failure]
    good = [source for source in sources if not source.failure]
    kind: Kind = "text" if isinstance(good[0].content, str) else "image"
    if any(isinstance(source.content, bytes) for source in good):
        step = f"build an index first: glimpse index build {path} --out INDEX; then: glimpse discover INDEX"
        raise CliError(f"{path} contains the bytes of pictures", step)
    try:
        check_reads(bundle, kind)
        encoder = TextsAndPictures(bundle, options.cache, options.limits)
        dataset = Dataset.of(path, kind, [str(source.content) for source in good], [""] * len(good))
        vectors, reasons = encoder.embed(dataset)
    except EvaluationError as error:
        raise CliError(str(error), error.next_step) from error
    failures += [(good[place].name, reason) for place, reason in sorted(reasons.items())]
    kept = [source for place, source in enumerate(good) if place not in reasons]
    if not kept:
        raise CliError(f"none of the {total:,} inputs can be read; {failures[0][0]}: {failures[0][1]}")
    return Items(
        legible(str(path)),
        "pictures" if kind == "image" else "texts",
        [source.name for source in kept],
        vectors,
        [source.label if options.labelled else "" for source in kept],
        [source.group if options.labelled else "" for source in kept],
        total,
        [_file(source, path.is_dir()) for source in kept],
        failures,
        embed_texts=encoder.embed_texts if bundle.manifest.text else None,
        words=partial(own_words, bundle, encoder.embed_texts),
    )


def _sources(path: Path, options: FolderOptions) -> tuple[list[Source], int]:
    """Returns the inputs that are looked at, and the number of all. Raises CliError."""
    if options.labelled and path.is_dir():
        sources = read_labelled_sources([path], None, "", options.table)
    else:
        sources = read_sources([path], None, options.table)
    chosen = set(chosen_rows(len(sources)).tolist())
    kept = [source for place, source in enumerate(sources) if place in chosen]
    if options.labelled and not any(source.label for source in kept):
        raise CliError(f"{path} has no labels", "leave out --labels, or name the column with --label-column")
    if all(source.failure for source in kept):
        raise CliError(f"none of the {len(kept):,} inputs can be read")
    return kept, len(sources)


def _file(source: Source, in_folder: bool) -> Path | None:
    """Returns the input's own file; None for a text in a row or a line."""
    if isinstance(source.content, Path):
        return source.content
    return Path(source.name) if in_folder else None


class TextsAndPictures:
    """Embeds inputs by a bundle, through the cache of vectors."""

    def __init__(self, bundle: Bundle, cache: Path, limits: ImageLimits) -> None:
        """Opens the bundle's graphs and the cache. Raises CliError."""
        manifest = bundle.manifest
        try:
            self._embedder = Embedder(bundle, limits=limits)
            self._store = VectorStore(cache, manifest.embedding_space, manifest.dimension)
        except BundleError as error:
            raise CliError(str(error)) from error
        except OSError as error:
            message = f"the cache of vectors {cache} cannot be used: {error.strerror or error}"
            raise CliError(message, "name another folder with --cache") from error

    def embed(self, dataset: Dataset) -> tuple[Array, dict[int, str]]:
        """Returns the vectors of the inputs that can be read, `(n, d)`, and why others cannot, by position."""
        with progress("embedding", len(dataset)) as advance:
            embedded = embed(self._embedder, self._store, dataset, advance)
        return np.asarray(self._store.vectors()[embedded.rows[embedded.rows >= 0]]), embedded.failures

    def embed_texts(self, texts: Sequence[str]) -> Array:
        """Returns the vectors of texts, `(n, d)`. Raises CliError."""
        try:
            return np.asarray(embed_texts(self._embedder, self._store, texts))
        except EvaluationError as error:
            raise CliError(str(error), error.next_step) from error


def own_words(bundle: Bundle, embed_words: Callable[[Sequence[str]], Array]) -> Vocabulary | None:
    """Returns the bundle's background vocabulary; None if its texts are not known or the bundle reads no text.

    Args:
        bundle: The bundle.
        embed_words: Embeds the packaged words by it, which bundles of format 1 need.
    """
    if bundle.manifest.text is None:
        return None
    texts, vectors = background_words(), background_vectors(bundle)
    if vectors is None and bundle.manifest.format_version == 1:
        vectors = embed_words(texts)
    return Vocabulary(texts, vectors) if vectors is not None and len(vectors) == len(texts) else None
