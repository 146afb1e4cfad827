"""`glimpse pull`, and `glimpse serve` on what it pulls, from a hub in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from glimpse.backbone.pull.catalogue import catalogue
from glimpse.client import Client
from support.bundles import tiny_dual_bundle
from support.foreign import image_encoder
from support.hub import COMMIT, Hub, Model, folder_of, running_hub
from support.server import ServerProcess

from ..conftest import Done, run_glimpse


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    models = {
        "a/Model": Model(folder_of(image_encoder(tmp_path / "model")), card={"license": "cc-by-nc-4.0"}),
        "a/bundle": Model(folder_of(tiny_dual_bundle(tmp_path / "bundle").path)),
    }
    with running_hub(models) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def run(tmp_path: Path, *arguments: str) -> Done:
    return run_glimpse(["pull", *arguments], cwd=tmp_path, variables={"GLIMPSE_CACHE": str(tmp_path / "cache")})


def test_a_model_is_pulled_checked_and_reported(hub: Hub, tmp_path: Path) -> None:
    refused = run(tmp_path, "hf:a/Model")
    assert refused.code == 1
    assert (
        "its licence cc-by-nc-4.0 forbids commercial use; accept that with: glimpse pull hf:a/Model --yes"
        in refused.err
    )
    checked = run(tmp_path, "hf:a/Model", "--yes", "--out", "mine")
    assert checked.code == 0 or "--skip-check writes it anyway" in checked.err
    done = run(tmp_path, "hf:a/Model", "--yes", "--skip-check", "--format", "json")
    assert done.code == 0, done.err
    assert "downloading a/Model at c0ffeec0ffee: 0 MB" in done.err
    [record] = done.objects
    assert (record["name"], record["source"], record["license"]) == ("model", f"hf:a/Model@{COMMIT}", "cc-by-nc-4.0")
    assert record["out"] == str(tmp_path / "cache" / "backbones" / "hf--a--Model" / COMMIT)
    assert "views: own scene first" in [check["part"] for check in record["self_check"]]
    assert all(check["passed"] for check in record["proof"])
    offline = run(tmp_path, "hf:a/Model", "--offline", "--format", "json")
    assert offline.objects[0]["out"] == record["out"]


def test_a_server_pulls_its_backbone_once(hub: Hub, tmp_path: Path) -> None:
    settings = {"cache": tmp_path / "cache"}
    with ServerProcess(tmp_path, Path("hf:a/bundle"), **settings) as server, Client(server.address) as client:
        [backbone] = client.list_backbones()
        assert backbone.name == "backbones/tiny"
    hub.seen.clear()
    with ServerProcess(tmp_path, backbone="hf:a/bundle", **settings) as server, Client(server.address) as client:
        assert [backbone] == list(client.list_backbones())
    assert not hub.seen


def test_a_server_that_cannot_pull_says_why(tmp_path: Path) -> None:
    cache = {"GLIMPSE_CACHE": str(tmp_path / "cache")}
    command = ["serve", "--data", "data", "--backbone", "hf:a/none", "--offline"]
    done = run_glimpse(command, cwd=tmp_path, variables=cache)
    assert done.code == 1
    assert "hf:a/none was not pulled yet, and --offline forbids to ask" in done.err


def test_the_catalogue(tmp_path: Path) -> None:
    done = run(tmp_path, "--list", "--format", "json")
    assert [record["name"] for record in done.objects] == [entry.name for entry in catalogue()]
    assert {record["tested"] for record in done.objects} == {False}
    table = run_glimpse(["pull", "--list"], columns=80)
    assert max(map(len, table.out.splitlines())) <= 80
    assert table.out.count("untested") == len(catalogue())
    heading = run(tmp_path, "--list", "--format", "csv").out.splitlines()[0]
    assert heading.startswith("name,source,modalities,languages,dimension,megabytes,license")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no source is given — name one, or see the catalogue: glimpse pull --list"),
        (["nothing"], "nothing is not a source; write hf:OWNER/NAME"),
        (["hf:a/b", "--max-size", "many"], "--max-size many is not a size — write bytes, or 800M, or 4G"),
        (["file:.", "--out", "out"], "the model has no ONNX file"),
        (["hf:a/b", "--photographs", "."], "there is no image in . — name a folder of photographs with --photographs"),
        (["file:nowhere", "--out", "out"], "there is no folder nowhere"),
    ],
)
def test_an_error_says_what_to_do(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = run(tmp_path, *arguments)
    assert done.code == 1
    assert message in done.err
    assert "Traceback" not in done.err
