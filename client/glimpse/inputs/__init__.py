"""Inputs as people have them: folders, text files and tables, for the command, evaluation and bulk builds.

    for file in walk(Path("photos"), picture_suffixes(), skipped := Skipped()): ...
    for entry in read_lines(Path("texts.txt")): ...
    for entry in open_table(Path("rows.csv"), Columns(label="intent")).read(): ...

Readers yield an `Entry` for each input, and an `Unreadable` for one that cannot be used; `InputsError` is raised before
the first where there is none to be had. Every label comes in NFC and without spaces around it, every text can be sent
as UTF-8, and every size has a bound. The standard library alone, but for pyarrow where a table is Parquet.
"""

from glimpse.inputs.entries import Entry, Kind, Unreadable
from glimpse.inputs.errors import InputsError, Rejected
from glimpse.inputs.fields import domain_of, id_of, label_of, legible, text_of
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
