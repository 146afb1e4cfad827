"""Embeds the same inputs by every backbone: those that all of them can read, each content once per label."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glimpse.backbone import Bundle, Embedder, ImageLimits, name_as_prompt, with_templates
from glimpse.evaluate.data.dataset import Dataset, usable_inputs
from glimpse.evaluate.data.embedding_cache import Bytes, VectorStore
from glimpse.evaluate.data.encode_dataset import Embedded, embed, embed_texts
from glimpse.evaluate.data.encoders import settings_of
from glimpse.evaluate.errors import EvaluationError
from glimpse.evaluate.trials.trial import EmbeddedDataset
from glimpse.fewshot import mean_direction
from glimpse.fewshot.statistics.unit_vectors import Array, Rows

#: Starts a progress bar from a title and a total; yields a function that advances it by a number.
ProgressFactory = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
_NAMED = 5  # the most unreadable inputs to name


@dataclass(frozen=True, slots=True)
class Effort:
    """The cost of embedding: inputs encoded, and inputs not encoded (cached, copies or unreadable)."""

    encoded: int
    cached: int
    seconds: float


@dataclass(frozen=True, slots=True)
class EmbeddedDatasets:
    """The embedded data of every backbone, and the dataset that is left to evaluate."""

    dataset: Dataset
    #: The content digest of each input of `dataset`, (N, 32).
    digests: Bytes
    #: That of each unknown input, (M, 32).
    unknown_digests: Bytes
    datasets: Mapping[str, EmbeddedDataset]
    efforts: Mapping[str, Effort]
    #: Reasons by the names of unreadable inputs.
    unreadable: Mapping[str, str]
    notes: Sequence[str]

    @property
    def unknown(self) -> int:
        """The number of unknown inputs."""
        return len(self.unknown_digests)


@dataclass(frozen=True, slots=True)
class _Embeddings:
    """The embeddings of one backbone."""

    data: Embedded
    unknown: Embedded | None
    prompts: Array | None
    vectors: Array
    digests: Bytes
    effort: Effort


def embed_datasets(
    dataset: Dataset,
    unknown: Dataset | None,
    bundles: Sequence[Bundle],
    cache: Path,
    progress: ProgressFactory,
    limits: ImageLimits | None = None,
) -> EmbeddedDatasets:
    """Embeds the inputs that are not in the cache.

    Args:
        dataset: the labelled inputs.
        unknown: inputs of no label, or None.
        bundles: the backbones.
        cache: the folder of the cache.
        watch: starts a progress bar.
        limits: limits for decoding images.

    Raises:
        EvaluationError: no input can be read.
        BundleError: a backbone cannot be loaded.
        OSError: the cache cannot be written.
    """
    embeddings = {bundle.manifest.name: _embed(bundle, dataset, unknown, cache, progress, limits) for bundle in bundles}
    unreadable = _failures(dataset, [item.data for item in embeddings.values()])
    read = np.all([item.data.rows >= 0 for item in embeddings.values()], axis=0)
    if not read.any():
        name, reason = next(iter(unreadable.items()))
        raise EvaluationError(f"none of the {len(dataset)} inputs can be read; {name}: {reason}")
    notes = _unreadable_notes(unreadable, f"inputs of {dataset.source}")
    # Which inputs are equal does not depend on the backbone.
    any_one = next(iter(embeddings.values()))
    rows = any_one.data.rows
    some = _each_once(np.flatnonzero(read), rows, dataset.rows)
    if doubles := int(read.sum()) - len(some):
        notes.append(f"{doubles} inputs are copies of others of their label and are left out")
    left = dataset.only(some)
    several = usable_inputs(left)
    if lonely := len(left) - len(several):
        notes.append(f"{lonely} labels have a single input, or inputs of a single group, and are left out")
    some, left = some[several], left.only(several)
    if conflicts := len(some) - len(np.unique(rows[some])):
        notes.append(f"{conflicts} inputs have the content of others with another label")
    known = np.zeros(0, np.intp)
    if unknown is not None:
        known, more = _unknown_inputs(unknown, list(embeddings.values()), some)
        notes += more
    datasets = {
        bundle.manifest.name: _embedded_dataset(bundle, embeddings[bundle.manifest.name], dataset, left, some, known)
        for bundle in bundles
    }
    efforts = {name: item.effort for name, item in embeddings.items()}
    unknown_rows = next(iter(datasets.values())).unknown
    digests, unknown_digests = any_one.digests[rows[some]], any_one.digests[unknown_rows]
    return EmbeddedDatasets(left, digests, unknown_digests, datasets, efforts, unreadable, notes)


def _embed(
    bundle: Bundle,
    dataset: Dataset,
    unknown: Dataset | None,
    cache: Path,
    progress: ProgressFactory,
    limits: ImageLimits | None,
) -> _Embeddings:
    start, reader = time.perf_counter(), Embedder(bundle, limits=limits)
    store = VectorStore(cache, bundle.manifest.embedding_space, bundle.manifest.dimension)
    asked = len(dataset) + (len(unknown) if unknown else 0)
    with progress(f"{bundle.manifest.name}: embedding", asked) as advance:
        data = embed(reader, store, dataset, advance)
        others = embed(reader, store, unknown, advance) if unknown else None
    prompts = _prompts(reader, store, dataset.labels) if bundle.manifest.text else None
    ran = data.encoded + (others.encoded if others else 0)
    effort = Effort(ran, asked - ran, time.perf_counter() - start)
    return _Embeddings(data, others, prompts, store.vectors(), store.digests(), effort)


def _prompts(reader: Embedder, store: VectorStore, labels: Sequence[str]) -> Array:
    """Returns the direction of each label's name, `(C, d)`."""
    texts = [with_templates([name_as_prompt(label)], reader.manifest.prompt_templates) for label in labels]
    vectors = embed_texts(reader, store, [text for some in texts for text in some])
    ends = np.cumsum([len(some) for some in texts])
    return np.stack([mean_direction(some) for some in np.split(vectors, ends[:-1])])


def _embedded_dataset(
    bundle: Bundle, embeddings: _Embeddings, dataset: Dataset, left: Dataset, some: Rows, unknown: Rows
) -> EmbeddedDataset:
    prompts = None
    if embeddings.prompts is not None:
        places = {label: row for row, label in enumerate(dataset.labels)}
        prompts = embeddings.prompts[[places[label] for label in left.labels]]
    unknown = embeddings.unknown.rows[unknown] if embeddings.unknown else unknown
    return EmbeddedDataset(
        embeddings.vectors,
        embeddings.data.rows[some],
        left.rows,
        left.labels,
        unknown,
        prompts,
        settings_of(bundle),
        left.groups,
    )


def _each_once(places: Rows, contents: Rows, labels: Rows) -> Rows:
    """Returns the first position of each content under a label."""
    pairs = np.stack([contents[places], labels[places]], axis=1)
    _, first = np.unique(pairs, axis=0, return_index=True)
    return places[np.sort(first)]


def _unknown_inputs(unknown: Dataset, embeddings: Sequence[_Embeddings], some: Rows) -> tuple[Rows, list[str]]:
    """Returns the positions of distinct unknown inputs that all backbones read and that are not among the data, and
    notes.
    """
    pairs = [(item.data, item.unknown) for item in embeddings if item.unknown is not None]
    notes = _unreadable_notes(_failures(unknown, [others for _, others in pairs]), f"inputs of {unknown.source}")
    read = np.flatnonzero(np.all([others.rows >= 0 for _, others in pairs], axis=0))
    data, others = pairs[0]
    once = _each_once(read, others.rows, np.zeros_like(others.rows))
    known = np.isin(others.rows[once], data.rows[some])
    if known.any():
        notes.append(
            f"{int(known.sum())} inputs of {unknown.source} are among the data and are not used as unknown inputs"
        )
    if known.all():
        raise EvaluationError(f"{unknown.source} has no input that can be read and is not among the data")
    return once[~known], notes


def _failures(dataset: Dataset, each: Sequence[Embedded]) -> dict[str, str]:
    return {dataset.contents[place]: reason for item in each for place, reason in item.failures.items()}


def _unreadable_notes(unreadable: Mapping[str, str], what: str) -> list[str]:
    if not unreadable:
        return []
    named = "; ".join(f"{name[:200]}: {reason}" for name, reason in list(unreadable.items())[:_NAMED])
    more = f"; and {len(unreadable) - _NAMED} more" if len(unreadable) > _NAMED else ""
    return [f"{len(unreadable)} {what} cannot be read and are left out ({named}{more})"]
