"""Every backbone's vectors of the same inputs: those that all of them could read, each content once a label."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glimpse.backbone import Bundle, Embedder, ImageLimits, name_as_prompt, with_templates
from glimpse.evaluate.data.dataset import Dataset, usable_inputs
from glimpse.evaluate.data.embedding_cache import VectorStore
from glimpse.evaluate.data.encode_dataset import Embedded, embed, embed_texts
from glimpse.evaluate.data.encoders import terms_of
from glimpse.evaluate.errors import EvaluationError
from glimpse.evaluate.trials.trial import EmbeddedDataset
from glimpse.fewshot import mean_direction
from glimpse.fewshot.statistics.unit_vectors import Array, Rows

#: A title and how many there are → what is told how many more are done.
ProgressFactory = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
_NAMED = 5  # inputs that could not be read


@dataclass(frozen=True, slots=True)
class Effort:
    """What embedding took: inputs the encoder ran for, and those it did not (in the cache, copies, unreadable)."""

    encoded: int
    cached: int
    seconds: float


@dataclass(frozen=True, slots=True)
class EmbeddedDatasets:
    """By backbone's name; and the data that are left to evaluate."""

    dataset: Dataset
    datasets: Mapping[str, EmbeddedDataset]
    efforts: Mapping[str, Effort]
    #: Names of inputs that could not be read, and why.
    unreadable: Mapping[str, str]
    unknown: int
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Made:
    """One backbone's."""

    data: Embedded
    unknown: Embedded | None
    prompts: Array | None
    vectors: Array
    effort: Effort


def embed_datasets(
    dataset: Dataset,
    unknown: Dataset | None,
    bundles: Sequence[Bundle],
    cache: Path,
    watch: ProgressFactory,
    limits: ImageLimits | None = None,
) -> EmbeddedDatasets:
    """Embeds what is not in the cache. Raises EvaluationError, BundleError, OSError."""
    made = {bundle.manifest.name: _make(bundle, dataset, unknown, cache, watch, limits) for bundle in bundles}
    unreadable = _failures(dataset, [one.data for one in made.values()])
    read = np.all([one.data.rows >= 0 for one in made.values()], axis=0)
    if not read.any():
        name, why = next(iter(unreadable.items()))
        raise EvaluationError(f"none of the {len(dataset)} inputs can be read; {name}: {why}")
    notes = _told(unreadable, f"inputs of {dataset.source}")
    # Which rows are the same does not hang on the backbone.
    rows = next(iter(made.values())).data.rows
    some = _each_once(np.flatnonzero(read), rows, dataset.rows)
    if doubles := int(read.sum()) - len(some):
        notes.append(f"{doubles} inputs are copies of others of their label, and left out")
    left = dataset.only(some)
    several = usable_inputs(left)
    if lonely := len(left) - len(several):
        notes.append(f"{lonely} labels have a single input, and are left out")
    some, left = some[several], left.only(several)
    if conflicts := len(some) - len(np.unique(rows[some])):
        notes.append(f"{conflicts} inputs have the content of others with another label")
    known = np.zeros(0, np.intp)
    if unknown is not None:
        known, more = _strangers(unknown, list(made.values()), some)
        notes += more
    datasets = {
        bundle.manifest.name: _material(bundle, made[bundle.manifest.name], dataset, left, some, known)
        for bundle in bundles
    }
    return EmbeddedDatasets(
        left, datasets, {name: one.effort for name, one in made.items()}, unreadable, len(known), notes
    )


def _make(
    bundle: Bundle,
    dataset: Dataset,
    unknown: Dataset | None,
    cache: Path,
    watch: ProgressFactory,
    limits: ImageLimits | None,
) -> _Made:
    start, reader = time.perf_counter(), Embedder(bundle, limits=limits)
    store = VectorStore(cache, bundle.manifest.embedding_space, bundle.manifest.dimension)
    asked = len(dataset) + (len(unknown) if unknown else 0)
    with watch(f"{bundle.manifest.name}: embedding", asked) as advance:
        data = embed(reader, store, dataset, advance)
        others = embed(reader, store, unknown, advance) if unknown else None
    prompts = _prompts(reader, store, dataset.labels) if bundle.manifest.text else None
    ran = data.encoded + (others.encoded if others else 0)
    effort = Effort(ran, asked - ran, time.perf_counter() - start)
    return _Made(data, others, prompts, store.vectors(), effort)


def _prompts(reader: Embedder, store: VectorStore, labels: Sequence[str]) -> Array:
    """Each label's name as a direction, (C, d)."""
    texts = [with_templates([name_as_prompt(label)], reader.manifest.prompt_templates) for label in labels]
    vectors = embed_texts(reader, store, [text for some in texts for text in some])
    ends = np.cumsum([len(some) for some in texts])
    return np.stack([mean_direction(some) for some in np.split(vectors, ends[:-1])])


def _material(
    bundle: Bundle, made: _Made, dataset: Dataset, left: Dataset, some: Rows, unknown: Rows
) -> EmbeddedDataset:
    prompts = None
    if made.prompts is not None:
        places = {label: row for row, label in enumerate(dataset.labels)}
        prompts = made.prompts[[places[label] for label in left.labels]]
    unknown = made.unknown.rows[unknown] if made.unknown else unknown
    return EmbeddedDataset(
        made.vectors, made.data.rows[some], left.rows, left.labels, unknown, prompts, terms_of(bundle)
    )


def _each_once(places: Rows, contents: Rows, labels: Rows) -> Rows:
    """The first of each content under a label."""
    pairs = np.stack([contents[places], labels[places]], axis=1)
    _, first = np.unique(pairs, axis=0, return_index=True)
    return places[np.sort(first)]


def _strangers(unknown: Dataset, made: Sequence[_Made], some: Rows) -> tuple[Rows, list[str]]:
    """The places of strangers that all could read, each content once, and that are none of the data."""
    there = [(one.data, one.unknown) for one in made if one.unknown is not None]
    notes = _told(_failures(unknown, [others for _, others in there]), f"inputs of {unknown.source}")
    read = np.flatnonzero(np.all([others.rows >= 0 for _, others in there], axis=0))
    data, others = there[0]
    once = _each_once(read, others.rows, np.zeros_like(others.rows))
    known = np.isin(others.rows[once], data.rows[some])
    if known.any():
        notes.append(f"{int(known.sum())} inputs of {unknown.source} are among the data, and no strangers")
    if known.all():
        raise EvaluationError(f"{unknown.source} has no input that can be read and is not among the data")
    return once[~known], notes


def _failures(dataset: Dataset, each: Sequence[Embedded]) -> dict[str, str]:
    return {dataset.contents[place]: why for one in each for place, why in one.failures.items()}


def _told(unreadable: Mapping[str, str], what: str) -> list[str]:
    if not unreadable:
        return []
    named = "; ".join(f"{name[:200]}: {why}" for name, why in list(unreadable.items())[:_NAMED])
    more = f"; and {len(unreadable) - _NAMED} more" if len(unreadable) > _NAMED else ""
    return [f"{len(unreadable)} {what} cannot be read, and are left out ({named}{more})"]
