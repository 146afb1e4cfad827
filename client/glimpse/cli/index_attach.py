"""`glimpse index attach` and `detach`: an index under a collection of a server."""

from pathlib import Path
from typing import Annotated

import typer

from glimpse.cli import options
from glimpse.cli.collection_record import record
from glimpse.cli.output import print_record
from glimpse.cli.session import connected

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


def detach(
    collection: options.CollectionName,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Take a collection's index away, with its examples; labels stay."""
    with connected(server) as client:
        print_record(output, record(client.detach_index(collection)))
