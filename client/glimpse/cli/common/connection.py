"""How the server is known and who calls, as variables for the client: options of the root and of subcommands."""

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glimpse.cli.common.errors import CliError
from glimpse.cli.common.utf8 import utf8_only

_VARIABLES = {
    "tls": "GLIMPSE_TLS",
    "tls_ca": "GLIMPSE_TLS_CA",
    "tls_cert": "GLIMPSE_CLIENT_CERT",
    "tls_key": "GLIMPSE_CLIENT_KEY",
    "insecure": "GLIMPSE_CLIENT_INSECURE",
}
_KEY_FILE = "api_key_file"


def remember(**given: Any) -> None:
    """Sets the variables of what was given. Raises CliError where the key cannot be read."""
    for name, value in given.items():
        if value and name == _KEY_FILE:
            os.environ["GLIMPSE_API_KEY"] = _key(value)
        elif value:
            os.environ[_VARIABLES[name]] = "1" if value is True else str(value)


def extend(command: Any, shared: Sequence[Any]) -> None:
    """Lets whatever takes --server take the root's options of a connection too; its help need not repeat them."""
    if hasattr(command, "commands"):
        for child in command.commands.values():
            extend(child, shared)
        return
    command.callback = utf8_only(command.callback, command.params)
    if any(one.name == "server" for one in command.params):
        command.params += [_hidden(one) for one in shared if one.name in (*_VARIABLES, _KEY_FILE)]


def _hidden(parameter: Any) -> Any:
    here = copy.copy(parameter)
    here.hidden, here.expose_value = True, False
    here.callback = lambda _context, given, value: remember(**{given.name: value})
    return here


def _key(file: Path) -> str:
    key = file.read_text("utf-8", errors="replace").strip()
    if not key:
        raise CliError(f"{file} holds no API key")
    return key
