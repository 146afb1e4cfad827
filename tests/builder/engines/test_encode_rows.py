"""A single input may fail, with a reason, whatever it is."""

import os
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from glimpse.backbone import Embedder, Kind
from glimpse.builder.engines.encode_rows import Looked, look
from glimpse.builder.output.existing_rows import Known, make_known
from glimpse.inputs import Entry
from glimpse.inputs.fields import MAX_BYTES
from support.building import painted
from support.bundles import tiny_dual_bundle


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return Embedder(tiny_dual_bundle(tmp_path_factory.mktemp("look") / "bundle", dimension=16), threads=1)


@pytest.fixture
def known(tmp_path: Path) -> Iterator[Known]:
    make_known(tmp_path / "known", [], [])
    with closing(Known(tmp_path / "known")) as known:
        yield known


def entry(content: Path | str, kind: Kind = "image") -> Entry:
    return Entry("a", "here", kind, None, None, content)


def why(entry: Entry, known: Known, reader: Embedder) -> str:
    found, _ = look(entry, known, reader)
    return "" if isinstance(found, Looked) else found.reason


def test_a_file_too_large_is_not_read(known: Known, reader: Embedder, tmp_path: Path, monkeypatch: Any) -> None:
    path = painted(tmp_path, ["small"]) / "small.png"
    assert why(entry(path), known, reader) == ""
    os.truncate(path, MAX_BYTES + 1)
    monkeypatch.setattr(Path, "read_bytes", None)
    assert why(entry(path), known, reader) == "FILE_TOO_LARGE"


def test_a_text_file_is_the_text_that_every_command_reads(known: Known, reader: Embedder, tmp_path: Path) -> None:
    path = tmp_path / "1.txt"
    path.write_bytes(b"\xef\xbb\xbfa red circle\r\n")
    (found, _), (same, _) = look(entry(path, "text"), known, reader), look(entry("a red circle", "text"), known, reader)
    assert isinstance(found, Looked)
    assert isinstance(same, Looked)
    assert found.digest == same.digest
    path.write_bytes(b"\n")
    assert why(entry(path, "text"), known, reader) == "ROW_MALFORMED"


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(known: Known, reader: Embedder, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    reasons: list[str] = []
    # A build that read the pipe would wait forever.
    one = threading.Thread(target=lambda: reasons.append(why(entry(tmp_path / "pipe.png"), known, reader)), daemon=True)
    one.start()
    one.join(10)
    assert reasons == ["FILE_UNREADABLE"]


@pytest.mark.parametrize(
    ("error", "reason"), [(MemoryError(), "OUT_OF_MEMORY"), (ZeroDivisionError("odd"), "TEXT_UNREADABLE")]
)
def test_whatever_an_input_makes_of_the_tokenizer_it_fails_alone(
    known: Known, reader: Embedder, monkeypatch: Any, error: Exception, reason: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Embedder, "prepare", fail)
    assert why(entry("a text", "text"), known, reader) == reason
