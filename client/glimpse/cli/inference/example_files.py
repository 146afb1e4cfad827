"""Stores the file name of an example in its metadata, so that people recognise the example."""

import os
from pathlib import Path

from glimpse.cli.common.input_reader import Source
from glimpse.client import Client, GlimpseError

#: The metadata key, and the contract's limit for the characters of a value.
KEY, MAX_LENGTH = "file", 1024


def file_metadata(source: Source) -> dict[str, str]:
    """Returns metadata with the path of an input's file; empty for a text. Keeps the end of a path that is too long."""
    if not isinstance(source.content, Path):
        return {}
    # A file name may be any bytes, but the text of a message must be UTF-8.
    return {KEY: os.fsencode(source.content).decode("utf-8", "replace")[-MAX_LENGTH:]}


def file_of(client: Client, example: str) -> str | None:
    """Returns the file of an example, by its full name; None if it has none or the call fails."""
    try:
        return client.get_example(example).metadata.get(KEY)
    except GlimpseError:  # usually the example was deleted; the command works without the file's name
        return None
