"""Every command that takes a bundle takes a source too, which it pulls once, from a hub in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hub import COMMIT, Hub, Model, folder_of, running_hub

from ..conftest import Done, run_glimpse


@pytest.fixture
def hub(toy_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running_hub({"a/Toy": Model(folder_of(toy_bundle))}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def run(folder: Path, *words: object) -> Done:
    return run_glimpse(words, cwd=folder, variables={"GLIMPSE_CACHE": str(folder / "cache")})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["discover", "{pictures}", "--backbone", "{source}", "--format", "json"], '"inputs": 24'),
        (
            ["evaluate", "{pictures}", "--backbone", "{source}", "--shots", "1", "--seeds", "1", "--out", "report"],
            "report.html",
        ),
        (["demo", "--images", "{pictures}", "--backbone", "{source}"], "picture: "),
        (["backbones", "verify", "{source}"], "all digests match"),
        (["backbones", "bench", "{source}", "--seconds", "0.01", "--format", "json"], '"backbone": "toy"'),
    ],
)
def test_a_source_is_a_backbone(words: list[str], expected: str, hub: Hub, colours: Path, tmp_path: Path) -> None:
    done = run(tmp_path, *(word.format(pictures=colours, source="hf:a/Toy") for word in words))
    assert done.code == 0, done.err
    assert expected in done.out + done.err
    assert (tmp_path / "cache" / "backbones" / "hf--a--Toy" / COMMIT / "backbone.json").is_file()


def test_an_index_is_built_and_searched_with_a_source(hub: Hub, colours: Path, tmp_path: Path) -> None:
    built = run(tmp_path, "index", "build", colours, "--backbone", "hf:a/Toy", "--out", "index")
    assert built.code == 0, built.err
    hub.seen.clear()
    picture = colours / "red" / "0.png"
    words = ["index", "search", "index", picture, "--backbone", "hf:a/Toy", "--top", "1", "--format", "json"]
    found = run(tmp_path, *words)
    assert found.objects[0]["rows"][0]["source"].endswith("red/0.png")
    assert not hub.seen


def test_a_source_that_cannot_be_pulled_is_an_error(hub: Hub, colours: Path, tmp_path: Path) -> None:
    done = run(tmp_path, "evaluate", colours, "--backbone", "hf:a/none", "--out", "report")
    assert done.code == 1
    assert "there is no model" in done.err
    assert "Traceback" not in done.err
