"""Inputs of a build: the entries they give, their order, and the errors of the others."""

import csv
import gzip
import io
import itertools
import json
import os
import random
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glimpse.builder.errors import BuildError
from glimpse.builder.sources.sources import Layout, read_inputs
from glimpse.inputs import Columns, Entry, Kind, Unreadable, lines

Found = Entry | Unreadable
LABELS = Layout.parse("label")


def read(*inputs: object, layout: Layout = LABELS, columns: Columns | None = None, kinds: str = "image") -> list[Found]:
    return list(stream(*inputs, layout=layout, columns=columns, kinds=kinds))


def stream(
    *inputs: object, layout: Layout = LABELS, columns: Columns | None = None, kinds: str = "image"
) -> Iterator[Found]:
    which: list[Kind] = [kind for kind in ("image", "text") if kind in kinds.split()]
    return read_inputs([str(one) for one in inputs], layout, columns or Columns(), which)


def entries(found: Sequence[Found]) -> list[Entry]:
    assert all(isinstance(one, Entry) for one in found), found
    return [one for one in found if isinstance(one, Entry)]


def reasons(found: Sequence[Found]) -> list[str]:
    return [one.reason if isinstance(one, Unreadable) else one.id for one in found]


def ids(found: Sequence[Found]) -> list[str]:
    return [one.id for one in entries(found)]


def write(path: Path, content: str | bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        write(folder / name)
    return folder


def json_lines(path: Path, *records: object) -> Path:
    return write(path, "".join(one if isinstance(one, str) else f"{json.dumps(one)}\n" for one in records))


def make_tar(path: Path, *members: tuple[str, str | bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in members:
            data = content.encode() if isinstance(content, str) else content
            tar.addfile(_header(name, len(data)), io.BytesIO(data))
    return path


def _header(name: str, size: int = 0) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size = size
    return header


# Folders


def test_a_folder_gives_its_pictures_by_name_with_its_subfolders_as_labels(tmp_path: Path) -> None:
    folder = fill(tmp_path / "photos", "dog/2.JPG", "dog/1.png", "cat/deep/3.webp", "beside.png", "cat/notes.md")
    found = entries(read(folder))
    assert ids(found) == ["photos/beside.png", "photos/cat/deep/3.webp", "photos/dog/1.png", "photos/dog/2.JPG"]
    assert [one.label for one in found] == [None, "cat", "dog", "dog"]
    assert found[2] == Entry("photos/dog/1.png", str(folder / "dog/1.png"), "image", "dog", None, folder / "dog/1.png")


def test_ids_do_not_depend_on_how_the_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(tmp_path / "photos", "cat/1.png")
    monkeypatch.chdir(folder)
    assert ids(read(".")) == ids(read(folder)) == ids(read("../photos/")) == ["photos/cat/1.png"]
    assert entries(read("."))[0].source == "cat/1.png"


def test_hidden_files_and_folders_are_skipped(tmp_path: Path) -> None:
    folder = fill(tmp_path / "photos", ".thumbs/1.png", "cat/._1.png", "cat/1.png")
    assert ids(read(folder)) == ["photos/cat/1.png"]


def test_texts_of_a_folder_count_where_no_pictures_are_read(tmp_path: Path) -> None:
    folder = fill(tmp_path / "mixed", "a/1.png", "a/1.txt")
    assert [(one.id, one.kind, one.content) for one in entries(read(folder, kinds="text"))] == [
        ("mixed/a/1.txt", "text", folder / "a/1.txt")
    ]
    assert ids(read(folder, kinds="image text")) == ["mixed/a/1.png"]
    texts = fill(tmp_path / "texts", "a/1.txt", "a/2.md")
    assert ids(read(texts, kinds="image text")) == ["texts/a/1.txt"]


@pytest.mark.parametrize(
    ("layout", "label", "domain"),
    [
        (None, None, None),
        ("label", "a", None),
        ("domain/label", "b", "a"),
        ("*/label", "b", None),
        ("label/label", "a:b", None),
        ("label/domain", "a", "b"),
        ("*/*/*/label", None, None),
    ],
)
def test_a_layout_says_what_each_level_is(
    tmp_path: Path, layout: str | None, label: str | None, domain: str | None
) -> None:
    fill(tmp_path / "data", "a/b/c/1.png")
    (found,) = entries(read(tmp_path / "data", layout=Layout.parse(layout)))
    assert (found.label, found.domain) == (label, domain)


def test_a_file_less_deep_than_the_layout_has_no_label_and_keeps_its_domain(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", "indoor/1.png", "2.png")
    found = entries(read(folder, layout=Layout.parse("domain/label")))
    assert [(one.label, one.domain) for one in found] == [(None, None), (None, "indoor")]


@pytest.mark.parametrize("text", ["", "labels", "domain", "*", "label/*", "label//", "domain/domain/label", "/label"])
def test_a_layout_that_names_no_label_is_refused(text: str) -> None:
    with pytest.raises(BuildError, match="where labels are") as caught:
        Layout.parse(text)
    assert "domain/label" in caught.value.next_step


def test_a_folder_whose_name_is_no_label_fails_alone(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", "a\tb/1.png", "good/2.png", f"{'x' * 129}/3.png")
    assert reasons(read(folder)) == ["LABEL_INVALID", "data/good/2.png", "LABEL_INVALID"]


@pytest.mark.parametrize(("layout", "reason"), [("label", "LABEL_INVALID"), ("domain/label", "DOMAIN_INVALID")])
def test_a_folder_whose_name_is_not_utf8_gives_no_label(tmp_path: Path, layout: str, reason: str) -> None:
    folder = fill(tmp_path / "data", os.fsdecode(b"caf\xe9/b/1.png"), "cat/b/2.png")
    assert reasons(read(folder, layout=Layout.parse(layout))) == [reason, "data/cat/b/2.png"]


def test_a_name_that_is_not_utf8_gives_an_id_that_is(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    try:
        (folder / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (found,) = entries(read(folder))
    assert found.id == "data/caf\\xe9.png"
    assert isinstance(found.content, Path)
    assert found.content.read_bytes() == b"x"


def test_an_unlistable_folder_is_reported_and_the_rest_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "data", "a/1.png", "b/2.png", "c/3.png")
    real = os.scandir

    def closed(path: Path) -> object:
        if Path(path).name == "b":  # root may list every folder, so a mode alone would not prevent it
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", closed)
    assert reasons(read(folder)) == ["data/a/1.png", "FOLDER_UNREADABLE", "data/c/3.png"]
    pattern = reasons(read(tmp_path / "data/*/*.png"))
    assert pattern == ["data/a/1.png", "FOLDER_UNREADABLE", "data/c/3.png"]


def test_links_are_followed_without_cycles_and_broken_ones_are_reported(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", "a/1.png")
    (folder / "a" / "round").symlink_to(folder)
    (folder / "b").symlink_to(fill(tmp_path / "elsewhere", "2.png"))
    (folder / "lost.png").symlink_to(tmp_path / "nothing")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "lost.md").symlink_to(tmp_path / "nothing")
    os.mkfifo(folder / "pipe.png")
    assert reasons(read(folder)) == ["data/a/1.png", "data/b/2.png", "FILE_UNREADABLE", "FILE_UNREADABLE"]


# Patterns and files named alone


def test_a_picture_of_a_pattern_has_the_id_it_has_in_the_folder(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", "b/1.png", "a/1.png", "a/2.jpg", "3.png", ".h/4.png", "a/deep/5.png")
    assert read(folder / "*/*.png") == [one for one in read(folder) if one.id in ("data/a/1.png", "data/b/1.png")]
    assert ids(read(folder / "**/*.png")) == ["data/3.png", "data/a/1.png", "data/a/deep/5.png", "data/b/1.png"]
    assert ids(read(folder / "*/*.png", folder / "a/?.jpg", folder / "*.png")) == [
        *("data/a/1.png", "data/b/1.png", "a/2.jpg", "data/3.png")
    ]


def test_folders_tables_and_tars_of_a_pattern_are_as_if_named(tmp_path: Path) -> None:
    fill(tmp_path / "in" / "b", "cat/1.png")
    make_tar(tmp_path / "in" / "a.tar", ("k.png", b"x"))
    json_lines(tmp_path / "in" / "c.jsonl", {"path": "1.png"})
    assert ids(read(tmp_path / "in/*")) == ["a.tar/k", "b/cat/1.png", "c.jsonl:1"]


def test_an_existing_path_with_brackets_is_no_pattern(tmp_path: Path) -> None:
    fill(tmp_path / "data[1]", "cat/1.png")
    assert ids(read(tmp_path / "data[1]")) == ["data[1]/cat/1.png"]


def test_a_picture_named_alone_is_called_by_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "cat" / "1.png")
    assert read(path) == [Entry("1.png", str(path), "image", None, None, path)]


def test_a_text_file_named_alone_has_a_text_a_line(tmp_path: Path) -> None:
    path = write(tmp_path / "lines.txt", b"\xef\xbb\xbfone\r\n\n  two\n\xff\xfe\nlast")
    found = read(path, kinds="text")
    assert reasons(found) == ["lines.txt:1", "lines.txt:3", "ROW_MALFORMED", "lines.txt:5"]
    assert [one.content for one in found if isinstance(one, Entry)] == ["one", "  two", "last"]
    assert found[0].source == f"{path}:1"


def test_the_order_is_that_of_the_command_line(tmp_path: Path) -> None:
    fill(tmp_path / "b", "1.png")
    fill(tmp_path / "a", "1.png")
    assert ids(read(tmp_path / "b", tmp_path / "a")) == ["b/1.png", "a/1.png"]


# Errors that stop a build before it starts


def test_impossible_inputs_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", "1.png")
    write(tmp_path / "notes.md")
    write(tmp_path / "a.tar.zst")
    write(tmp_path / "lines.txt", "a")
    os.mkfifo(tmp_path / "pipe.png")
    for name, message in {
        "missing": "no file or folder .*missing",
        "data/*.jpg": "matches nothing",
        "gone/*.jpg": "no folder .*gone",
        "data/**/a/**/*.png": "more than one",
        "notes.md": "is not a folder",
        "a.tar.zst": "is not a folder",
        "pipe.png": "is not a folder",
        "lines.txt": "cannot read",
    }.items():
        with pytest.raises(BuildError, match=message):
            stream(folder, tmp_path / name)
    with pytest.raises(BuildError, match="a picture, which the backbone cannot read"):
        stream(folder / "1.png", kinds="text")


def test_inputs_whose_ids_would_start_alike_are_refused(tmp_path: Path) -> None:
    one, other = fill(tmp_path / "x" / "data", "1.png"), fill(tmp_path / "y" / "data", "1.png")
    tables = [json_lines(tmp_path / name / "t.jsonl", {"path": "1.png"}) for name in "xy"]
    for pair in (
        (one, other),
        (one, one),
        (one / "1.png", other / "1.png"),
        (one / "*.png", other / "*.png"),
        (one, other / "*.png"),
        tables,
    ):
        with pytest.raises(BuildError, match="both begin with") as caught:
            stream(*pair)
        assert str(pair[0]).removesuffix("/*.png") in str(caught.value)
        assert caught.value.next_step


def test_tables_of_one_name_that_give_ids_go_together(tmp_path: Path) -> None:
    tables = [json_lines(tmp_path / name / "t.jsonl", {"path": "1.png", "id": f"{name}1"}) for name in "xy"]
    assert ids(read(*tables)) == ["x1", "y1"]


# Tables


def test_csv_rows_are_entries_with_paths_relative_to_the_table(tmp_path: Path) -> None:
    table = write(tmp_path / "data.csv", f"\ufeffpath,label,domain\na/1.png,cat,indoor\n\n{tmp_path}/2.png, ,\n")
    first, second = entries(read(table))
    assert first == Entry("data.csv:2", f"{tmp_path}/a/1.png", "image", "cat", "indoor", tmp_path / "a/1.png")
    assert (second.id, second.label, second.domain, second.content) == ("data.csv:4", None, None, tmp_path / "2.png")


def test_a_row_is_known_by_the_line_it_begins_at(tmp_path: Path) -> None:
    table = write(tmp_path / "data.tsv", 'id\ttext\n7\t"two\nlines"\n8\tone\n')
    found = entries(read(table, kinds="text"))
    assert [(one.id, one.source, one.content) for one in found] == [
        ("7", f"{table}:2", "two\nlines"),
        ("8", f"{table}:4", "one"),
    ]


def test_columns_have_the_names_given(tmp_path: Path) -> None:
    table = json_lines(tmp_path / "t.jsonl", {"key": 5, "utterance": "hi", "intent": 3, "where": "home", "text": "no"})
    columns = Columns(id="key", label="intent", domain="where", text="utterance")
    assert read(table, columns=columns, kinds="text") == [Entry("5", f"{table}:1", "text", "3", "home", "hi")]


def test_pictures_come_before_texts_where_the_backbone_reads_both(tmp_path: Path) -> None:
    table = json_lines(tmp_path / "t.jsonl", {"text": "a cat", "image": "1.png"})
    assert [one.kind for one in entries(read(table, kinds="image text"))] == ["image"]
    assert [one.kind for one in entries(read(table, kinds="text"))] == ["text"]
    both = entries(read(table, kinds="image text", columns=Columns(text="text")))
    assert [one.content for one in both] == ["a cat"]


@pytest.mark.parametrize(
    ("content", "columns", "kinds", "message"),
    [
        ("name,label\na,b\n", Columns(), "image", "no column 'path' or 'image'; it has name, label"),
        ("path,label\na,b\n", Columns(), "text", "no column 'text'"),
        ("bytes,label\na,b\n", Columns(), "image", "no column"),
        ("text,label\na,b\n", Columns(text="utterance"), "text", "no column 'utterance'"),
        ("text,label\na,b\n", Columns(label="intent"), "text", "no column 'intent'"),
        ("text,label\na,b\n", Columns(text="text"), "image", "no column"),
    ],
)
def test_a_table_without_its_columns_is_refused(
    tmp_path: Path, content: str, columns: Columns, kinds: str, message: str
) -> None:
    with pytest.raises(BuildError, match=message):
        stream(write(tmp_path / "t.csv", content), columns=columns, kinds=kinds)


def test_a_file_without_json_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="is not JSON lines"):
        stream(write(tmp_path / "t.jsonl", "[\n1,\n2\n]\n"))


def test_empty_tables_give_nothing(tmp_path: Path) -> None:
    empty = [write(tmp_path / name, "") for name in ("a.csv", "b.jsonl", "c.txt")]
    header = write(tmp_path / "d.csv", "text,label\n")
    assert read(*empty, header, kinds="text") == []


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"one cell", "ROW_MALFORMED"),
        (b"a,b,c,d", "ROW_MALFORMED"),
        (b",,cat", "ROW_MALFORMED"),
        (b"7, ,cat", "ROW_MALFORMED"),
        (b"7,\xff.png,cat", "ROW_MALFORMED"),
        (b"7,a\0.png,cat", "ROW_MALFORMED"),
        (b"7,https://example.org/1.png,cat", "URL_NOT_FETCHED"),
        (b"7,s3://bucket/1.png,cat", "URL_NOT_FETCHED"),
        (b"7,1.png,a/b", "LABEL_INVALID"),
        (b'7,1.png,"a\nb"', "LABEL_INVALID"),
        (b"7,1.png,\xff", "LABEL_INVALID"),
        (b"7,1.png," + b"x" * 129, "LABEL_INVALID"),
    ],
)
def test_a_malformed_csv_row_is_reported_and_the_rest_continues(tmp_path: Path, row: bytes, reason: str) -> None:
    table = write(tmp_path / "t.csv", b"id,path,label\n1,1.png,cat\n" + row + b"\n3,3.png,dog\n")
    found = read(table)
    assert reasons(found) == ["1", reason, "3"]
    assert found[1].source == f"{table}:3"
    assert found[1].id == ("7" if row.startswith(b"7,") else None)


def test_a_quote_that_is_not_closed_is_no_row_that_swallows_the_rest(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", 'label,text\na,one\nb,"two\nc,three\n')
    found = read(table, kinds="text")
    assert reasons(found) == ["t.csv:2", "ROW_MALFORMED"]
    assert isinstance(found[1], Unreadable)
    assert "quote" in found[1].message
    assert ids(read(write(tmp_path / "t.csv", "label,text\na,no line end"), kinds="text")) == ["t.csv:2"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{broken\n", "ROW_MALFORMED"),
        ("[" * 100_000 + "\n", "ROW_MALFORMED"),
        ('["a list"]\n', "ROW_MALFORMED"),
        ('{"text": "no id"}\n', "ROW_MALFORMED"),
        ('{"id": null, "text": "a"}\n', "ROW_MALFORMED"),
        ('{"id": 7, "text": null}\n', "ROW_MALFORMED"),
        ('{"id": 7, "text": 5}\n', "ROW_MALFORMED"),
        ('{"id": 7}\n', "ROW_MALFORMED"),
        ('{"id": 7, "text": " "}\n', "ROW_MALFORMED"),
        ('{"id": 7, "text": "\\ud800"}\n', "ROW_MALFORMED"),
        ('{"id": 7, "text": "a", "label": ["b"]}\n', "LABEL_INVALID"),
        ('{"id": 7, "text": "a", "label": "\\u0007"}\n', "LABEL_INVALID"),
        ('{"id": 7, "text": "a", "domain": {}}\n', "DOMAIN_INVALID"),
    ],
    ids=range(13),
)
def test_a_malformed_json_row_is_reported_and_the_rest_continues(tmp_path: Path, row: str, reason: str) -> None:
    table = json_lines(tmp_path / "t.jsonl", {"id": 1, "text": "a"}, row, "\n", {"id": "3", "text": "c", "label": 1.5})
    found = read(table, kinds="text")
    assert reasons(found) == ["1", reason, "3"]
    assert found[1].source == f"{table}:2"
    assert found[2] == Entry("3", f"{table}:4", "text", "1.5", None, "c")


def test_a_column_that_looks_like_a_slip_of_label_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = write(tmp_path / "t.csv", "text,Label\na,b\n")
    assert [one.label for one in entries(read(table, kinds="text"))] == [None]
    assert caplog.messages == [f"{table} has no column 'label'; did you mean 'Label'? Then add --label-column Label"]


@pytest.mark.parametrize("name", ["t.jsonl", "t.txt"])
def test_a_line_that_is_too_long_is_passed_over_and_not_read_whole(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 1 << 12)
    records = [json.dumps({"text": text}) for text in ("a", "b" * (1 << 25), "c")]
    path = write(tmp_path / name, "\n".join(records))
    del records
    tracemalloc.start()
    found = read(path, kinds="text")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reasons(found) == [f"{name}:1", "ROW_MALFORMED", f"{name}:3"]
    assert peak < 1 << 22


def test_too_deep_folders_are_reported_and_the_rest_continues(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    place = os.open(tmp_path / "p", os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=place)
        deeper = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = deeper
    os.close(place)
    write(tmp_path / "p" / "e.png")
    assert reasons(read(tmp_path / "p")) == ["FOLDER_UNREADABLE", "p/e.png"]
    assert reasons(read(tmp_path / "p" / "**" / "*.png")) == ["FOLDER_UNREADABLE", "p/e.png"]


def test_parquet_holds_bytes_paths_or_texts(tmp_path: Path) -> None:
    for name, columns in {
        "bytes": {"bytes": [b"one", b"two"], "path": ["message.png", None], "label": [3, None]},
        "paths": {"path": ["1.png", "2.png"], "label": ["3", None]},
        "datasets": {"image": [{"bytes": b"one", "path": None}, {"bytes": None, "path": "2.png"}]},
        "texts": {"text": ["one", "two"], "label": pa.array(["3", None]).dictionary_encode()},
    }.items():
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    contents = {
        name: [one.content for one in entries(read(tmp_path / f"{name}.parquet", kinds=kinds))]
        for name, kinds in (("bytes", "image"), ("paths", "image"), ("datasets", "image text"), ("texts", "text"))
    }
    assert contents == {
        "bytes": [b"one", b"two"],
        "paths": [tmp_path / "1.png", tmp_path / "2.png"],
        "datasets": [b"one", tmp_path / "2.png"],
        "texts": ["one", "two"],
    }
    first, second = entries(read(tmp_path / "bytes.parquet"))
    assert (first.id, first.source, first.label) == ("bytes.parquet:1", f"{tmp_path}/bytes.parquet:1", "3")
    assert (second.id, second.label) == ("bytes.parquet:2", None)


def test_malformed_rows_of_parquet_are_reported_and_the_rest_continues(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b", None, "d"], "bytes": [b"x", None, b"x", b"x"], "label": [float("nan")] * 4})
    pq.write_table(table, tmp_path / "t.parquet")
    found = read(tmp_path / "t.parquet")
    assert reasons(found) == ["a", "ROW_MALFORMED", "ROW_MALFORMED", "d"]
    assert [one.label for one in found if isinstance(one, Entry)] == [None, None]
    pq.write_table(pa.table({"bytes": ["no bytes"]}), tmp_path / "u.parquet")
    assert reasons(read(tmp_path / "u.parquet")) == ["ROW_MALFORMED"]


def test_a_damaged_table_is_reported_and_the_next_input_continues(tmp_path: Path) -> None:
    table, beside = tmp_path / "t.parquet", fill(tmp_path / "data", "1.png")
    pq.write_table(pa.table({"path": [f"{row}.png" for row in range(2_000)]}), table, row_group_size=100)
    whole = table.read_bytes()
    broken = bytearray(whole)
    broken[len(whole) // 2 : len(whole) // 2 + 400] = bytes(400)
    for content in (b"no parquet", whole[:-10], bytes(broken)):
        found = reasons(read(write(table, content), beside))
        assert found[-2:] == ["TABLE_DAMAGED", "data/1.png"]
    assert found[0] == "t.parquet:1"  # the entries before the damage
    assert 100 < len(found) < 2_000


def test_a_file_without_permission_is_reported_when_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [json_lines(tmp_path / "t.jsonl", {"path": "1.png"}), write(tmp_path / "lines.txt", "a")]
    paths.append(make_tar(tmp_path / "t.tar", ("a.png", b"x")))
    beside = fill(tmp_path / "data", "1.png")

    def closed(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", closed)
    found = read(*paths, beside, kinds="image text")
    assert reasons(found) == ["FILE_UNREADABLE"] * 3 + ["data/1.png"]
    assert [one.source for one in found[:3]] == [str(path) for path in paths]


# Tars


@pytest.mark.parametrize(("name", "mode"), [("s.tar", "w"), ("s.tar.gz", "w:gz"), ("s.tgz", "w:gz")])
def test_a_sample_is_the_members_of_one_key(tmp_path: Path, name: str, mode: str) -> None:
    shard = make_tar(
        tmp_path / name,
        ("./a/1.jpg", b"one"),
        ("./a/1.cls", "cat\n"),
        ("./a/1.seg.png", b"mask"),
        ("README.md", "read me"),
        ("._2.png", b"apple"),
        ("@eaDir/2.png", b"thumbnail"),
        ("2.json", json.dumps({"label": 7, "domain": "indoor", "id": "two"})),
        ("2.PNG", b"two"),
        ("3.txt", "a caption"),
        ("3.png", b"three"),
        mode=mode,
    )
    assert read(shard, kinds="image text") == [
        Entry(f"{name}/a/1", f"{shard}/a/1", "image", "cat", None, b"one"),
        Entry("two", f"{shard}/2", "image", "7", "indoor", b"two"),
        Entry(f"{name}/3", f"{shard}/3", "image", None, None, b"three"),
    ]
    texts = read(shard, kinds="text")
    assert [one.content for one in texts if isinstance(one, Entry)] == ["a caption"]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("2.png", b"x"), ("2.json", "{")], "ROW_MALFORMED"),
        ([("2.png", b"x"), ("2.json", "[" * 100_000)], "ROW_MALFORMED"),
        ([("2.png", b"x"), ("2.json", "[]")], "ROW_MALFORMED"),
        ([("2.png", b"x"), ("2.json", '{"id": " "}')], "ROW_MALFORMED"),
        ([("2.png", b"x"), ("2.cls", b"\xff")], "ROW_MALFORMED"),
        ([("2.png", b"x"), ("2.cls", "a/b")], "LABEL_INVALID"),
        ([("2.png", b"")], "ROW_MALFORMED"),
        ([("2.cls", "cat")], "ROW_MALFORMED"),
        ([("2.v1.png", b"x"), ("2.v2.png", b"x")], "ROW_MALFORMED"),
        ([("2.txt", b"\xff")], "ROW_MALFORMED"),
        ([("2.txt", " ")], "ROW_MALFORMED"),
    ],
    ids=range(11),
)
def test_a_malformed_sample_is_reported_and_the_rest_continues(
    tmp_path: Path, members: list[tuple[str, str | bytes]], reason: str
) -> None:
    shard = make_tar(tmp_path / "s.tar", ("1.png", b"x"), *members, ("3.png", b"x"))
    found = read(shard, kinds="image text")
    assert reasons(found) == ["s.tar/1", reason, "s.tar/3"]
    assert found[1].source == f"{shard}/2"


def test_a_truncated_tar_gives_its_first_entries_and_the_next_input_continues(tmp_path: Path) -> None:
    shard = make_tar(tmp_path / "s.tar", *((f"{key}.{suffix}", b"x" * 900) for key in "abc" for suffix in ("png", "x")))
    whole, beside = shard.read_bytes(), fill(tmp_path / "data", "1.png")
    sample = 2 * (512 + 1_024)
    for at, before in {
        0: [],
        100: [],
        2 * sample + 100: ["s.tar/a"],  # within a header
        2 * sample + 600: ["s.tar/a"],  # within a picture
        3 * sample: ["s.tar/a", "s.tar/b"],  # before the mark of the end
    }.items():
        found = read(write(shard, whole[:at]), beside)
        assert reasons(found) == [*before, "TAR_DAMAGED", "data/1.png"], at
    assert isinstance(found[-2], Unreadable)
    assert "'c', its last sample" in found[-2].message
    packed = gzip.compress(whole)
    shard.unlink()
    assert reasons(read(write(tmp_path / "s.tgz", packed[: len(packed) // 2]), beside))[-2:] == [
        *("TAR_DAMAGED", "data/1.png")
    ]


def test_bytes_of_a_tar_that_are_broken_never_stop_the_rest(tmp_path: Path) -> None:
    shard = make_tar(tmp_path / "s.tar", *((f"{'long/' * 40}{key}.png", b"x" * 700) for key in range(4)))
    whole, beside, chance = shard.read_bytes()[:12_000], fill(tmp_path / "data", "1.png"), random.Random(0)
    damaged = 0
    for _ in range(300):
        broken = bytearray(whole)
        for at in chance.sample(range(len(broken)), 8):
            broken[at] = chance.randrange(256)
        found = reasons(read(write(shard, bytes(broken)), beside))
        assert found[-1] == "data/1.png"
        damaged += "TAR_DAMAGED" in found
    assert damaged > 50


def test_nothing_in_a_hostile_tar_is_a_path_on_this_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = write(tmp_path / "secret.png", b"secret")
    shard = tmp_path / "s.tar"
    with tarfile.open(shard, "w") as tar:
        for name in (str(tmp_path / "absolute.png"), "../../up.png"):
            tar.addfile(_header(name, 1), io.BytesIO(b"x"))
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)):
            header = _header(f"{number}.png")
            header.type, header.linkname = kind, str(secret)
            tar.addfile(header)
        header = _header("folder.png")
        header.type = tarfile.DIRTYPE
        tar.addfile(header)
        tar.addfile(_header("last.png", 1), io.BytesIO(b"x"))
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    found = read(shard)
    assert reasons(found) == [
        *(f"s.tar/{tmp_path}/absolute", "s.tar/../../up"),
        *["ROW_MALFORMED"] * 4,
        "s.tar/last",
    ]
    assert {one.content for one in found if isinstance(one, Entry)} == {b"x"}
    assert sorted(tmp_path.rglob("*")) == before


def test_sizes_that_a_tar_claims_are_not_believed(tmp_path: Path) -> None:
    shard, size = tmp_path / "s.tar", 1 << 40
    write(shard, _header("big.png", size).tobuf())
    assert reasons(read(shard)) == ["TAR_DAMAGED"]
    name = _header("././@LongLink", size)
    name.type = tarfile.GNUTYPE_LONGNAME
    write(shard, name.tobuf(tarfile.GNU_FORMAT) + bytes(4_096))
    (found,) = read(shard)
    assert isinstance(found, Unreadable)
    assert "a header of" in found.message


# Streaming


def _csv(path: Path, count: int) -> Path:
    with path.open("w") as file:
        csv.writer(file).writerows([("path", "label"), *((f"{row}.png", f"l{row % 7}") for row in range(count))])
    return path


def _jsonl(path: Path, count: int) -> Path:
    return json_lines(path, *({"path": f"{row}.png", "label": row % 7} for row in range(count)))


def _parquet(path: Path, count: int) -> Path:
    chance = random.Random(0)
    content = [chance.randbytes(300) for _ in range(count)]
    pq.write_table(pa.table({"bytes": content}), path, row_group_size=count)  # all in one
    return path


def _tar(path: Path, count: int) -> Path:
    with path.open("wb") as file:
        for row in range(count):
            file.write(_header(f"{row}.png", 3).tobuf(tarfile.USTAR_FORMAT) + b"png".ljust(512, b"\0"))
        file.write(bytes(1_024))
    return path


def _folder(path: Path, count: int) -> Path:
    return fill(path, *(f"{row // 500}/{row}.png" for row in range(count)))


# Bytes. Paths are interned, and Python's table of interned strings grows by this once, in whichever test is first.
# Keeping entries would take twice as much.
_TABLE = 12_000_000
WRITERS = {"t.csv": _csv, "t.jsonl": _jsonl, "t.parquet": _parquet, "t.tar": _tar}


def _peak(path: object) -> tuple[int, int]:
    """Returns the peak of Python's and Arrow's memory, in bytes, above that of before."""
    before, arrow = pa.total_allocated_bytes(), 0
    tracemalloc.start()
    try:
        for number, _ in enumerate(stream(path)):
            if number % 100 == 0:
                arrow = max(arrow, pa.total_allocated_bytes() - before)
        return tracemalloc.get_traced_memory()[1], arrow
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", WRITERS)
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, name: str) -> None:
    few, many = (WRITERS[name](tmp_path / f"{count}{name}", count) for count in (2_000, 20_000))
    _peak(few)  # load the modules that are imported on first use
    small, large = _peak(few), _peak(many)
    assert large[0] < small[0] + _TABLE
    assert large[1] < small[1] + 2_000_000


@pytest.mark.parametrize("pattern", ["", "*/*.png"])
def test_memory_does_not_grow_with_the_folders(tmp_path: Path, pattern: str) -> None:
    few, many = _folder(tmp_path / "few", 500), _folder(tmp_path / "many", 10_000)
    _peak(few / pattern)
    assert _peak(many / pattern)[0] < _peak(few / pattern)[0] + 3_500_000


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_the_first_entry_comes_before_the_rest_is_read(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = WRITERS[name](tmp_path / name, 200_000)
    drawn: list[Callable[[], int]] = []
    real = Path.open

    def watched(self: Path, *args: object, **kwargs: object) -> object:
        file = real(self, *args, **kwargs)  # type: ignore[call-overload]
        drawn.append(lambda: file.seek(0, os.SEEK_CUR))
        return file

    monkeypatch.setattr(Path, "open", watched)
    found = stream(table)
    assert isinstance(next(found), Entry)
    assert drawn[-1]() < table.stat().st_size / 10
    assert len(ids(list(itertools.islice(found, 500)))) == 500
