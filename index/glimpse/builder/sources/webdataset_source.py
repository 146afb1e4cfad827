"""Reads webdataset tars: consecutive files with the same key form one input. No name in a tar is used as a path."""

import bz2
import gzip
import json
import lzma
import tarfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from glimpse.inputs import (
    Columns,
    Entry,
    Kind,
    Rejected,
    Unreadable,
    domain_of,
    group_of,
    id_of,
    label_of,
    legible,
    picture_suffixes,
    text_of,
)
from glimpse.inputs.errors import FILE_UNREADABLE, ROW_MALFORMED
from glimpse.inputs.fields import MAX_BYTES
from glimpse.inputs.folders import is_hidden

# tarfile's type stubs lack some names.
_tarfile: Any = tarfile

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_METADATA = ("cls", "json")
_MAX_HEADER = 1 << 20  # bytes of a name or attribute list, which tarfile reads at once
_BLOCK = 1 << 20  # bytes of a tar read at a time
_COMPRESSED: dict[bytes, Callable[[BinaryIO], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_ENDS = 16  # times that tarfile may reach the end of a valid file
_HEADERS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, *(b"x", b"g", b"X"))  # of GNU, POSIX and Solaris


class _Damaged(Exception):
    """Raised if the rest of a tar cannot be read."""


class _Ending:
    """A file that notices its end: to skip a member, tarfile would otherwise read for as long as the claimed size."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._ends = file, 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._ends += not data
        if self._ends > _ENDS:
            raise _Damaged("unexpected end of data")
        return data


class _Header(tarfile.TarInfo):
    """A header that raises if it is broken or missing, where tarfile would assume the end of the tar."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        try:
            header = super().frombuf(buf, encoding, errors)
        except _tarfile.EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            raise _Damaged(f"{error}, where a file or the end should be") from error
        if header.type in _HEADERS and header.size > _MAX_HEADER:
            raise _Damaged(f"a header of {header.size} bytes")
        return header


@dataclass(slots=True)
class _Sample:
    """The files of one key, by suffix; `passed_over` describes a file that may have been meant but does not count."""

    key: str
    parts: dict[str, bytes] = field(default_factory=dict)
    passed_over: str = ""


def read_tar(path: Path, columns: Columns, kinds: Collection[Kind]) -> Iterator[Entry | Unreadable]:
    """Yields a tar's samples in order, with one at a time in memory. Labels are in `.cls`, or under `label` in `.json`.

    Args:
        path: the tar, which may be compressed.
        columns: names of the keys in `.json`.
        kinds: what the backbone reads.
    """
    source = legible(str(path))
    try:
        file = path.open("rb")
    except OSError as error:
        yield Unreadable(source, None, FILE_UNREADABLE, f"{source} cannot be read: {error.strerror}")
        return
    contents = _suffixes(kinds)
    sample: _Sample | None = None
    with file:
        try:
            for member, content in _members(file, {*contents, *_METADATA}):
                key, suffix = _split(member.name)
                if sample is None or key != sample.key:
                    if sample:
                        yield _read(path, sample, contents, columns)
                    sample = _Sample(key)
                if isinstance(content, bytes):
                    sample.parts[suffix] = content
                else:
                    sample.passed_over = sample.passed_over or content
        except _Damaged as error:
            # A missing part may have been the label.
            omitted = f"; {sample.key!r}, its last sample, may lack a part and is left out" if sample else ""
            yield Unreadable(source, None, "TAR_DAMAGED", f"{source} is damaged: {error}{omitted}")
            return
    if sample:
        yield _read(path, sample, contents, columns)


def _suffixes(kinds: Collection[Kind]) -> list[str]:
    """Returns the suffixes of contents, preferred ones first."""
    pictures = sorted(suffix[1:] for suffix in picture_suffixes()) if "image" in kinds else []
    return [*pictures, *(["txt"] if "text" in kinds else [])]


def _members(file: BinaryIO, wanted: Collection[str]) -> Iterator[tuple[tarfile.TarInfo, bytes | str]]:
    """Yields files with a wanted suffix, with their bytes or the reason why they do not count. Raises _Damaged."""
    try:
        plain = _decompressed(file)
        with _tarfile.open(fileobj=_Ending(plain), mode="r|", tarinfo=_Header, bufsize=_BLOCK) as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # tarfile would keep all of them
                suffix = _split(member.name)[1]
                if member.isdir() or _hidden(member.name) or suffix.rpartition(".")[2] not in wanted:
                    continue
                if not member.isreg() or member.issparse():
                    yield member, f"{legible(member.name)!r} is not a regular file"
                elif suffix not in wanted:
                    yield member, f"{legible(member.name)!r} has more than one suffix after its first dot"
                elif member.size > MAX_BYTES:
                    yield member, f"{legible(member.name)!r} has {member.size} bytes; at most {MAX_BYTES}"
                elif (opened := tar.extractfile(member)) is not None:
                    yield member, opened.read()
    except Exception as error:  # exceptions of tarfile on hostile bytes have no common base
        raise _Damaged(str(error) or type(error).__name__) from error


def _decompressed(file: BinaryIO) -> BinaryIO:
    """Returns the uncompressed tar of a file that may be compressed."""
    begin = file.read(6)
    file.seek(0)
    # tarfile decompresses a whole block at once, whatever its size, and would need blocks too small to be fast.
    for magic, opened in _COMPRESSED.items():
        if begin.startswith(magic):
            return cast(BinaryIO, opened(file))
    return file


def _split(name: str) -> tuple[str, str]:
    """Returns a member's key, and its suffix without the first dot in lower case."""
    folder, slash, base = name.removeprefix("./").rpartition("/")
    stem, _, suffix = base.partition(".")
    return f"{folder}{slash}{stem}", suffix.lower()


def _hidden(name: str) -> bool:
    return any(is_hidden(part) and part not in (".", "..") for part in name.split("/"))


def _read(path: Path, sample: _Sample, contents: list[str], columns: Columns) -> Entry | Unreadable:
    key = legible(sample.key)
    id_, source = f"{legible(path.name)}/{key}", f"{legible(str(path))}/{key}"
    try:
        metadata, id_key = _metadata(sample), columns.name("id")
        suffix = next((suffix for suffix in contents if suffix in sample.parts), None)
        if suffix is None:
            content_of = sample.passed_over or f"only .{', .'.join(sample.parts)}"
            raise Rejected(ROW_MALFORMED, f"{source} has nothing that the backbone reads: {content_of}")
        if metadata.get(id_key) is not None:
            id_ = id_of(metadata[id_key], id_key)
        label = sample.parts["cls"].decode() if "cls" in sample.parts else metadata.get(columns.name("label"))
        content = sample.parts[suffix]
        named = (label_of(label), domain_of(metadata.get(columns.name("domain"))))
        group = group_of(metadata.get(columns.name("group")))
        if suffix == "txt":
            return Entry(id_, source, "text", *named, text_of(content.decode(), "the text"), group)
        if not content:
            raise Rejected(ROW_MALFORMED, f".{suffix} is empty")
        return Entry(id_, source, "image", *named, content, group)
    except UnicodeDecodeError as error:
        return Unreadable(source, id_, ROW_MALFORMED, f"not UTF-8: {error}")
    except Rejected as error:
        return Unreadable(source, id_, error.reason, str(error))


def _metadata(sample: _Sample) -> dict[str, Any]:
    """Returns the sample's JSON. Raises Rejected."""
    try:
        metadata = json.loads(sample.parts.get("json", b"{}"))
    except (ValueError, RecursionError) as error:
        raise Rejected(ROW_MALFORMED, f".json is not JSON: {error}") from error
    if not isinstance(metadata, dict):
        raise Rejected(ROW_MALFORMED, ".json is not a JSON object")
    return metadata
