"""The client sends keys only over safe connections, and reads arguments, variables and files."""

from pathlib import Path

import grpc
import pytest

from glimpse.client import AsyncClient, Client
from glimpse.client.transport._address import Address
from glimpse.client.transport._credentials import Security

KEY = "glimpse_0123456789abcdef_" + "0" * 64


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "TLS", "TLS_CA", "CLIENT_CERT", "CLIENT_KEY", "CLIENT_INSECURE"):
        monkeypatch.delenv(f"GLIMPSE_{name}", raising=False)


def security(address: str = "127.0.0.1:1", **arguments: object) -> Security:
    names: tuple[str, ...] = ("credentials", "api_key", "tls", "tls_ca", "tls_cert", "tls_key", "insecure")
    names += ("metadata",) if "metadata" in arguments else ()
    return Security.of(Address.of(address), **{name: arguments.get(name) for name in names})  # type: ignore[arg-type]


def test_a_key_is_sent_in_plain_text_only_to_this_machine() -> None:
    assert security(api_key=KEY).metadata == (("authorization", f"Bearer {KEY}"),)
    with pytest.raises(ValueError, match="not sent in plain text to db") as caught:
        security("db.example.org:1", api_key=KEY)
    assert KEY not in str(caught.value)
    assert security("db.example.org:1", api_key=KEY, insecure=True).metadata
    assert security("db.example.org:1", api_key=KEY, tls=True).metadata
    assert security("db.example.org:1", api_key=KEY, credentials=grpc.ssl_channel_credentials()).metadata
    assert not security("db.example.org:1").metadata
    for name in ("authorization", "x-api-key"):
        with pytest.raises(ValueError, match="not sent in plain text"):
            security("db.example.org:1", metadata=((name, KEY),))


def test_a_proxy_is_used_only_for_tls_to_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert security("db.example.org:1", tls=True).may_use_proxy
    assert not security("db.example.org:1").may_use_proxy
    assert not security("db.example.org:1", api_key=KEY, insecure=True).may_use_proxy
    assert not security("localhost:1", tls=True).may_use_proxy


@pytest.mark.parametrize("name", ["API_KEY", "TLS", "TLS_CA", "CLIENT_CERT", "CLIENT_KEY", "CLIENT_INSECURE"])
@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_variable_is_ignored(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"GLIMPSE_{name}", value)
    empty = security("db.example.org:1")
    assert (empty.credentials, empty.metadata) == (None, ())


def test_an_invalid_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIMPSE_TLS", "enabled")
    with pytest.raises(ValueError, match="GLIMPSE_TLS must be 1 or 0, not 'enabled'"):
        security("db.example.org:1")


def test_variables_replace_arguments_and_an_empty_key_means_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GLIMPSE_API_KEY", f"{KEY}\n")
    assert security().metadata == (("authorization", f"Bearer {KEY}"),)
    assert security(api_key="").metadata == ()
    with pytest.raises(ValueError, match="plain text"):
        security("db.example.org:1")
    monkeypatch.setenv("GLIMPSE_CLIENT_INSECURE", "1")
    assert security("db.example.org:1").metadata
    monkeypatch.setenv("GLIMPSE_CLIENT_INSECURE", "0")
    monkeypatch.setenv("GLIMPSE_TLS", "true")
    assert security("db.example.org:1").credentials
    assert security(tls=False).credentials is None
    monkeypatch.delenv("GLIMPSE_TLS")
    monkeypatch.setenv("GLIMPSE_TLS_CA", str(tmp_path / "absent.pem"))
    with pytest.raises(FileNotFoundError):
        security()


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel", "\x00"])
def test_an_invalid_key_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ValueError, match="an API key contains only") as caught:
        security(api_key=key)
    assert key not in str(caught.value)


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("a certificate")
    with pytest.raises(ValueError, match="needs its private key"):
        security(tls_cert=tmp_path / "cert.pem")


async def test_no_repr_shows_a_key() -> None:
    with Client("127.0.0.1:1", api_key=KEY) as client:
        assert KEY not in repr(client)
    async with AsyncClient("127.0.0.1:1", api_key=KEY) as asynchronous:
        assert KEY not in repr(asynchronous)
    assert KEY not in repr(security(api_key=KEY))
