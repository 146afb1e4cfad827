"""`glimpse index attach` and `detach`: attaches an index to a collection of a server."""

from pathlib import Path
from typing import Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.output import print_note, print_record
from glimpse.cli.common.session import connected
from glimpse.cli.resources.collection_record import record

# Opening an index with many labels takes long.
_ATTACH_SECONDS = 600.0


def attach(
    collection: options.CollectionName,
    index: Annotated[
        str,
        typer.Argument(metavar="INDEX", help="The index's folder, or its name in the server's folder of indexes."),
    ],
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Attach an index to a collection, so that its rows become examples.

    The index must be in the server's folder of indexes (glimpse serve --indexes), and have the embedding space of the
    collection. Its labels become labels of the collection. You can enroll more examples afterwards.
    """
    with connected(server, _ATTACH_SECONDS) as client:
        # The server knows a link by the link's own name, so the path is not resolved.
        attached = client.attach_index(collection, Path(index).absolute().name)
    print_record(output, record(attached))
    if (info := attached.index) and info.unlabeled_count:
        count = "all" if info.unlabeled_count == info.vector_count else f"{info.unlabeled_count:,}"
        print_note(
            f"{count} of the index's {info.vector_count:,} vectors have no label: search finds them, classify does "
            "not use them. To add labels, build the index with --labels (folders) or --label-column (tables)"
        )


def detach(
    collection: options.CollectionName,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Detach a collection's index and its examples. Labels stay."""
    with connected(server) as client:
        print_record(output, record(client.detach_index(collection)))
