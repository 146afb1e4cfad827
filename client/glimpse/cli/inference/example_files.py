"""The files that examples were enrolled from, kept in their metadata, so that people know them again."""

import os
from pathlib import Path

from glimpse.cli.common.inputs import Source
from glimpse.client import Client, GlimpseError

#: The key, and the most characters that a value has by the contract.
KEY, LONGEST = "file", 1024


def file_metadata(source: Source) -> dict[str, str]:
    """An input's file, as it was given; nothing for a text. A path's end tells more than its beginning."""
    if not isinstance(source.content, Path):
        return {}
    # A file's name need not be UTF-8, a message's text must be.
    return {KEY: os.fsencode(source.content).decode("utf-8", "replace")[-LONGEST:]}


def file_of(client: Client, example: str) -> str | None:
    """The file of an example, given by its full name; None where it has none or cannot be asked for."""
    try:
        return client.get_example(example).metadata.get(KEY)
    except GlimpseError:  # gone meanwhile, most often; whatever it is, a name is not worth failing for
        return None
