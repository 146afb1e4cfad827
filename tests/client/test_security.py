"""Where a key goes and where not, and what the client makes of files, arguments and variables."""

from pathlib import Path

import grpc
import pytest

from glimpse.client import AsyncClient, Client
from glimpse.client._security import Security, is_local

KEY = "glimpse_0123456789abcdef_" + "0" * 64


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "TLS", "TLS_CA", "CLIENT_CERT", "CLIENT_KEY", "CLIENT_INSECURE"):
        monkeypatch.delenv(f"GLIMPSE_{name}", raising=False)


def security(address: str = "127.0.0.1:1", **given: object) -> Security:
    names = ("credentials", "api_key", "tls", "tls_ca", "tls_cert", "tls_key", "insecure")
    return Security.of(address, **{name: given.get(name) for name in names})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1:50051", True),
        ("localhost:50051", True),
        ("localhost", True),
        ("127.1.2.3", True),
        ("[::1]:50051", True),
        ("::1", True),
        ("ipv4:127.0.0.1:50051", True),
        ("ipv6:[::1]:50051", True),
        ("dns:///localhost:50051", True),
        ("dns:localhost:50051", True),
        ("ipv4:127.0.0.1:1,127.0.0.1:2", True),
        ("unix:/run/glimpse.sock", True),
        ("unix:///run/glimpse.sock", True),
        ("10.0.0.1:50051", False),
        ("glimpse.example.org:50051", False),
        ("localhost.example.org:50051", False),
        ("dns:///example.org:50051", False),
        ("dns://127.0.0.1/example.org:50051", False),
        ("ipv4:127.0.0.1:1,10.0.0.1:1", False),
        ("[2001:db8::1]:50051", False),
        ("", False),
    ],
)
def test_which_addresses_are_this_machines(address: str, local: bool) -> None:
    assert is_local(address) is local


def test_a_key_goes_in_plain_text_to_this_machine_alone() -> None:
    assert security(api_key=KEY).metadata == (("authorization", f"Bearer {KEY}"),)
    with pytest.raises(ValueError, match="not sent in plain text to db") as caught:
        security("db.example.org:1", api_key=KEY)
    assert KEY not in str(caught.value)
    assert security("db.example.org:1", api_key=KEY, insecure=True).metadata
    assert security("db.example.org:1", api_key=KEY, tls=True).metadata
    assert security("db.example.org:1", api_key=KEY, credentials=grpc.ssl_channel_credentials()).metadata
    assert not security("db.example.org:1").metadata


def test_variables_stand_in_for_arguments_and_an_empty_key_for_none(
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
def test_what_cannot_be_a_key_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(ValueError, match="an API key has") as caught:
        security(api_key=key)
    assert key not in str(caught.value)


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("a certificate")
    with pytest.raises(ValueError, match="go together"):
        security(tls_cert=tmp_path / "cert.pem")


async def test_no_repr_shows_a_key() -> None:
    with Client("127.0.0.1:1", api_key=KEY) as client:
        assert KEY not in repr(client)
    async with AsyncClient("127.0.0.1:1", api_key=KEY) as asynchronous:
        assert KEY not in repr(asynchronous)
    assert KEY not in repr(security(api_key=KEY))
