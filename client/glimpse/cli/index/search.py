"""`glimpse index search`: searches an index without a server."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError
from glimpse.cli.common.input_reader import Source, TableOptions
from glimpse.cli.common.inputs import read_sources
from glimpse.cli.common.output import Column, Table, print_note, printable
from glimpse.cli.common.records import RecordWriter
from glimpse.cli.index.maintenance import Index, reading_indexes
from glimpse.cli.pull.backbones import PLACES, opened_backbone
from glimpse.inputs import Columns, Rejected, domain_of, label_of

if TYPE_CHECKING:
    from glimpse.backbone import Embedder, Kind
    from glimpse.index import BulkIndex, Manifest

Vectors = npt.NDArray[np.float32]
_COLUMNS = (
    Column("QUERY", share=2, path=True),
    Column("SOURCE", share=3, path=True),
    Column("LABEL", share=1),
    Column("SIMILARITY", 10, right=True),
)
_FIELDS = ("query", "id", "source", "label", "domain", "similarity", "error")
_MAX_NAMES = 10  # names in the error for an unknown label or domain


def search(
    index: Index,
    paths: options.Paths = None,
    texts: options.Texts = None,
    vectors: Annotated[
        list[Path] | None,
        typer.Option("--vector", metavar="FILE", help="A .npy file with one vector, or one per row. Repeatable."),
    ] = None,
    backbone: Annotated[
        str,
        typer.Option("--backbone", metavar="DIR", help=f"What the index was built with. {PLACES}"),
    ] = "glimpse-mini",
    labels: Annotated[
        list[str] | None, typer.Option("--label", metavar="LABEL", help="Only rows of this label. Repeatable.")
    ] = None,
    domains: Annotated[
        list[str] | None, typer.Option("--domain", metavar="DOMAIN", help="Only rows of this domain. Repeatable.")
    ] = None,
    text_column: options.TextColumn = None,
    path_column: options.PathColumn = None,
    id_column: options.IdColumn = None,
    allow_outside: options.AllowOutside = False,
    top: Annotated[int, typer.Option("--top", min=1, metavar="N", help="Number of rows per query.")] = 10,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Find the rows nearest to pictures, texts or vectors. Needs no server.

    A text finds pictures if the backbone reads both. Prints one line per row, nearest first; as JSON, one object per
    query. Exit code 1 if an input failed.
    """
    table_options = TableOptions(Columns(id=id_column, text=text_column, path=path_column), allow_outside)
    with reading_indexes():
        from glimpse.index import BulkIndex

        opened = BulkIndex.open(index)
    names, queries, failures = _queries(opened.manifest, paths, texts, vectors, backbone, table_options)
    allowed = _allowed(opened, _kept("--label", labels, label_of), _kept("--domain", domains, domain_of))
    table, writer = Table(_COLUMNS), RecordWriter(output, _FIELDS)
    with reading_indexes():
        from glimpse.backbone import limit_libraries

        limit_libraries()
        cosines, rows = opened.search(queries, min(top, len(opened)), allowed)
    for name, similarities, numbers in zip(names, cosines.tolist(), rows.tolist(), strict=True):
        neighbors = [_row(opened, row, cosine) for row, cosine in zip(numbers, similarities, strict=True) if row >= 0]
        table.measure([name, *map(neighbor.get, ("source", "label", "similarity"))] for neighbor in neighbors)
        if output is options.Format.JSON:
            writer.write(query=name, rows=neighbors)
            continue
        for neighbor in neighbors:
            if output is options.Format.CSV:
                writer.write(query=name, **neighbor)
            else:
                table.row(name, neighbor["source"], neighbor["label"], neighbor["similarity"])
    for name, message in failures.items():
        if output is options.Format.TABLE:
            print_note(f"failed: {name}: {message}")
        else:
            writer.write(query=name, error=message)
    if failures:
        raise typer.Exit(1)


def _queries(
    manifest: "Manifest",
    paths: list[Path] | None,
    texts: list[str] | None,
    files: list[Path] | None,
    backbone: str,
    table_options: TableOptions,
) -> tuple[list[str], Vectors, dict[str, str]]:
    """Returns the queries' names, their unit vectors (n, d), and the messages of failed inputs by name.

    Raises:
        CliError: The backbone or a file of vectors does not fit the index.
    """
    names, parts, failures = list[str](), [np.empty((0, manifest.dimension), np.float32)], dict[str, str]()
    for file in files or ():
        rows = _vectors_of(file, manifest.dimension)
        names += [str(file)] if len(rows) == 1 else [f"{file}[{row}]" for row in range(len(rows))]
        parts.append(rows)
    if paths or texts or not files:
        from glimpse.backbone import InputError

        embedder = _embedder(manifest, backbone)
        for source in read_sources(paths, texts, table_options):
            if source.failure:
                failures[source.name] = source.failure.message
                continue
            try:
                parts.append(_embed(embedder, source))
                names.append(source.name)
            except (InputError, OSError) as error:
                failures[source.name] = str(error)
    return names, np.concatenate(parts), failures


def _embed(embedder: "Embedder", source: Source) -> Vectors:
    """Embeds one input, (1, d). Raises InputError and OSError."""
    from glimpse.backbone import InputError

    content = source.content
    kind: Kind = "text" if isinstance(content, str) else "image"
    data = content.read_bytes() if isinstance(content, Path) else content
    prepared = embedder.prepare(kind, data.encode() if isinstance(data, str) else data)
    vectors, good = embedder.encode_all(kind, [prepared])
    if not good[0]:
        raise InputError("VECTOR_NOT_FINITE", "the backbone computes no finite vector for this input")
    return vectors


def _embedder(manifest: "Manifest", backbone: str) -> "Embedder":
    """Opens the backbone that the index was built with. Raises CliError."""
    from glimpse.backbone import Embedder

    bundle = opened_backbone(backbone)
    if bundle.manifest.embedding_space != manifest.embedding_space:
        raise CliError(
            f"the index was built with {manifest.backbone!r}, and {backbone} has another embedding space",
            "name the bundle of the index with --backbone",
        )
    return Embedder(bundle)


def _vectors_of(file: Path, dimension: int) -> Vectors:
    """Reads the rows of a .npy file and scales them to length 1, (n, d). Raises CliError."""
    try:
        with file.open("rb") as opened:
            read = np.lib.format.read_array(opened, allow_pickle=False)
    except ValueError as error:
        raise CliError(f"{file} is not a .npy file of numbers: {error}") from error
    if read.dtype.kind not in "fiu":
        raise CliError(f"{file} is not a .npy file of numbers, but of {read.dtype}")
    values = np.atleast_2d(read).astype(np.float32)
    if values.ndim != 2 or values.shape[1] != dimension or not len(values):
        raise CliError(f"{file} has the shape {read.shape}; this index needs vectors of {dimension} numbers")
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise CliError(f"{file} contains a vector of zeros, or one that is not finite")
    return np.asarray(values / lengths, np.float32)


def _kept(option: str, names: list[str] | None, form: Callable[[object], str | None]) -> list[str]:
    """Returns names in the form that an index keeps. Raises CliError for an invalid name."""
    try:
        return [form(name) or "" for name in names or ()]
    except Rejected as error:
        raise CliError(f"{option}: {error}") from error


def _allowed(index: "BulkIndex", labels: list[str], domains: list[str]) -> Any:
    """Returns the rows of these labels and domains, (N,), or None for all. Raises CliError for unknown names."""
    for noun, names, known in (("label", labels, index.labels), ("domain", domains, index.domains)):
        if unknown := [name for name in names if name not in known]:
            more = ", …" if known[_MAX_NAMES:] else ""
            hint = f"it has {printable(known[:_MAX_NAMES])}{more}" if known else f"its rows have no {noun}s"
            raise CliError(f"the index has no {noun} {unknown[0]!r}", hint)
    return index.among(labels, domains) if labels or domains else None


def _row(index: "BulkIndex", row: int, similarity: float) -> dict[str, Any]:
    return {
        "id": index.id(row),
        "source": index.source(row),
        "label": index.label(row),
        "domain": index.domain(row),
        "similarity": similarity,
    }
