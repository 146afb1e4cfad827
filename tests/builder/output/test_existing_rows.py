"""Existing rows by id and by content, and which of two rows of an id counts."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pyarrow as pa

from glimpse.builder.output.existing_rows import Ids, Known, make_known
from glimpse.inputs import Entry


def table(*rows: tuple[str, bytes, str | None], about: list[str | None] | None = None) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    none = [None] * len(rows)
    fields = {"id": columns[0], "digest": columns[1], "label": columns[2], "domain": none, "about": about or none}
    return pa.table({name: pa.array(values) for name, values in fields.items()})


def entry(id: str, label: str | None = None, domain: str | None = None, group: str | None = None) -> Entry:
    return Entry(id, f"/{id}", "text", label, domain, "", group)


def test_an_id_is_new_the_same_or_changed(tmp_path: Path) -> None:
    make_known(tmp_path / "k", [table(("a", b"1", "x"), ("b", b"2", None))], [])
    with closing(Known(tmp_path / "k")) as known:
        assert known.state(entry("c"), b"1") == "new"
        assert known.state(entry("a", "x"), b"1") == "same"
        assert known.state(entry("b"), b"2") == "same"
        assert known.state(entry("a", "x"), b"2") == "changed"
        assert known.state(entry("a"), b"1") == "changed"
        assert known.state(entry("a", "x", "night"), b"1") == "changed"


def test_another_group_is_a_change(tmp_path: Path) -> None:
    rows = table(("a", b"1", None), ("b", b"2", None), about=['{"group": "clip", "modality": "text"}', None])
    make_known(tmp_path / "k", [rows], [])
    with closing(Known(tmp_path / "k")) as known:
        found = [
            known.state(entry(id, group=group), digest)
            for id, digest in (("a", b"1"), ("b", b"2"))
            for group in ("clip", None)
        ]
    assert found == ["same", "changed", "changed", "same"]


def test_the_later_row_of_an_id_counts(tmp_path: Path) -> None:
    base, made = [table(("a", b"1", None)), table(("a", b"2", None))], [table(("a", b"3", None), ("b", b"4", None))]
    make_known(tmp_path / "k", base, made)
    with closing(Known(tmp_path / "k")) as known:
        assert [known.state(entry("a"), digest) for digest in (b"1", b"2", b"3")] == ["changed", "changed", "same"]


def test_content_is_found_if_the_index_had_it_before_the_build(tmp_path: Path) -> None:
    base = [table(("a", b"1", None), ("b", b"2", None)), table(("c", b"2", None), ("d", b"3", None))]
    make_known(tmp_path / "k", base, [table(("e", b"4", None))])
    with closing(Known(tmp_path / "k")) as known, ThreadPoolExecutor(4) as pool:
        wanted = [b"1", b"2", b"3", b"4"] * 50
        assert list(pool.map(known.row, wanted)) == [0, 1, 3, None] * 50


def test_a_leftover_scratch_file_is_replaced(tmp_path: Path) -> None:
    make_known(tmp_path / "k #1?", [table(("a", b"1", None))], [])
    make_known(tmp_path / "k #1?", [], [])
    with closing(Known(tmp_path / "k #1?")) as known:
        assert known.state(entry("a"), b"1") == "new"


def test_ids_are_met_once(tmp_path: Path) -> None:
    with closing(Ids(tmp_path / "ids")) as ids:
        assert [ids.add(id) for id in ("a", "b", "a", "A", "b")] == [True, True, False, True, False]
    with closing(Ids(tmp_path / "ids")) as ids:
        assert ids.add("a")


def test_a_folder_has_labels_where_a_row_of_it_has_one(tmp_path: Path) -> None:
    make_known(tmp_path / "k", [table(("a/1", b"1", None), ("b/x/1", b"2", "x"))], [table(("c/1", b"3", "y"))])
    with closing(Known(tmp_path / "k")) as known:
        assert [known.labelled(name) for name in ("a", "b", "c", "b/x", "bb", "")] == [
            False,
            True,
            True,
            True,
            False,
            False,
        ]
