"""Sources of `glimpse pull`: what is accepted, and what never leaves this machine unencrypted."""

import pytest

from glimpse.backbone.pull.errors import PullError
from glimpse.backbone.pull.sources import Source, is_source, parse_source


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("hf:owner/name", Source("hub", "owner/name")),
        ("hf:owner/name@main", Source("hub", "owner/name", "main")),
        ("hf:owner/name@refs/pr/3", Source("hub", "owner/name", "refs/pr/3")),
        ("https://huggingface.co/owner/name", Source("hub", "owner/name")),
        ("https://huggingface.co/owner/name/tree/v1.0", Source("hub", "owner/name", "v1.0")),
        ("https://example.org/bundles/mine", Source("https", "https://example.org/bundles/mine")),
        ("https:/example.org/mine", Source("https", "https://example.org/mine")),
        ("http://127.0.0.1:8000/mine", Source("https", "http://127.0.0.1:8000/mine")),
        ("file:models/mine", Source("file", "models/mine")),
        ("file:///srv/mine", Source("file", "/srv/mine")),
    ],
)
def test_sources(text: str, source: Source) -> None:
    assert is_source(text)
    assert parse_source(text) == source


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hf:name", "write hf:OWNER/NAME"),
        ("hf:owner/name/more", "write hf:OWNER/NAME"),
        ("hf:owner/na me", "write hf:OWNER/NAME"),
        ("http://example.org/mine", "not encrypted"),
        ("https://user:secret@example.org/mine", "must not contain a password"),
        ("https:///mine", "names no host"),
        ("models/mine", "is not a source"),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(PullError, match=message) as raised:
        parse_source(text)
    assert "secret" not in str(raised.value)


def test_a_folder_is_no_source() -> None:
    assert not is_source("hf")
    assert not is_source("./hf/owner")


def test_the_page_of_a_data_set_is_no_model() -> None:
    assert parse_source("https://huggingface.co/datasets/owner").kind == "https"
