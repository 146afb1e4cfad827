"""Downloads from a server that redirects, breaks off, changes its files and sends too much."""

import hashlib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from glimpse.backbone.pull.download import Downloader, _Redirects
from glimpse.backbone.pull.errors import PullError
from glimpse.backbone.pull.partial_file import RemoteFile
from support.hub import COMMIT, Hub, Model, running_hub

CONTENT = bytes(range(256)) * 400  # 102,400 bytes


@pytest.fixture
def hub() -> Iterator[Hub]:
    models = {"a/plain": Model({"w.bin": CONTENT}), "a/large": Model({"w.bin": CONTENT}, large=("w.bin",))}
    with running_hub(models, token="hf_secret") as running:
        yield running


def remote(hub: Hub, model: str = "a/plain", content: bytes | None = CONTENT) -> RemoteFile:
    url = f"{hub.url}/{model}/resolve/{COMMIT}/w.bin"
    if content is None:
        return RemoteFile("w.bin", url)
    return RemoteFile("w.bin", url, len(content), hashlib.sha256(content).hexdigest())


def loader(hub: Hub, **changes: int) -> Downloader:
    values = {"max_bytes": 1 << 20, "attempts": 3, **changes}
    return Downloader(values["max_bytes"], "hf_secret", urlsplit(hub.url).netloc, values["attempts"], wait=0.001)


def test_a_file_is_fetched_and_counted(hub: Hub, tmp_path: Path) -> None:
    arrived: list[int] = []
    file = loader(hub).fetch(remote(hub), tmp_path, arrived.append)
    assert file.read_bytes() == CONTENT
    assert sum(arrived) == len(CONTENT)
    assert [one.name for one in tmp_path.iterdir()] == ["w.bin"]


def test_the_token_goes_to_the_hub_and_never_along_a_redirect(hub: Hub, tmp_path: Path) -> None:
    loader(hub).fetch(remote(hub, "a/large"), tmp_path)
    assert [(one.host, one.token) for one in hub.seen] == [("hub", "Bearer hf_secret"), ("cdn", None)]


def test_another_server_never_gets_the_token(hub: Hub, tmp_path: Path) -> None:
    file = RemoteFile("w.bin", f"{hub.cdn}/cdn/a/plain/resolve/main/w.bin")
    loader(hub).fetch(file, tmp_path)
    assert [one.token for one in hub.seen] == [None]


def test_a_redirect_to_a_place_without_encryption_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.cdn = "http://example.org"
    with pytest.raises(PullError, match="not encrypted"):
        loader(hub).fetch(remote(hub, "a/large"), tmp_path)


def test_a_redirect_from_afar_to_this_machine_is_refused() -> None:
    request = urllib.request.Request("https://example.org/w.bin")
    with pytest.raises(PullError, match="redirects to this machine"):
        _Redirects().redirect_request(request, None, 302, "Found", {}, "http://127.0.0.1:80/private")


@pytest.mark.parametrize("model", ["a/plain", "a/large"])
def test_a_download_that_breaks_off_goes_on_where_it_was(hub: Hub, model: str, tmp_path: Path) -> None:
    hub.models[model].break_after, hub.models[model].breaks = 30_000, 2
    arrived: list[int] = []
    file = loader(hub).fetch(remote(hub, model), tmp_path, arrived.append)
    assert file.read_bytes() == CONTENT
    assert sum(arrived) == len(CONTENT)
    ranges = [one.range for one in hub.gets("w.bin") if one.host == ("cdn" if model == "a/large" else "hub")]
    assert ranges == [None, "bytes=30000-", "bytes=60000-"]


def test_another_process_goes_on_too(hub: Hub, tmp_path: Path) -> None:
    model = hub.models["a/plain"]
    model.break_after, model.breaks = 40_000, 1
    with pytest.raises(PullError, match=r"broke off after 40,000 bytes .* it resumes"):
        loader(hub, attempts=1).fetch(remote(hub), tmp_path)
    assert loader(hub, attempts=1).fetch(remote(hub), tmp_path).read_bytes() == CONTENT
    assert hub.seen[-1].range == "bytes=40000-"


def test_a_server_without_ranges_starts_from_the_beginning(hub: Hub, tmp_path: Path) -> None:
    model = hub.models["a/plain"]
    model.break_after, model.breaks, model.ranges = 40_000, 1, False
    assert loader(hub).fetch(remote(hub), tmp_path).read_bytes() == CONTENT


def test_a_weak_mark_is_no_reason_to_resume(hub: Hub, tmp_path: Path) -> None:
    model = hub.models["a/plain"]
    model.break_after, model.breaks, model.etag = 40_000, 1, 'W/"1"'
    assert loader(hub).fetch(remote(hub), tmp_path).read_bytes() == CONTENT
    assert [one.range for one in hub.gets("w.bin")] == [None, None]


def test_a_file_that_changes_between_two_tries_is_fetched_whole(hub: Hub, tmp_path: Path) -> None:
    model = hub.models["a/plain"]
    model.break_after, model.breaks = 40_000, 1
    with pytest.raises(PullError, match="broke off"):
        loader(hub, attempts=1).fetch(remote(hub, content=None), tmp_path)
    model.files["w.bin"] = CONTENT[::-1]
    assert loader(hub).fetch(remote(hub, content=None), tmp_path).read_bytes() == CONTENT[::-1]


def test_a_file_that_is_not_the_announced_one_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.models["a/plain"].files["w.bin"] = CONTENT[::-1]
    with pytest.raises(PullError, match="has not the sha256"):
        loader(hub).fetch(remote(hub), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_part_of_another_file_is_not_continued(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "w.bin.part").write_bytes(b"something else")
    assert loader(hub).fetch(remote(hub), tmp_path).read_bytes() == CONTENT


def test_the_git_id_is_checked_where_there_is_no_sha256(hub: Hub, tmp_path: Path) -> None:
    right = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
    url = remote(hub).url
    assert loader(hub).fetch(RemoteFile("w.bin", url, len(CONTENT), None, right), tmp_path)
    with pytest.raises(PullError, match="has not the git id"):
        loader(hub).fetch(RemoteFile("w.bin", url, len(CONTENT), None, "0" * 40), tmp_path)


@pytest.mark.parametrize("announced", [None, len(CONTENT) - 1])
def test_more_bytes_than_announced_or_allowed_are_not_kept(hub: Hub, announced: int | None, tmp_path: Path) -> None:
    file = RemoteFile("w.bin", remote(hub).url, announced)
    with pytest.raises(PullError, match="--max-size"):
        loader(hub, max_bytes=50_000 if announced is None else 1 << 20).fetch(file, tmp_path)
    assert sum(one.stat().st_size for one in tmp_path.iterdir()) < len(CONTENT)


def test_an_empty_file(hub: Hub, tmp_path: Path) -> None:
    hub.models["a/plain"].files["w.bin"] = b""
    assert loader(hub).fetch(remote(hub, content=b""), tmp_path).read_bytes() == b""


def test_a_busy_server_is_asked_again(hub: Hub, tmp_path: Path) -> None:
    hub.models["a/plain"].errors = [503, 429]
    assert loader(hub).fetch(remote(hub), tmp_path).read_bytes() == CONTENT
    hub.models["a/plain"].errors = [503] * 3
    with pytest.raises(PullError, match="answers 503; try again later"):
        loader(hub).fetch(remote(hub), tmp_path)


@pytest.mark.parametrize(("code", "advice"), [(401, "set HF_TOKEN"), (403, "accept the model's terms"), (404, "name")])
def test_a_refusal_says_what_to_do(hub: Hub, code: int, advice: str, tmp_path: Path) -> None:
    hub.models["a/plain"].errors = [code]
    with pytest.raises(PullError, match=advice):
        loader(hub).fetch(remote(hub), tmp_path)
    assert len(hub.seen) == 1


def test_a_server_that_is_gone(tmp_path: Path) -> None:
    with running_hub({}) as hub:
        pass
    with pytest.raises(PullError, match="broke off after 0 bytes"):
        loader(hub).fetch(remote(hub), tmp_path)
