"""Tests of hostile tables: limits of memory, and the files that a table may name."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glimpse.inputs import Columns, Entry, InputsError, TableDamaged, Unreadable, open_table
from glimpse.inputs.lines import MAX_LINE

Found = Entry | Unreadable


def read(path: Path, *, allow_outside: bool = False) -> list[Found]:
    return list(open_table(path, Columns(), allow_outside=allow_outside).read())


def reasons(found: list[Found]) -> list[str]:
    return [one.reason if isinstance(one, Unreadable) else one.source for one in found]


def test_a_table_names_no_file_outside_of_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    for name in ("1.png", "sub/2.png", "../secret.png"):
        (folder / name).write_bytes(b"x")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "up").symlink_to(tmp_path)
    (folder / "near.png").symlink_to("1.png")
    os.mkfifo(folder / "pipe.png")
    names = ["1.png", f"{folder}/sub/2.png", "sub/../near.png", "absent.png"]
    outside = [f"{tmp_path}/secret.png", "../secret.png", "sub/../../secret.png", "link.png", "up/secret.png"]
    table = folder / "t.csv"
    table.write_text("\n".join(["path", *names, *outside, "pipe.png", "/etc/passwd", "https://example.org/1.png"]))
    assert reasons(read(table)) == [
        *(str(folder / name) for name in names),
        *["PATH_OUTSIDE"] * len(outside),
        *("FILE_UNREADABLE", "PATH_OUTSIDE", "URL_NOT_FETCHED"),
    ]
    allowed = read(table, allow_outside=True)
    assert reasons(allowed)[4:9] == [str(folder / name) for name in outside]
    refused = read(table)[7]
    assert isinstance(refused, Unreadable)
    assert refused.message == "link.png is outside of the table's folder, by a link; add --allow-outside"


_READ = """
import sys
from pathlib import Path
import pyarrow.parquet
from glimpse.inputs import Columns, TableDamaged, Unreadable, open_table

def most():  # from the kernel, because getrusage starts with the parent's peak
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

before = most()
for file in sys.argv[1:]:
    found = [one.reason if isinstance(one, Unreadable) else "" for one in open_table(Path(file), Columns()).read()]
    print(Path(file).stem, *dict.fromkeys(found))
print((most() - before) // 1024)
"""


def test_kilobytes_of_parquet_do_not_become_gigabytes(tmp_path: Path) -> None:
    long = "x" * (1 << 25)
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * 128, pa.int32()), pa.array([long]))
    part = "x" * (1 << 23)
    how = {"compression": "zstd", "write_statistics": False}
    shared = {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}}
    # One file claims 4 GB by a dictionary, the others less: by compression, and by shared prefixes.
    pq.write_table(pa.table({"text": repeated}), tmp_path / "dictionary.parquet", **how)
    pq.write_table(pa.table({"text": [part] * 8}), tmp_path / "page.parquet", use_dictionary=False, **how)
    pq.write_table(pa.table({"text": [part] * 40}), tmp_path / "shared.parquet", **shared, **how)
    files = sorted(tmp_path.iterdir())
    assert max(file.stat().st_size for file in files) < 50_000
    done = subprocess.run([sys.executable, "-c", _READ, *files], capture_output=True, text=True, check=True)
    *lines, megabytes = done.stdout.splitlines()
    assert lines == ["dictionary TABLE_DAMAGED", "page TABLE_DAMAGED", "shared "]
    assert int(megabytes) < 400


def test_lists_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"], "label": [["b"]]}), tmp_path / "t.parquet")
    assert reasons(read(tmp_path / "t.parquet")) == ["TABLE_DAMAGED"]


def test_invalid_pages_are_damage(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": ["abc" * 100]}), file, compression="none")
    data = bytearray(file.read_bytes())
    data[4:24] = b"\xff" * 20
    file.write_bytes(data)
    assert reasons(read(file)) == ["TABLE_DAMAGED"]
    file.write_bytes(b"PAR1")
    with pytest.raises(TableDamaged):
        open_table(file, Columns())


def test_ordinary_parquet_is_read_whole(tmp_path: Path) -> None:
    texts = [f"text {row} " * (row % 50 + 1) for row in range(5_000)]
    ways: list[dict[str, Any]] = [{}, {"use_dictionary": False}, {"data_page_version": "2.0"}]
    for number, how in enumerate([*ways, {"compression": "none", "row_group_size": 700}]):
        file = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table({"text": texts, "label": [row % 3 for row in range(5_000)]}), file, **how)
        assert [one.content for one in read(file) if isinstance(one, Entry)] == texts


def test_rows_and_cells_of_any_length_are_bounded(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    with table.open("w") as file:
        file.write("text\nfirst\n")
        file.write("x" * (MAX_LINE + 10) + '\n"' + ("y" * 999 + "\n") * (MAX_LINE // 1000 + 2) + 'end"\nlast\n')
    found = read(table)
    assert reasons(found)[:3] == [f"{table}:2", "ROW_MALFORMED", "ROW_MALFORMED"]
    assert isinstance(found[-1], Entry)
    assert found[-1].content == "last"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("text\nréponse\n".encode("utf-16"), "UTF-16"),
        ("text\nanswer\n".encode("utf-16-le"), "UTF-16"),
        ("text\nanswer\n".encode("utf-32"), "UTF-32"),
        ("text\nréponse\n".encode("latin-1"), "Latin-1 or Windows-1252"),
    ],
)
def test_other_encodings_are_rejected_by_name(tmp_path: Path, content: bytes, name: str) -> None:
    for file in (tmp_path / "t.csv", tmp_path / "t.jsonl"):
        file.write_bytes(content)
        with pytest.raises(InputsError, match=f"is {name} text") as caught:
            open_table(file, Columns())
        assert "iconv" in caught.value.next_step
