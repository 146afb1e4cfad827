"""Suffixes of pictures, texts and tables. A test compares the pictures' suffixes with the decoder's formats."""

from importlib.util import find_spec

#: Suffixes of pictures that every server decodes.
PICTURES = frozenset(
    f".{suffix}"
    for suffix in (
        *("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "apng", "webp", "gif", "avif", "avifs", "bmp"),
        *("tif", "tiff", "jp2", "j2k", "jpc", "jpf", "jpx", "j2c", "ppm", "pgm", "pbm", "pnm", "pfm"),
    )
)
#: Suffixes of pictures that are decoded if pillow-heif is installed.
HEIF = frozenset((".heic", ".heics", ".heif", ".heifs", ".hif"))
TEXTS = frozenset((".txt",))
#: Suffixes of tables with cells, and their delimiters.
CELLS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
PARQUET = ".parquet"
TABLES = (*CELLS, *JSON_LINES, PARQUET)


def picture_suffixes() -> frozenset[str]:
    """Returns the suffixes of pictures to read from folders. Includes HEIF if pillow-heif is installed."""
    return PICTURES | HEIF if find_spec("pillow_heif") else PICTURES
