"""Rejects command-line values that are not valid UTF-8, before a command begins."""

import os
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from glimpse.cli.common.errors import CliError


def utf8_only(callback: Callable[..., Any], parameters: Sequence[Any]) -> Callable[..., Any]:
    """Wraps a command so that it raises CliError for values that are not UTF-8.

    Input paths are exempt, because a file name may be any bytes.
    """
    own = [parameter for parameter in parameters if parameter.expose_value]

    @wraps(callback)
    def run(**values: Any) -> Any:
        for parameter in own:
            for value in _texts(values.get(parameter.name)):
                _check(parameter, value)
        return callback(**values)

    return run


def _texts(value: Any) -> list[str | Path]:
    values = value if isinstance(value, list | tuple) else [value]
    return [item for item in values if isinstance(item, str | Path)]


def _check(parameter: Any, value: str | Path) -> None:
    try:
        str(value).encode()
    except UnicodeEncodeError as error:
        _refuse(parameter, value, error)


def _refuse(parameter: Any, value: str | Path, error: UnicodeEncodeError) -> None:
    from glimpse.inputs import legible  # imported late, because most values pass the check

    is_input = parameter.param_type_name == "argument" and (isinstance(value, Path) or os.path.exists(value))
    if not is_input:
        name = (
            parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar or parameter.name.upper()
        )
        step = "rename the file or folder" if isinstance(value, Path) else "write it in UTF-8"
        raise CliError(f"{name} '{legible(str(value))}' is not UTF-8", step) from error
