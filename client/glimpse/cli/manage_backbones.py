"""`glimpse backbone`."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from glimpse.cli import options
from glimpse.cli.output import Column, print_record, print_records
from glimpse.cli.session import connected
from glimpse.client import Backbone

app = options.group("The backbones a server has loaded: list, show.")
_COLUMNS = (
    Column("NAME", share=2),
    Column("READS", 11),
    Column("DIMENSION", 9, right=True),
    Column("DESCRIPTION", share=3),
)


@app.command("list")
def list_(server: options.Server = None, output: options.Output = options.Format.TABLE) -> None:
    """List the backbones the server has loaded."""
    with connected(server) as client:
        print_records(output, map(record, client.list_backbones()), _COLUMNS)


@app.command()
def show(
    backbone: Annotated[str, typer.Argument(metavar="NAME", help="The backbone's name.")],
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Show one backbone."""
    with connected(server) as client:
        print_record(output, record(client.get_backbone(backbone)))


def record(backbone: Backbone) -> dict[str, Any]:
    """A backbone for printing."""
    fields = asdict(backbone)
    fields["name"] = backbone.name.rpartition("/")[2]
    fields["reads"] = [modality.name.lower() for modality in fields.pop("modalities")]
    return fields
