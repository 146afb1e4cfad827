"""Reads inputs from folders, text files and tables, for the command, evaluation and index builds.

    for file in walk(Path("photos"), picture_suffixes(), skipped := Skipped()): ...
    for entry in read_lines(Path("texts.txt")): ...
    for entry in open_table(Path("rows.csv"), Columns(label="intent")).read(): ...

Readers yield an `Entry` for each input, and an `Unreadable` for each input that cannot be used. They raise
`InputsError` before the first input if the source cannot be read at all. Labels are stripped and normalised to NFC,
texts are valid UTF-8, and all sizes are bounded. Only Parquet needs more than the standard library: pyarrow.
"""

from glimpse.inputs.entries import Entry, Kind, Unreadable
from glimpse.inputs.errors import InputsError, Rejected
from glimpse.inputs.fields import domain_of, group_of, id_of, label_of, legible, text_of
from glimpse.inputs.folders import File, Skipped, pictures_in, subfolders, walk
from glimpse.inputs.formats import PICTURES, TABLES, TEXTS, picture_suffixes
from glimpse.inputs.labelled import kind_of, read_folder, read_labelled
from glimpse.inputs.lines import read_lines, read_text
from glimpse.inputs.parquet import TableDamaged
from glimpse.inputs.paths import TableFolder
from glimpse.inputs.tables import Columns, Table, open_table

__all__ = [
    "PICTURES",
    "TABLES",
    "TEXTS",
    "Columns",
    "Entry",
    "File",
    "InputsError",
    "Kind",
    "Rejected",
    "Skipped",
    "Table",
    "TableDamaged",
    "TableFolder",
    "Unreadable",
    "domain_of",
    "group_of",
    "id_of",
    "kind_of",
    "label_of",
    "legible",
    "open_table",
    "picture_suffixes",
    "pictures_in",
    "read_folder",
    "read_labelled",
    "read_lines",
    "read_text",
    "subfolders",
    "text_of",
    "walk",
]
