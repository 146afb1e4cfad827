"""Reads the JSON files of a foreign model. They are not trusted: sizes and types are checked."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glimpse.backbone.pull.errors import PullError

_MAX_BYTES = 16 << 20


@contextmanager
def expected_types(folder: Path) -> Iterator[None]:
    """Turns what Python raises for a value of another type into an error that names the folder.

    Settings are deep, and of several libraries and versions; values that matter are checked where they are read.

    Raises:
        PullError: a value has a type that its reader does not know.
    """
    try:
        yield
    except (AttributeError, TypeError, ValueError, LookupError, ArithmeticError) as error:
        raise PullError(f"the settings in {folder} have a value of an unexpected type: {error}") from error


def read_settings(file: Path) -> dict[str, Any]:
    """Returns the object in a JSON file; {} if there is no such file.

    Raises:
        PullError: the file is too large, is a link out of reach, or holds no object.
    """
    values = read_json(file)
    if not isinstance(values, dict):
        raise PullError(f"{file} holds no JSON object")
    return values


def read_json(file: Path) -> Any:
    """Returns the content of a JSON file; {} if there is no such file. Raises PullError as `read_settings`."""
    if not file.is_file():
        return {}
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise PullError(f"{file} has more than {_MAX_BYTES:,} bytes, too many for settings")
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PullError(f"{file} cannot be read as JSON: {error}") from error


def whole_number(value: Any, name: str) -> int:
    """Returns a positive integer of the settings. Raises PullError if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or not 0 < value < 2**31:
        raise PullError(f"the setting {name} is {value!r}, not a positive whole number")
    return int(value)


def text_of(value: Any, name: str) -> str:
    """Returns a text of the settings; "" for None. Raises PullError if it is another type."""
    if not isinstance(value, str | None):
        raise PullError(f"the setting {name} is {value!r}, not a text")
    return value or ""
