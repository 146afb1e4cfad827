"""`glimpse index attach` and `detach`: an index under a collection of a server."""

from pathlib import Path
from typing import Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.output import print_note, print_record
from glimpse.cli.common.session import connected
from glimpse.cli.resources.collection_record import record

# To open an index of very many labels.
_SECONDS = 600.0


def attach(
    collection: options.CollectionName,
    index: Annotated[
        str,
        typer.Argument(metavar="INDEX", help="The index's folder, or its name: it lies in `glimpse serve --indexes`."),
    ],
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Put an index under a collection: its rows are examples, its labels labels, within seconds.

    The index must be of the collection's embedding space. What is enrolled later lives beside it.
    """
    with connected(server, _SECONDS) as client:
        # A link is known to the server by its own name, not by that of what it leads to.
        attached = client.attach_index(collection, Path(index).absolute().name)
    print_record(output, record(attached))
    if (found := attached.index) and found.unlabeled_count:
        some = "all" if found.unlabeled_count == found.vector_count else f"{found.unlabeled_count:,}"
        print_note(
            f"{some} of the index's {found.vector_count:,} vectors have no label: search finds them, classify never "
            "answers by them; if it should, build the index with --labels (folders) or --label-column (tables)"
        )


def detach(
    collection: options.CollectionName,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Take a collection's index away, with its examples; labels stay."""
    with connected(server) as client:
        print_record(output, record(client.detach_index(collection)))
