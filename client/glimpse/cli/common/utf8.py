"""Values of the command line that UTF-8 cannot carry, refused before a command begins."""

import os
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from glimpse.cli.common.errors import CliError


def utf8_only(callback: Callable[..., Any], parameters: Sequence[Any]) -> Callable[..., Any]:
    """A command that raises CliError for such a value. Only files to read may be named by any bytes."""
    own = [one for one in parameters if one.expose_value]

    @wraps(callback)
    def run(**values: Any) -> Any:
        for parameter in own:
            for value in _texts(values.get(parameter.name)):
                _check(parameter, value)
        return callback(**values)

    return run


def _texts(value: Any) -> list[str | Path]:
    several = value if isinstance(value, list | tuple) else [value]
    return [one for one in several if isinstance(one, str | Path)]


def _check(parameter: Any, value: str | Path) -> None:
    try:
        str(value).encode()
    except UnicodeEncodeError as error:
        _refuse(parameter, value, error)


def _refuse(parameter: Any, value: str | Path, error: UnicodeEncodeError) -> None:
    from glimpse.inputs import legible  # most values need no more than the check

    is_input = parameter.param_type_name == "argument" and (isinstance(value, Path) or os.path.exists(value))
    if not is_input:
        name = (
            parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar or parameter.name.upper()
        )
        step = "give the file or folder another name" if isinstance(value, Path) else "give it in UTF-8"
        raise CliError(f"{name} '{legible(str(value))}' is not UTF-8", step) from error
