"""The answers of a hub about a model, the token in questions to it, the store, the catalogue."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from glimpse.backbone.pull import hub as hub_client
from glimpse.backbone.pull.catalogue import catalogue, find_entry
from glimpse.backbone.pull.errors import PullError
from glimpse.backbone.pull.sources import Source, parse_source
from glimpse.backbone.pull.store import PulledBundles
from support.hub import COMMIT, Hub, Model, running_hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    models = {
        "a/open": Model({"model.onnx": b"12345", "config.json": b"{}"}, large=("model.onnx",)),
        "a/other": Model({"x": b""}, card={"license": "other", "license_name": "apple-amlr"}, gated="manual"),
        "a/bare": Model({"x": b""}, card={}, commit="main"),
    }
    with running_hub(models, token="hf_secret") as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        yield running


def test_a_model_is_pinned_with_the_digest_of_each_file(hub: Hub) -> None:
    model = hub_client.look_up(Source("hub", "a/open", "main"))
    assert (model.name, model.commit, model.license, model.gated) == ("a/open", COMMIT, "apache-2.0", False)
    graph, config = model.files
    assert graph.url == f"{hub.url}/a/open/resolve/{COMMIT}/model.onnx"
    assert (graph.size, len(graph.sha256 or "")) == (5, 64)
    assert (config.sha256, len(config.git_id or "")) == (None, 40)
    assert hub.seen[0].token == "Bearer hf_secret"


def test_a_licence_without_commercial_use_is_seen(hub: Hub) -> None:
    model = hub_client.look_up(Source("hub", "a/other"))
    assert (model.license, model.non_commercial, model.gated) == ("apple-amlr", True, True)


@pytest.mark.parametrize(
    ("license", "forbids"),
    [
        ("cc-by-nc-4.0", True),
        ("cc-by-nc-sa-4.0", True),
        ("apple-amlr", True),
        ("research-only", True),
        ("apache-2.0", False),
        ("mit", False),
        ("cc-by-4.0", False),
        ("dinov3-license", False),
        ("bsd-3-clause", False),
    ],
)
def test_identifiers_of_licences(license: str, forbids: bool) -> None:
    assert hub_client.is_non_commercial(license) is forbids


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Source("hub", "a/missing"), "there is no model .*/a/missing, or it is private"),
        (Source("hub", "a/open", "v9"), "has no revision 'v9'"),
        (Source("hub", "a/bare"), "names no commit"),
    ],
)
def test_what_is_missing_is_named(hub: Hub, source: Source, message: str) -> None:
    with pytest.raises(PullError, match=message):
        hub_client.look_up(source)


def test_the_token_does_not_follow_a_redirect_of_the_question(hub: Hub) -> None:
    hub.moved = True
    assert hub_client.look_up(Source("hub", "a/open")).commit == COMMIT
    assert [(one.host, one.token) for one in hub.seen] == [("hub", "Bearer hf_secret"), ("cdn", None)]


def test_a_hub_that_is_gone(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PullError, match=r"cannot be asked about a/open.*--offline"):
        hub_client.look_up(Source("hub", "a/open"))


def test_a_hub_without_encryption_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://example.org")
    with pytest.raises(PullError, match="not encrypted"):
        hub_client.look_up(Source("hub", "a/open"))


def test_the_size_limit_counts_all_files(hub: Hub) -> None:
    files = hub_client.look_up(Source("hub", "a/open")).files
    assert hub_client.total_bytes(files, 7) == 7
    with pytest.raises(PullError, match="7 bytes, more than 6; allow them with --max-size"):
        hub_client.total_bytes(files, 6)


def test_the_store_remembers_revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIMPSE_CACHE", str(tmp_path))
    branch, pinned = (PulledBundles(Source("hub", "a/b", revision)) for revision in ("refs/pr/1", COMMIT))
    assert branch.find() is None
    folder = branch.place(COMMIT, "")
    folder.mkdir(parents=True)
    assert branch.find() is None
    (folder / "backbone.json").write_text("{}")
    branch.remember(folder)
    assert branch.find() == pinned.find() == folder
    assert PulledBundles(Source("hub", "a/b")).find() is None
    assert branch.place(COMMIT, "changed") != folder


def test_a_damaged_reference_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIMPSE_CACHE", str(tmp_path))
    (tmp_path / "backbone.json").write_text("{}")
    store = PulledBundles(Source("hub", "a/b"))
    folder = store.place(COMMIT, "")
    folder.mkdir(parents=True)
    store.remember(folder)
    [reference] = (folder.parent / "refs").iterdir()
    reference.write_text("../..")
    assert store.find() is None


def test_the_catalogue_states_where_its_figures_are_from() -> None:
    entries = catalogue()
    assert len({entry.name for entry in entries}) == len({entry.source for entry in entries}) == len(entries)
    for entry in entries:
        assert parse_source(entry.source).kind == "hub"
        assert not entry.tested, f"{entry.name}: no row was pulled from the real hub"
        assert entry.facts.startswith("https://")
        assert (entry.recall is None) == (not entry.recall_source) == (not entry.recall_of)
        assert set(entry.modalities) <= {"image", "text"}
        assert entry.modalities
        assert entry.dimension
    assert find_entry("clip-vit-b-32") == find_entry("hf:immich-app/ViT-B-32__openai")
    assert find_entry("nothing") is None
