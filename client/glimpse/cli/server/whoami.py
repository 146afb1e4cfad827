"""`glimpse whoami`: shows the caller as the server knows it."""

from glimpse.cli.common import options
from glimpse.cli.common.output import Column, Table, print_record
from glimpse.cli.common.session import connected
from glimpse.client import Scope

app = options.group()


@app.command()
def whoami(server: options.Server = None, output: options.Output = options.Format.TABLE) -> None:
    """Show the name of your key or token, and its scopes.

    Without a key, on a server that requires none, the name is empty and the scope is admin.
    """
    with connected(server) as client:
        caller = client.get_caller()
    scopes = {name.rpartition("/")[2]: _name(scope) for name, scope in caller.collections.items()}
    record = {"name": caller.name, "scope": _name(caller.scope)}
    if output is not options.Format.TABLE:
        print_record(output, {**record, "collections": scopes})
        return
    print_record(output, record)
    if scopes:
        print()
        Table([Column("COLLECTION"), Column("SCOPE", 8)]).rows(scopes.items())


def _name(scope: Scope) -> str:
    return "none" if scope is Scope.UNSPECIFIED else scope.name.lower()
