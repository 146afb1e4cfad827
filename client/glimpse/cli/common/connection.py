"""Connection options of the root command and of subcommands, handed to the client as environment variables."""

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


def set_variables(**values: Any) -> None:
    """Sets the client's environment variables from connection options. Skips options that were not given.

    Raises:
        CliError: The API key file is empty.
        OSError: The API key file cannot be read.
    """
    for name, value in values.items():
        if value and name == _KEY_FILE:
            os.environ["GLIMPSE_API_KEY"] = _key(value)
        elif value:
            os.environ[_VARIABLES[name]] = "1" if value is True else str(value)


def add_connection_options(command: Any, root_parameters: Sequence[Any]) -> None:
    """Adds the root's connection options, hidden from the help, to every subcommand that takes `--server`."""
    if hasattr(command, "commands"):
        for child in command.commands.values():
            add_connection_options(child, root_parameters)
        return
    command.callback = utf8_only(command.callback, command.params)
    if any(parameter.name == "server" for parameter in command.params):
        # A command with an option of the same name means something else by it.
        names = {*_VARIABLES, _KEY_FILE} - {parameter.name for parameter in command.params}
        command.params += [_hidden(parameter) for parameter in root_parameters if parameter.name in names]


def _hidden(parameter: Any) -> Any:
    hidden = copy.copy(parameter)
    hidden.hidden, hidden.expose_value = True, False
    hidden.callback = lambda _context, option, value: set_variables(**{option.name: value})
    return hidden


def _key(file: Path) -> str:
    key = file.read_text("utf-8", errors="replace").strip()
    if not key:
        raise CliError(f"{file} contains no API key", "write the key into it, or name another file")
    return key
