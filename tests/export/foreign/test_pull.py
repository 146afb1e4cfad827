"""A pull from a hub in this process: the store, offline, terms, a hub that dies, a model that changes."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from glimpse.backbone import load_bundle
from glimpse.backbone.pull import hub as hub_client
from glimpse.backbone.pull.download import Downloader
from glimpse.backbone.pull.errors import PullError
from glimpse.backbone.pull.sources import Source, parse_source
from glimpse.export.foreign.options import ForeignOptions
from glimpse.export.foreign.pull import pull
from glimpse.export.foreign.pull_options import PullOptions, Reporter
from support.bundles import tiny_image_bundle
from support.foreign import image_encoder
from support.hub import COMMIT, Hub, Model, folder_of, running_hub

OTHER = "d" * 40


class Report:
    """Records what a pull reports; answers its questions."""

    def __init__(self, accept: bool = False) -> None:
        self.steps: list[str] = []
        self.questions: list[str] = []
        self.received = self.total = 0
        self._accept = accept

    def reporter(self) -> Reporter:
        return Reporter(self.steps.append, self._bar, self._confirm)

    @contextmanager
    def _bar(self, title: str, total: int) -> Iterator[Any]:
        self.total = total
        yield self._count

    def _count(self, count: int) -> None:
        self.received += count

    def _confirm(self, question: str) -> bool:
        self.questions.append(question)
        return self._accept


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    files = folder_of(image_encoder(tmp_path / "model"))
    with running_hub({"a/Model": Model(files, large=("model.onnx",))}, token="hf_secret") as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("GLIMPSE_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr(hub_client, "downloader", lambda most: Downloader(most, None, "", attempts=2, wait=0.001))
        yield running


def options(**changes: Any) -> PullOptions:
    foreign = ForeignOptions(changes.pop("name", ""), unchecked=True)
    return PullOptions(foreign, **changes)


SOURCE = Source("hub", "a/Model")


def test_a_model_is_pulled_once(hub: Hub, tmp_path: Path) -> None:
    report = Report()
    bundle = pull(SOURCE, options(), report.reporter())
    assert bundle.path == tmp_path / "cache" / "backbones" / "hf--a--Model" / COMMIT
    assert report.received == report.total == sum(map(len, hub.models["a/Model"].files.values()))
    manifest = bundle.manifest
    assert (manifest.name, manifest.license) == ("model", "apache-2.0")
    assert manifest.provenance["source"] == f"hf:a/Model@{COMMIT}"
    graph = hub.models["a/Model"].files["model.onnx"]
    assert manifest.provenance["pulled_files"]["model.onnx"]["sha256"] == hashlib.sha256(graph).hexdigest()
    hub.seen.clear()
    assert pull(SOURCE, options(refresh=False), report.reporter()) == bundle
    assert not hub.seen
    assert pull(SOURCE, options(), report.reporter()) == bundle
    assert [one.path for one in hub.seen] == ["/api/models/a/Model"]
    assert not (bundle.path.parent / ".downloads").exists()


def test_offline_never_asks(hub: Hub) -> None:
    with pytest.raises(PullError, match=r"hf:a/Model was not pulled yet, and --offline"):
        pull(SOURCE, options(offline=True), Report().reporter())
    bundle = pull(SOURCE, options(), Report().reporter())
    hub.seen.clear()
    assert pull(SOURCE, options(offline=True), Report().reporter()) == bundle
    assert pull(Source("hub", "a/Model", COMMIT), options(offline=True), Report().reporter()) == bundle
    assert not hub.seen


def test_the_hubs_own_variable_counts_as_offline(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(PullError, match="was not pulled yet"):
        pull(SOURCE, options(), Report().reporter())
    assert not hub.seen


def test_a_new_commit_is_pulled_beside_the_old_one(hub: Hub) -> None:
    old = pull(SOURCE, options(), Report().reporter())
    hub.models["a/Model"].commit = OTHER
    settings = json.loads(hub.models["a/Model"].files["preprocessor_config.json"])
    settings["image_mean"] = [0.1, 0.1, 0.1]
    hub.models["a/Model"].files["preprocessor_config.json"] = json.dumps(settings).encode()
    assert pull(SOURCE, options(refresh=False), Report().reporter()) == old
    new = pull(SOURCE, options(), Report().reporter())
    assert new.manifest.embedding_space != old.manifest.embedding_space
    assert pull(SOURCE, options(refresh=False), Report().reporter()) == new
    assert load_bundle(old.path) == old


def test_a_hub_that_dies_half_way_is_resumed_later(hub: Hub) -> None:
    model = hub.models["a/Model"]
    model.break_after, model.breaks = 600, 2
    with pytest.raises(PullError, match="run the command again: it resumes"):
        pull(SOURCE, options(), Report().reporter())
    report = Report()
    assert pull(SOURCE, options(), report.reporter())
    total = sum(map(len, model.files.values()))
    assert 0 < report.received < total
    assert hub.gets("model.onnx")[-1].range


def test_a_file_that_changes_under_its_commit_is_refused(hub: Hub) -> None:
    model = hub.models["a/Model"]
    listed = model.info("a/Model")
    model.info = lambda name: listed  # type: ignore[method-assign]
    model.files["model.onnx"] = model.files["model.onnx"][::-1]
    with pytest.raises(PullError, match="has not the sha256"):
        pull(SOURCE, options(), Report().reporter())


def test_the_size_limit_is_checked_before_anything_is_downloaded(hub: Hub) -> None:
    with pytest.raises(PullError, match="--max-size"):
        pull(SOURCE, options(max_bytes=1_000), Report().reporter())
    assert not hub.gets("model.onnx")


@pytest.mark.parametrize(
    ("card", "gated", "reason"),
    [
        ({"license": "cc-by-nc-4.0"}, False, "cc-by-nc-4.0 forbids commercial use"),
        ({"license": "mit"}, "auto", "asks for terms to be accepted"),
    ],
)
def test_terms_are_confirmed(
    hub: Hub, card: dict[str, str], gated: bool | str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = hub.models["a/Model"]
    model.card, model.gated = card, gated
    host = hub.url.removeprefix("http://")
    monkeypatch.setattr(hub_client, "downloader", lambda most: Downloader(most, "hf_secret", host))
    refusing, accepting = Report(), Report(accept=True)
    with pytest.raises(PullError, match=f"{reason}; accept that with: glimpse pull hf:a/Model --yes"):
        pull(SOURCE, options(), refusing.reporter())
    assert reason in refusing.questions[0]
    assert not hub.gets("model.onnx")
    assert pull(SOURCE, options(), accepting.reporter()).manifest.license == card["license"]


def test_options_make_a_bundle_of_their_own(hub: Hub) -> None:
    plain = pull(SOURCE, options(), Report().reporter())
    named = pull(SOURCE, options(name="other"), Report().reporter())
    assert (plain.manifest.name, named.manifest.name) == ("model", "other")
    assert named.path.parent == plain.path.parent
    assert pull(SOURCE, options(refresh=False), Report().reporter()) == named


def test_a_name_that_cannot_be_made(hub: Hub) -> None:
    hub.models["a/123"] = hub.models["a/Model"]
    with pytest.raises(PullError, match="no backbone name can be made from 'a/123'; give --name"):
        pull(Source("hub", "a/123"), options(), Report().reporter())


def test_out_is_a_folder_of_the_users(hub: Hub, tmp_path: Path) -> None:
    bundle = pull(SOURCE, options(out=tmp_path / "mine"), Report().reporter())
    assert bundle.path == tmp_path / "mine"
    with pytest.raises(PullError, match="was not pulled yet"):
        pull(SOURCE, options(offline=True), Report().reporter())


def test_a_bundle_on_a_hub_is_taken_as_it_is(hub: Hub, tmp_path: Path) -> None:
    bundle = tiny_image_bundle(tmp_path / "bundle")
    hub.models["a/bundle"] = Model({**folder_of(bundle.path), "README.md": b"#"})
    pulled = pull(Source("hub", "a/bundle"), options(), Report().reporter())
    assert pulled.manifest == bundle.manifest
    assert not hub.gets("README.md")


def test_a_bundle_on_a_web_server(hub: Hub, tmp_path: Path) -> None:
    """The manifest lists the files with their digests; another file under that name is refused."""
    bundle = tiny_image_bundle(tmp_path / "bundle")
    hub.models["web/site"] = Model(folder_of(bundle.path))
    source = parse_source(f"{hub.url}/web/site/resolve/main")
    pulled = pull(source, options(), Report().reporter())
    assert pulled.manifest == bundle.manifest
    hub.seen.clear()
    assert pull(source, options(refresh=False), Report().reporter()) == pulled
    assert not hub.seen
    hub.models["web/site"].files["image.onnx"] += b"\0"
    with pytest.raises(PullError, match="has not the sha256"):
        pull(source, options(out=tmp_path / "again"), Report().reporter())


def test_a_folder_needs_a_place_for_its_bundle(tmp_path: Path) -> None:
    folder = image_encoder(tmp_path / "Model_1")
    source = parse_source(f"file:{folder}")
    with pytest.raises(PullError, match="give --out"):
        pull(source, options(), Report().reporter())
    bundle = pull(source, options(out=tmp_path / "out"), Report().reporter())
    assert (bundle.manifest.name, bundle.manifest.provenance["source"]) == ("model-1", "file:Model_1")
