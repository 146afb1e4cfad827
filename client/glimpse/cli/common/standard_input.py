"""Standard input as inputs: a picture, JSON lines, or a text a line."""

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from glimpse.cli.common.errors import CliError
from glimpse.inputs import Columns, Entry, InputsError, Unreadable, legible, open_table, read_lines
from glimpse.inputs.fields import MAX_BYTES

# How files of the formats that servers decode begin, and no text does.
_PICTURE = re.compile(
    rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF.{4}WEBP|\0.{3}ftyp|\0\0\0\x0cjP  |\xff\x4f\xff\x51"
    rb"|II[*+]\0|MM\0[*+]|BM.{10}\0\0|P[1-6f]\s+(?:#[^\n]*\s+)*\d+\s+\d+\s",
    re.DOTALL,
)


def read_standard_input(stream: BinaryIO, columns: Columns, allow_outside: bool) -> Sequence[Entry | Unreadable]:
    """Reads it whole, as it cannot be read twice. Files that its rows name lie below the working directory.

    Raises:
        CliError: It is too large, or text in another encoding than UTF-8.
    """
    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise CliError(f"standard input has more than {MAX_BYTES:,} bytes", "save it as a file, and name that")
    if _PICTURE.match(data):
        return [Entry("", "-", "image", None, None, data)]
    with tempfile.TemporaryDirectory(prefix="glimpse-") as folder:
        file = Path(folder, "stdin.jsonl" if _is_json_lines(data) else "stdin.txt")
        file.write_bytes(data)
        try:
            if file.suffix == ".txt":
                return [_called(one, str(file)) for one in read_lines(file)]
            table = open_table(file, columns, allow_outside=allow_outside, needs_ids=False)
            return [_called(one, str(file)) for one in replace(table, folder=Path()).read()]
        except InputsError as error:
            raise CliError(error.message.replace(legible(str(file)), "standard input"), error.next_step) from error


def _is_json_lines(data: bytes) -> bool:
    first = data.lstrip(b"\xef\xbb\xbf \t\r\n").split(b"\n", 1)[0]
    try:
        return isinstance(json.loads(first), dict | str)
    except (ValueError, RecursionError):
        return False


def _called(one: Entry | Unreadable, file: str) -> Entry | Unreadable:
    """As of `-` rather than of the file that it was kept in."""
    source = one.source.replace(file, "-")
    if isinstance(one, Unreadable):
        return Unreadable(source, None, one.reason, one.message.replace(file, "-"))
    id_ = "" if one.id.startswith("stdin.") else one.id
    return Entry(id_, source, one.kind, one.label, one.domain, one.content)
