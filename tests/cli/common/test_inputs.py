"""Tests of the commands that send inputs: classify, zero-shot, search and embed."""

from pathlib import Path

import numpy as np

from glimpse.cli.common.input_reader import Source
from glimpse.client import Text

from ..conftest import Run, run_glimpse

FIELDS = [
    *("input", "decision", "decision_reason", "label", "probability", "margin", "similarity", "p_value", "set_size"),
    *("background_probability", "subtree", "expected_cost", "labels", "evidence", "head", "head_reason", "calibrated"),
    *("revision", "timings_ms"),
]


def test_classify_prints_exactly_these_fields(run: Run, collection: str, colours: Path) -> None:
    done = run("classify", collection, colours / "red", "--format", "json")
    assert done.code == 0
    assert len(done.objects) == 6
    for one in done.objects:
        assert list(one) == FIELDS
        assert (one["decision"], one["label"]) == ("MATCH", "red")
        assert set(one["labels"][0]) == {"label", "score", "probability"}
        assert set(one["evidence"][0]) == {"example", "label", "similarity"}
        assert one["timings_ms"]["total"] > 0


def test_a_table_fits_eighty_columns(run: Run, collection: str, colours: Path) -> None:
    done = run("classify", collection, colours, "--text", "x" * 200, columns=80)
    assert done.code == 0
    assert done.out.startswith("INPUT")
    assert len(done.out.splitlines()) == 26
    assert max(map(len, done.out.splitlines())) <= 80


def test_a_bad_file_keeps_its_place_and_fails_the_command(
    run: Run, collection: str, colours: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    red = colours / "red" / "0.png"
    done = run("classify", collection, red, "bad.png", red, "--format", "json")
    assert done.code == 1
    assert [one.get("decision") for one in done.objects] == ["MATCH", None, "MATCH"]
    assert done.objects[1]["input"] == "bad.png"
    assert "failed: bad.png" in run("classify", collection, "bad.png").err


def test_an_input_out_of_distribution_is_unknown(run: Run, collection: str) -> None:
    assert run("classify", collection, "--text", "nothing", "--format", "json").objects[0]["decision"] == "UNKNOWN"


def test_lines_of_text(run: Run, collection: str, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("red\n\nblue\n")
    done = run("classify", collection, "lines.txt", "--text", "green", "--format", "json")
    assert [one["label"] for one in done.objects] == ["red", "blue", "green"]
    assert [one["input"] for one in done.objects] == ["lines.txt:1", "lines.txt:3", "green"]


def test_broken_lines_name_their_place(run: Run, collection: str, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('"red"\n{"no": "text"}\n')
    assert "failed: bad.jsonl:2: 'text' is empty" in run("classify", collection, "bad.jsonl").err


def test_zero_shot_classifies_by_prompts(run: Run, colours: Path) -> None:
    prompts = ["--prompt", "a red circle", "--prompt", "blue"]
    done = run("zero-shot", colours / "red" / "0.png", *prompts, "--format", "json")
    assert list(done.objects[0]) == FIELDS
    assert done.objects[0]["label"] == "a red circle"
    assert run("zero-shot", colours / "blue", *prompts, "--templates").code == 0
    assert run("zero-shot", colours / "blue").code == 2


def test_search_and_its_labels(run: Run, collection: str, colours: Path) -> None:
    red = colours / "red" / "0.png"
    [one] = run("search", collection, red, "--top", "4", "--format", "json").objects
    assert [neighbor["label"] for neighbor in one["neighbors"]] == ["red"] * 4
    assert one["neighbors"][0]["similarity"] > 0.9999
    [one] = run("search", collection, red, "--label", "blue", "--top", "2", "--format", "json").objects
    assert [neighbor["label"] for neighbor in one["neighbors"]] == ["blue"] * 2
    assert len(run("search", collection, red).out.splitlines()) == 11


def test_embed_writes_vectors_and_says_which_is_which(run: Run, colours: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    done = run("embed", colours / "red", "bad.png", "--text", "red", "--out", "v.npy", "--format", "json")
    assert done.code == 1
    assert (done.objects[0]["shape"], done.objects[0]["inputs"]) == ([7, 4], "v.jsonl")
    vectors = np.load(tmp_path / "v.npy")
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    listing = (tmp_path / "v.jsonl").read_text().splitlines()
    assert len(listing) == 8
    assert '"row": null' in listing[6]


def test_options_before_and_after_the_subcommand_are_equal(run: Run, collection: str, toy_server: str) -> None:
    before = run("--format", "json", "--server", toy_server, "collections", "show", collection)
    after = run("collections", "show", collection, "--server", toy_server, "--format", "json")
    assert before.objects == after.objects


def test_embed_never_replaces_an_input(run: Run, tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('"red"\n')
    (tmp_path / "old.npy").write_bytes(b"mine")
    for arguments in (["texts.jsonl", "--out", "texts.npy"], ["old.npy", "--out", "./old.npy"]):
        done = run("embed", *arguments)
        assert done.code == 1
        assert "is one of the inputs" in done.err
    assert (tmp_path / "texts.jsonl").read_text() == '"red"\n'
    assert (tmp_path / "old.npy").read_bytes() == b"mine"


def test_embed_checks_its_output_file_before_it_connects(tmp_path: Path) -> None:
    (tmp_path / "folder.npy").mkdir()
    for out, message in (("none/v.npy", "there is no folder none"), ("folder.npy", "folder.npy cannot be written")):
        done = run_glimpse(["embed", "--text", "red", "--out", out], cwd=tmp_path)
        assert done.code == 1
        assert message in done.err


def test_a_truncated_text_is_reported(run: Run, collection: str, tmp_path: Path) -> None:
    text = ["--text", "red " * 20]  # the toy backbone reads eight words
    commands: list[list[object]] = [
        ["classify", collection],
        ["zero-shot", "--prompt", "red"],
        ["search", collection],
        ["enroll", collection, "--label", "red"],
        ["embed", "--out", "v.npy"],
    ]
    for command in commands:
        done = run(*command, *text)
        assert done.code == 0, done.err
        assert done.err.startswith("truncated: red red")
        assert done.err.count("truncated: ") == 1
    for command in commands[:-1]:
        cut, whole = run(*command, *text, "--text", "red", "--format", "json").objects
        assert cut["truncated"] is True
        assert "truncated" not in whole
    assert '"truncated": true' in (tmp_path / "v.jsonl").read_text()


def test_zero_shot_has_no_column_of_nearest_examples(run: Run, collection: str, colours: Path) -> None:
    assert "NEAREST" in run("classify", collection, colours / "red" / "0.png").out
    assert "NEAREST" not in run("zero-shot", colours / "red" / "0.png", "--prompt", "red").out


def test_a_text_that_looks_like_a_path_stays_a_text() -> None:
    assert Source("a line", "scan.png").as_input().content == Text("scan.png")
    assert Source("a file", Path("scan.png")).as_input().content == Path("scan.png")
