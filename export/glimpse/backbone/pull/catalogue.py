"""The catalogue of ready models: what is known of each, from which page, and whether it was ever pulled."""

import functools
import json
from dataclasses import dataclass
from importlib.resources import files

from glimpse.backbone.pull.text_settings import Pooling

_FILE = "catalogue.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """A model of the catalogue. A value that no page states is None or "".

    Attributes:
        name: the name in the catalogue.
        source: where it is, as `parse_source` takes it.
        modalities: what it reads.
        languages: ISO 639-1 codes, or `multilingual`.
        dimension: length of a vector.
        megabytes: size of the download, in 10^6 bytes.
        license: the licence of the weights, as its page states it.
        recall: a figure of retrieval in percent.
        recall_of: what the figure measures.
        recall_source: the page of the figure.
        facts: the page that states dimension, size and licence.
        tested: whether this version of Glimpse pulled it from the real hub.
        variant: see `choose_files`.
        pooling: the pooling, if no file of the model states it.
        prefix: the prompt, if no file of the model states it.
    """

    name: str
    source: str
    modalities: tuple[str, ...]
    languages: tuple[str, ...]
    dimension: int | None
    megabytes: int | None
    license: str
    recall: float | None
    recall_of: str
    recall_source: str
    facts: str
    tested: bool
    variant: str = ""
    pooling: Pooling | None = None
    prefix: str | None = None


@functools.cache
def catalogue() -> tuple[Entry, ...]:
    """Returns every model of the catalogue."""
    rows = json.loads((files("glimpse.backbone.pull") / _FILE).read_text("utf-8"))
    lists = ("modalities", "languages")
    return tuple(Entry(**{**row, **{name: tuple(row[name]) for name in lists}}) for row in rows)


def find_entry(name: str) -> Entry | None:
    """Returns the model of a name, or of a source with that model's revision left open; None if there is none."""
    return next((entry for entry in catalogue() if name in (entry.name, entry.source)), None)
