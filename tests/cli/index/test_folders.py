"""Tests of `glimpse index info`, `search`, `verify`, `merge` and `compact`."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from support.building import failed, rows, start
from support.shapes import LABELS, draw_shapes

from ..conftest import Done, run_glimpse

Array = npt.NDArray[np.generic]
BROKEN = "shapes/near/red circle/broken.png"


def index(place: Path, *words: object, columns: int | None = None) -> Done:
    return run_glimpse(["index", *words], cwd=place, columns=columns)


@pytest.fixture(scope="module")
def place(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with an index of 36 drawings and a broken file, and an index of another backbone."""
    place = tmp_path_factory.mktemp("indexes")
    draw_shapes(place / "shapes")
    (place / BROKEN).write_bytes(b"no picture")
    done = index(place, "build", "shapes", "--labels", "domain/label", "--out", "drawings", "--threads", 1)
    assert done.code == 3, done.err
    done = index(place, "build", "shapes/far", "--backbone", toy_bundle, "--out", "toys", "--threads", 1)
    assert done.code == 0, done.err
    return place


@pytest.fixture
def copy(place: Path, tmp_path: Path) -> Path:
    """Copies the index, so that a test can damage it."""
    shutil.copytree(place / "drawings", tmp_path / "drawings")
    return tmp_path / "drawings"


def vectors(folder: Path) -> dict[str, list[float]]:
    return {id_: row["vector"] for id_, row in rows(folder).items()}


def test_info_shows_the_contents_of_an_index_and_fits_a_terminal(place: Path) -> None:
    done = index(place, "info", "drawings")
    assert done.code == 0, done.err
    record = dict(line.split("  ", 1) for line in done.out.splitlines())
    record = {name: value.strip() for name, value in record.items()}
    assert (record["rows"], record["labels"], record["domains"], record["failed inputs"]) == ("36", "3", "2", "1")
    assert record["vectors"] == "192 x float16, in 1 file"
    assert record["index"].startswith("Flat, ")
    assert record["recall@10"] == "1.000"
    # Only the command line is not wrapped, so that it can be copied.
    *lines, rebuild = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert rebuild.endswith("glimpse index build shapes --labels domain/label --out drawings --threads 1")


def test_info_as_json_is_the_manifest(place: Path) -> None:
    [record] = index(place, "info", "drawings", "--format", "json").objects
    assert record == json.loads((place / "drawings" / "manifest.json").read_text())


def test_a_picture_finds_those_like_it(place: Path) -> None:
    done = index(place, "search", "drawings", "shapes/near/green star/2.png", "--top", 4, columns=80)
    assert done.code == 0, done.err
    title, first, *others = done.out.splitlines()
    assert title.split() == ["QUERY", "SOURCE", "LABEL", "SIMILARITY"]
    assert "shapes/near/green star/2.png" in first
    assert first.endswith("1.000")
    assert len(others) == 3
    similarities = [float(line.split()[-1]) for line in (first, *others)]
    assert similarities == sorted(similarities, reverse=True)
    assert max(map(len, done.out.splitlines())) <= 80


def test_csv_has_a_row_a_neighbor_and_a_row_a_problem(place: Path, copy: Path) -> None:
    words = ["search", "drawings", "shapes/near/green star/2.png", BROKEN, "--top", 2, "--format", "csv"]
    first, second, failed = csv.DictReader(io.StringIO(index(place, *words).out, newline=""), strict=True)
    assert [one["source"] for one in (first, second, failed)].count("") == 1
    assert (first["label"], second["label"]) == ("green star", "green star")
    assert (failed["query"], failed["similarity"], bool(failed["error"])) == (BROKEN, "", True)
    assert index(copy.parent, "verify", "drawings", "--format", "csv").out == "index,problem\n"
    (copy / "labels.parquet").unlink()
    [problem] = csv.DictReader(io.StringIO(index(copy.parent, "verify", "drawings", "--format", "csv").out, newline=""))
    assert "labels.parquet" in problem["problem"]


@pytest.mark.parametrize("label", LABELS)
def test_a_text_finds_the_pictures_that_it_describes(place: Path, label: str) -> None:
    [record] = index(place, "search", "drawings", "--text", f"a {label}", "--top", 5, "--format", "json").objects
    assert record["query"] == f"a {label}"
    assert [row["label"] for row in record["rows"]] == [label] * 5
    assert all(row["id"] == row["source"] for row in record["rows"])


def test_a_vector_of_any_length_finds_its_row(place: Path, tmp_path: Path) -> None:
    known = vectors(place / "drawings")
    ids = list(known)[5:8]
    np.save(tmp_path / "rows.npy", np.array([known[id_] for id_ in ids]) * 7)
    np.save(tmp_path / "one.npy", np.array(known[ids[0]], np.float64))
    words = ["search", "drawings", "--vector", tmp_path / "rows.npy", "--vector", tmp_path / "one.npy"]
    found = index(place, *words, "--top", 1, "--format", "json").objects
    assert [one["query"] for one in found] == [
        *(f"{tmp_path}/rows.npy[{row}]" for row in range(3)),
        f"{tmp_path}/one.npy",
    ]
    assert [one["rows"][0]["id"] for one in found] == [*ids, ids[0]]
    assert [one["rows"][0]["similarity"] for one in found] == pytest.approx([1] * 4, abs=1e-3)


def test_filters_leave_only_matching_rows(place: Path) -> None:
    words = ["search", "drawings", "--text", "a red circle", "--top", 30, "--format", "json"]
    [squares] = index(place, *words, "--label", "blue square ").objects
    assert {row["label"] for row in squares["rows"]} == {"blue square"}
    assert len(squares["rows"]) == 12
    wanted = ["--label", "blue square", "--label", "green star", "--domain", "far"]
    [far] = index(place, *words, *wanted).objects
    assert {(row["label"], row["domain"]) for row in far["rows"]} == {("blue square", "far"), ("green star", "far")}
    assert len(far["rows"]) == 12


def test_one_query_that_fails_leaves_the_others(place: Path) -> None:
    done = index(place, "search", "drawings", BROKEN, "shapes/far/red circle/0.png", "--top", 1, "--format", "json")
    assert done.code == 1
    found, failed = done.objects
    assert found["query"] == "shapes/far/red circle/0.png"
    assert failed["query"] == str(BROKEN)
    assert failed["error"]
    record = index(place, "search", "drawings", BROKEN, "shapes/far/red circle/0.png", "--top", 1)
    assert record.err.startswith(f"failed: {BROKEN}: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "--text", "x"], "nowhere: no such folder"),
        (["shapes", "--text", "x"], "shapes: is not an index: it has no manifest.json"),
        (["drawings"], "there is nothing to read"),
        (["drawings", "nothing.png"], "nothing.png: no such file"),
        (["drawings", "--text", "x", "--label", "red square"], "it has blue square, green star, red circle"),
        (["drawings", "--text", "x", "--domain", "dusk"], "the index has no domain 'dusk' — it has far, near"),
        (["toys", "--vector", "four.npy", "--label", "red"], "the index has no label 'red' — its rows have no labels"),
        (["drawings", "--text", "x", "--backbone", "nowhere"], "nowhere: there is no such bundle"),
        (["toys", "--text", "red"], "the index was built with 'toy', and glimpse-mini has another embedding space"),
        (["drawings", "--vector", "nothing.npy"], "nothing.npy: No such file"),
    ],
)
def test_an_impossible_search_is_one_line(place: Path, words: list[str], message: str) -> None:
    np.save(place / "four.npy", np.ones(4))
    done = index(place, "search", *words)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("glimpse: ")
    assert message in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((2, 5)), "has the shape (2, 5); this index needs vectors of 192 numbers"),
        (np.ones((0, 192)), "has the shape (0, 192)"),
        (np.zeros(192), "a vector of zeros"),
        (np.ones(192, np.complex64), "not a .npy file of numbers, but of complex64"),
    ],
)
def test_a_vector_that_does_not_fit_the_index_is_rejected(
    place: Path, tmp_path: Path, values: Array, message: str
) -> None:
    np.save(tmp_path / "given.npy", values)
    done = index(place, "search", "drawings", "--vector", tmp_path / "given.npy")
    assert (done.code, done.out) == (1, "")
    assert message in done.err
    assert done.err.count("\n") == 1


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._trace,)


def test_a_pickle_is_not_read(place: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "trap.npy", np.array([Trap(tmp_path / "trace")], object), allow_pickle=True)
    done = index(place, "search", "drawings", "--vector", tmp_path / "trap.npy")
    assert done.code == 1
    assert "is not a .npy file of numbers" in done.err
    assert not (tmp_path / "trace").exists()
    (tmp_path / "not.npy").write_bytes(b"PK\x03\x04 of an archive, say")
    done = index(place, "search", "drawings", "--vector", tmp_path / "not.npy")
    assert (done.code, done.err.count("\n")) == (1, 1)


def test_an_unfinished_build_is_not_an_index(toy_bundle: Path, place: Path, tmp_path: Path) -> None:
    words = [place / "shapes", "--backbone", toy_bundle, "--out", tmp_path / "half"]
    process = start(tmp_path / "log", words, die_at=3)
    assert process.wait() == -9
    process.communicate()
    for command in (["info", "half"], ["search", "half", "--text", "red"], ["merge", "half", "--out", "new"]):
        done = index(tmp_path, *command)
        assert (done.code, done.err) == (1, "glimpse: half: its build has not finished — continue it with --resume\n")
    done = index(tmp_path, "verify", "half")
    assert (done.code, done.out) == (1, "half: its build has not finished\n")


def test_verify_reports_an_intact_index(place: Path) -> None:
    done = index(place, "verify", "drawings")
    assert (done.code, done.out) == (0, "drawings: no problem found\n")
    [message] = index(place, "verify", "drawings", "--format", "json").objects
    assert message == {"index": "drawings", "problems": []}


@pytest.mark.parametrize(
    "file", ["manifest.json", "vectors/part-00000.parquet", "labels.parquet", "errors.parquet", "index.faiss"]
)
def test_verify_finds_one_flipped_bit(copy: Path, file: str) -> None:
    content = bytearray((copy / file).read_bytes())
    # In a manifest, flip a bit of a digest, because nothing can check a measured latency.
    place = content.index(b'"sha256": "') + 11 if file == "manifest.json" else len(content) // 2
    content[place] ^= 1
    (copy / file).write_bytes(content)
    done = index(copy.parent, "verify", "drawings")
    assert done.code == 1
    damaged = "vectors/part-00000.parquet" if file == "manifest.json" else file
    assert f"drawings/{damaged}: its sha256 differs" in done.out
    assert all(character.isprintable() for line in done.out.splitlines() for character in line)


def test_verify_finds_missing_files(copy: Path) -> None:
    (copy / "labels.parquet").unlink()
    done = index(copy.parent, "verify", "drawings", "--format", "json")
    assert done.code == 1
    assert done.objects[0]["problems"] == ["drawings/labels.parquet: is missing"]


def test_a_merged_index_keeps_the_last_row_of_each_id(place: Path, tmp_path: Path) -> None:
    more = draw_shapes(tmp_path / "shapes", ["red circle", "yellow heart"], count=2, seed=1)
    done = index(tmp_path, "build", more, "--labels", "domain/label", "--out", "more", "--threads", 1)
    assert done.code == 0, done.err
    done = index(tmp_path, "merge", place / "drawings", "more", "--out", "both", "--threads", 1)
    assert done.code == 0, done.err
    assert "40" in next(line for line in done.out.splitlines() if line.startswith("rows"))
    both = vectors(tmp_path / "both")
    assert both == {**vectors(place / "drawings"), **vectors(tmp_path / "more")}
    assert both["shapes/near/red circle/0.png"] != vectors(place / "drawings")["shapes/near/red circle/0.png"]
    assert list(failed(tmp_path / "both")) == [BROKEN]
    manifest = json.loads((tmp_path / "both" / "manifest.json").read_text())
    assert manifest["rebuild"] == f"glimpse index merge {place / 'drawings'} more --out both --threads 1"
    assert index(tmp_path, "verify", "both").code == 0
    [hearts] = index(tmp_path, "search", "both", "--text", "a yellow heart", "--top", 4, "--format", "json").objects
    assert {row["label"] for row in hearts["rows"]} == {"yellow heart"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["drawings", "toys", "--out", "new"], "— merge only indexes of the same backbone"),
        (["drawings", "--out", "toys"], "toys: exists already and is not empty — give a new or an empty folder"),
        (["drawings", "nowhere", "--out", "new"], "nowhere: no such folder"),
        (["drawings", "--out", "new", "--type", "Nonsense"], "FAISS cannot make Nonsense"),
    ],
)
def test_an_impossible_merge_is_one_line_and_writes_nothing(place: Path, words: list[str], message: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in place.iterdir()}
    done = index(place, "merge", *words)
    assert (done.code, done.out) == (1, "")
    assert message in done.err
    assert done.err.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in place.iterdir()} == before


def test_merging_into_an_index_with_too_low_recall_is_an_error(place: Path, tmp_path: Path) -> None:
    words = ["merge", place / "drawings", "--out", "coarse", "--type", "PQ1x2", "--min-recall", 1]
    done = index(tmp_path, *words, "--format", "json")
    assert done.code == 1
    assert done.objects[0]["index"]["measured"]["reached"] is False
    assert "below the minimum of 100.0 %" in done.err
    assert (tmp_path / "coarse" / "manifest.json").is_file()


def test_a_compacted_index_has_full_files(toy_bundle: Path, tmp_path: Path) -> None:
    words = ["build", "shapes", "--backbone", toy_bundle, "--out", "grown", "--labels", "domain/label", "--threads", 1]
    draw_shapes(tmp_path / "shapes", LABELS[:2])
    assert index(tmp_path, *words).code == 0
    draw_shapes(tmp_path / "shapes", LABELS[2:])
    assert index(tmp_path, *words, "--resume").code == 0
    assert len(list((tmp_path / "grown" / "vectors").iterdir())) == 2
    done = index(tmp_path, "compact", "grown", "--out", "new")
    assert done.code == 0, done.err
    assert "4 x float16, in 1 file\n" in done.out
    assert len(list((tmp_path / "new" / "vectors").iterdir())) == 1
    assert rows(tmp_path / "new") == rows(tmp_path / "grown")
    assert index(tmp_path, "verify", "new").code == 0


@pytest.mark.parametrize("words", [[], ["drawings"], ["drawings", "--out", "new", "--collection", "c"]])
def test_compact_takes_either_a_folder_or_a_collection(place: Path, words: list[str]) -> None:
    done = index(place, "compact", *words)
    assert done.code == 2
    assert "give a folder and --out, or --collection alone" in done.err
