"""`glimpse index info`, `verify`, `merge` and `compact`: commands that need no backbone."""

import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError, missing_module
from glimpse.cli.common.output import percent, print_note, print_record, printable
from glimpse.cli.common.progress import progress, spinner
from glimpse.cli.common.records import print_all, print_data
from glimpse.cli.common.session import connected
from glimpse.cli.resources.collection_record import record as collection_record

if TYPE_CHECKING:
    from glimpse.client import Client
    from glimpse.index import Manifest

Index = Annotated[Path, typer.Argument(metavar="INDEX", help="The index's folder.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the new index.")]
Factory = Annotated[
    str | None,
    typer.Option("--type", metavar="FACTORY", help="Index type, as for build. Default: chosen by the number of rows."),
]
MinRecall = Annotated[float, typer.Option("--min-recall", min=0, max=1, help="Minimum recall, as for build.")]
# Seconds between two polls of a compaction's state: few at first, because a small index takes a moment.
_FIRST_POLL_SECONDS, _POLL_SECONDS = 0.05, 1.0
# Behind a proxy, polls may reach servers that do not know the compaction. At most this many in a row are repeated.
_MAX_MISSES = 30


def info(index: Index, output: options.Output = options.Format.TABLE) -> None:
    """Show an index's contents, type, recall and latency."""
    with reading_indexes():
        from glimpse.index import read_manifest

        manifest = read_manifest(index)
    if output is not options.Format.TABLE:
        print_data(output, manifest.model_dump())
    else:
        print_record(output, _for_people(manifest))


def verify(index: Index, output: options.Output = options.Format.TABLE) -> None:
    """Check every file of an index against its manifest, and the FAISS index against the stored vectors.

    Exit code 1 if there is a problem.
    """
    with reading_indexes():
        from glimpse.index import verify as find_problems

        problems = find_problems(index, progress)
    if output is options.Format.JSON:
        print_data(output, {"index": str(index), "problems": problems})
    elif output is options.Format.CSV:
        rows = ({"index": str(index), "problem": problem} for problem in problems)
        print_all(output, rows, ("index", "problem"))
    else:
        print("\n".join(map(printable, problems)) if problems else f"{index}: no problem found")
    if problems:
        raise typer.Exit(1)


def merge(
    indexes: Annotated[list[Path], typer.Argument(metavar="INDEX", help="Folders of indexes. Their order matters.")],
    out: Out,
    factory: Factory = None,
    min_recall: MinRecall = 0.95,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, metavar="N", help="Number of threads. Default: all cores.")
    ] = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Merge indexes of one embedding space into a new index.

    If an id occurs more than once, the row of the last index that has it is kept.
    """
    with reading_indexes():
        from glimpse.backbone import cores
        from glimpse.index import merge as merge_folders

        manifest = merge_folders(
            indexes,
            out,
            factory=factory,
            min_recall=min_recall,
            threads=threads or cores(),
            rebuild=_command(),
            progress=progress,
        )
    _made(manifest, output)


def compact(
    index: Annotated[
        Path | None, typer.Argument(metavar="[INDEX]", help="Folder of the index to rewrite into --out.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder for the new index.")] = None,
    collection: Annotated[
        str | None,
        typer.Option(
            "--collection",
            metavar="NAME",
            help="Instead: compact a collection's index, including examples enrolled later.",
        ),
    ] = None,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Rewrite an index into full files without deleted rows.

    Give a folder and --out, or --collection for a server's collection with an attached index. The collection keeps
    classifying during the work; then the new index replaces the old one.
    """
    if collection is not None and index is None and out is None:
        with connected(server) as client:
            _await_compaction(client, collection)
            compacted = client.get_collection(collection)
        print_record(output, collection_record(compacted))
    elif collection is None and index is not None and out is not None:
        with reading_indexes():
            from glimpse.backbone import cores
            from glimpse.index import compact as compact_folder

            manifest = compact_folder(index, out, threads=cores(), rebuild=_command(), progress=progress)
        _made(manifest, output)
    else:
        raise typer.BadParameter("give a folder and --out, or --collection alone")


def _await_compaction(client: "Client", collection: str) -> None:
    """Starts a compaction, or joins the running one, and waits until it ends. Raises the error of one that failed."""
    from glimpse.client import NotFound

    compaction = client.start_compaction(collection)
    pause, misses = _FIRST_POLL_SECONDS, 0
    try:
        with spinner(f"compacting {collection}"):
            while not compaction.done:
                time.sleep(pause)
                pause = min(2 * pause, _POLL_SECONDS)
                try:
                    compaction, misses = client.get_compaction(collection), 0
                except NotFound as error:
                    misses += 1
                    if error.reason != "COMPACTION_NOT_FOUND" or misses > _MAX_MISSES:
                        raise
    except KeyboardInterrupt:
        print_note(f"interrupted: the server goes on compacting {collection}; the same command waits for it again")
        raise
    compaction.raise_for_error()


@contextmanager
def reading_indexes() -> Iterator[None]:
    """Turns errors of index folders in the block, or a missing module, into CliError."""
    try:
        from glimpse.index import IndexFolderError
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_module(error, "index") from error
    except IndexFolderError as error:
        raise CliError(str(error), error.next_step) from error


def _command() -> str:
    return shlex.join(["glimpse", *sys.argv[1:]])


def _made(manifest: "Manifest", output: options.Format) -> None:
    """Prints the new index. Raises typer.Exit if its recall is too low."""
    if output is not options.Format.TABLE:
        print_data(output, manifest.model_dump())
    else:
        print_record(output, _for_people(manifest))
    measured = manifest.index.measured
    if measured and not measured.reached:
        recall, minimum = percent(measured.recall_at_10), percent(measured.min_recall)
        print_note(f"recall of the 10 nearest is {recall}, below the minimum of {minimum}; choose another --type")
        raise typer.Exit(1)


def _for_people(manifest: "Manifest") -> dict[str, Any]:
    """Returns the fields of a manifest that people read."""
    index = manifest.index
    files = f"{len(manifest.shards)} file{'s' * (len(manifest.shards) != 1)}"
    record: dict[str, Any] = {
        "rows": f"{manifest.count:,}",
        "labels": f"{manifest.label_count:,}",
        "domains": f"{manifest.domain_count:,}",
        "failed inputs": f"{manifest.error_count:,}",
        "backbone": manifest.backbone,
        "embedding space": manifest.embedding_space,
        "vectors": f"{manifest.dimension} x {manifest.vector_type}, in {files}",
        "index": f"{index.factory}, {index.bytes / 1e6:,.1f} MB",
        "chosen": index.chosen,
        "search": ", ".join(f"{name} {value:g}" for name, value in index.search if value is not None) or "exact",
    }
    if measured := index.measured:
        record |= {
            "recall@10": f"{measured.recall_at_10:.3f}",
            "vote agreement": "-" if measured.vote_agreement is None else f"{measured.vote_agreement:.3f}",
            "latency": f"{measured.batch_1_ms:.2f} ms, {measured.batch_64_ms:.2f} ms for 64 (1 thread)",
            "bytes per vector": f"{measured.bytes_per_vector:.0f}",
        }
    return record | {
        "built": f"{manifest.created}, Glimpse {manifest.glimpse}, FAISS {manifest.faiss}",
        "rebuild": manifest.rebuild,
    }
