"""Reads the examples that a backbone is adapted to: of a folder, a table, or a collection on a server."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from glimpse.backbone import Bundle, ImageLimits, Kind, name_as_prompt, with_templates
from glimpse.cli.common.errors import CliError
from glimpse.cli.common.output import printable
from glimpse.cli.common.progress import progress
from glimpse.cli.common.session import connected
from glimpse.cli.discover.folder import TextsAndPictures
from glimpse.client import Example, InvalidArgument, LabelMode, LabelRole, Modality, NotFound
from glimpse.evaluate import EvaluationError
from glimpse.evaluate.data.dataset import Dataset
from glimpse.evaluate.data.dataset_readers import read_dataset
from glimpse.evaluate.data.embeddings import embed_datasets
from glimpse.evaluate.data.encoders import check_reads
from glimpse.fewshot import mean_direction, normalize
from glimpse.fewshot.adaptation import Space
from glimpse.fewshot.statistics.unit_vectors import Array, Rows
from glimpse.inputs import Columns

# Examples of one call: vectors of 4,096 numbers stay within half of the message limit.
_PAGE = 500


@dataclass(frozen=True, slots=True)
class DataOptions:
    """The way in which examples are read and embedded.

    Attributes:
        cache: Folder of the cache of vectors.
        limits: Limits of pictures.
        columns: The columns of a table.
        allow_outside: Whether a table may name files outside its folder.
        group_depth: The level of a folder's subfolders whose files are one group; 0: no groups.
        server: The server's address, for a collection.
    """

    cache: Path
    limits: ImageLimits
    columns: Columns = field(default_factory=Columns)
    allow_outside: bool = False
    group_depth: int = 0
    server: str | None = None


@dataclass(frozen=True, slots=True)
class TrainingData:
    """N examples of C labels, embedded by the frozen backbone.

    Attributes:
        kind: What they are.
        frozen: Their vectors, and the directions of the labels' names if the backbone reads text.
        rows: Their labels, `(N,)`.
        labels: The labels' names.
        groups: Equal numbers mark examples of one group, `(N,)`; None without groups.
        digests: SHA-256 of the content of each, in hexadecimal.
        notes: What was left out, for people.
        contents: N texts, or names of image files; None for a collection, whose vectors alone are known.
    """

    kind: Kind
    frozen: Space
    rows: Rows
    labels: Sequence[str]
    groups: Rows | None
    digests: Sequence[str]
    notes: Sequence[str]
    contents: Sequence[str] | None = None


def read_data(source: str, bundle: Bundle, options: DataOptions) -> TrainingData:
    """Reads the examples of a name: a file or folder comes before a collection. Raises CliError."""
    path = Path(source)
    try:
        if path.exists():
            return _read_path(path, bundle, options)
        if "/" in source.removeprefix("collections/") or path.suffix:
            raise CliError(f"there is no file or folder {printable(source)}")
        return _read_collection(source, bundle, options)
    except EvaluationError as error:
        raise CliError(str(error), error.next_step) from error
    except (NotFound, InvalidArgument) as error:
        message = f"there is no file, folder or collection {printable(source)}"
        raise CliError(message, "list collections with: glimpse collections list") from error


def _read_path(path: Path, bundle: Bundle, options: DataOptions) -> TrainingData:
    dataset, notes = read_dataset(
        path, options.columns, allow_outside=options.allow_outside, group_depth=options.group_depth
    )
    check_reads(bundle, dataset.kind)
    embedded = embed_datasets(dataset, None, [bundle], options.cache, progress, options.limits)
    kept, own = embedded.dataset, embedded.datasets[bundle.manifest.name]
    frozen = Space(own.of(np.arange(len(kept))), None if own.prompts is None else np.asarray(own.prompts, np.float32))
    notes = [*notes, *embedded.notes]
    return TrainingData(kept.kind, frozen, kept.rows, kept.labels, kept.groups, _digests(kept), notes, kept.contents)


def _digests(dataset: Dataset) -> list[str]:
    read: Callable[[str], bytes] = str.encode if dataset.kind == "text" else lambda name: Path(name).read_bytes()
    return [hashlib.sha256(read(content)).hexdigest() for content in dataset.contents]


def _read_collection(name: str, bundle: Bundle, options: DataOptions) -> TrainingData:
    """Reads a collection's examples, which the server has embedded by the frozen backbone already."""
    with connected(options.server) as client:
        collection = client.get_collection(name)
        space = collection.embedding_space
        if space != bundle.manifest.embedding_space:
            message = f"{collection.name} has another embedding space than the bundle {bundle.manifest.name}"
            raise CliError(message, "name the collection's own bundle with --backbone, or give a folder of the files")
        if collection.label_mode is LabelMode.INDEPENDENT:
            raise CliError(f"{collection.name} has independent labels, and adapt needs labels that exclude each other")
        roles = {label.id: label.role for label in client.list_labels(collection, page_size=_PAGE)}
        examples = list[Example]()
        with progress("reading examples", collection.example_count) as advance:
            for example in client.list_examples(collection, include_vector=True, page_size=_PAGE):
                examples.append(example)
                advance(1)
    others = (LabelRole.NEGATIVE, LabelRole.UNLABELED)
    known = [one for one in examples if one.vector and one.label and roles.get(one.label) not in others]
    if not known:
        raise CliError(f"{collection.name} has no labelled examples", "enroll some, or give a folder")
    notes = (
        [f"{len(examples) - len(known)} examples have no label and are left out"] if len(known) < len(examples) else []
    )
    return _of_examples(known, bundle, options, notes)


def _of_examples(examples: Sequence[Example], bundle: Bundle, options: DataOptions, notes: list[str]) -> TrainingData:
    labels, rows = np.unique([example.label for example in examples], return_inverse=True)
    numbers: dict[str, int] = {}
    keys = [example.group or example.id for example in examples]
    groups = np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.intp)
    names = labels.tolist()
    texts = _names(names, bundle, options) if bundle.manifest.text else None
    vectors = normalize(np.stack([example.vector.values for example in examples if example.vector]))
    return TrainingData(
        "text" if examples[0].modality is Modality.TEXT else "image",
        Space(vectors, texts),
        rows.astype(np.intp),
        names,
        groups if any(example.group for example in examples) else None,
        [example.content_digest.removeprefix("sha256:") for example in examples],
        notes,
    )


def _names(labels: Sequence[str], bundle: Bundle, options: DataOptions) -> Array:
    """Returns the direction of each label's name, `(C, d)`."""
    encoder, templates = TextsAndPictures(bundle, options.cache, options.limits), bundle.manifest.prompt_templates
    sentences = [with_templates([name_as_prompt(label)], templates) for label in labels]
    return np.stack([mean_direction(encoder.embed_texts(some)) for some in sentences])
