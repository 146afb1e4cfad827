"""Valid addresses are completed, and addresses of this machine are recognised."""

import socket
from typing import Any

import pytest

from glimpse.client import AsyncClient, Client
from glimpse.client.transport._address import Address
from glimpse.client.transport._channel import NO_PROXY


@pytest.mark.parametrize(
    ("text", "target", "local"),
    [
        ("127.0.0.1:50051", "127.0.0.1:50051", True),
        ("127.0.0.1", "127.0.0.1:50051", True),
        ("127.1.2.3:7", "127.1.2.3:7", True),
        ("localhost", "localhost:50051", True),
        (" localhost:50051\n", "localhost:50051", True),
        ("[::1]:50051", "[::1]:50051", True),
        ("[::1]", "[::1]:50051", True),
        ("::1", "[::1]:50051", True),
        ("ipv4:127.0.0.1:1", "ipv4:127.0.0.1:1", True),
        ("ipv6:[::1]:1", "ipv6:[::1]:1", True),
        ("ipv4:127.0.0.1:1,127.0.0.2", "ipv4:127.0.0.1:1,127.0.0.2:50051", True),
        ("dns:///localhost", "dns:///localhost:50051", True),
        ("dns:localhost:1", "dns:localhost:1", True),
        ("unix:/run/glimpse.sock", "unix:/run/glimpse.sock", True),
        ("unix:///run/glimpse.sock", "unix:///run/glimpse.sock", True),
        ("unix-abstract:glimpse", "unix-abstract:glimpse", True),
        ("10.0.0.1:50051", "10.0.0.1:50051", False),
        ("glimpse.example.org", "glimpse.example.org:50051", False),
        ("localhost.example.org:1", "localhost.example.org:1", False),
        ("dns:///glimpse", "dns:///glimpse:50051", False),
        ("dns://127.0.0.1/example.org:1", "dns://127.0.0.1/example.org:1", False),
        # The name server in the address may return any address.
        ("dns://8.8.8.8/localhost:1", "dns://8.8.8.8/localhost:1", False),
        ("ipv4:127.0.0.1:1,10.0.0.1:1", "ipv4:127.0.0.1:1,10.0.0.1:1", False),
        ("[2001:db8::1]:1", "[2001:db8::1]:1", False),
        # The xDS server decides which servers it names.
        ("xds:///localhost", "xds:///localhost", False),
        ("vsock:2:50051", "vsock:2:50051", False),
    ],
)
def test_an_address_is_parsed_and_completed(text: str, target: str, local: bool) -> None:
    address = Address.of(text)
    assert (address.target, address.local) == (target, local)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("http://localhost:50051/", "write localhost:50051, without http://"),
        ("tcp://10.0.0.1:50051", "write 10.0.0.1:50051, without tcp://"),
        ("https://api.example.org/v1", r"write api.example.org, and use TLS \(tls=True, --tls\)"),
        ("localhost:50051/", "write localhost:50051, with nothing after it"),
        ("localhost:50051?x=1", "write localhost:50051, with nothing after it"),
        ("/run/glimpse.sock", "for a socket write unix:/run/glimpse.sock"),
        ("unix:", "write unix:PATH"),
        ("unix://run/glimpse.sock", "write unix:PATH"),
        ("unix:/" + "long" * 30, "at most 107 bytes"),
        ("localhost:http", "write HOST:PORT, such as 127.0.0.1:50051"),
        ("localhost:0", "write HOST:PORT"),
        ("localhost:65536", "write HOST:PORT"),
        ("[::1]evil.example:1", "write HOST:PORT"),
        (":50051", "write HOST:PORT"),
        ("50051", "write HOST:PORT"),
        ("two words", "write HOST:PORT"),
        ("ipv4:", "write HOST:PORT"),
    ],
)
def test_an_invalid_address_gets_advice(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        Address.of(text)
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match="is not the address of a server"):
            kind(text)


def test_the_advice_does_not_repeat_a_password() -> None:
    with pytest.raises(ValueError, match="write db:1") as caught:
        Address.of("http://ann:secret@db:1/")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_is_ignored(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIMPSE_SERVER", value)
    assert Address.of(None).target == Address.of("").target == "127.0.0.1:50051"
    monkeypatch.setenv("GLIMPSE_SERVER", "db")
    assert Address.of(None).target == "db:50051"


@pytest.mark.parametrize(
    ("text", "resolved", "proxy"),
    [
        ("glimpse.test", ["127.0.0.1", "::1"], False),
        ("glimpse.test", ["127.0.0.1", "10.0.0.1"], True),
        ("glimpse.test", [], True),
        ("dns:///glimpse.test", ["127.0.1.1"], False),
        ("xds:///glimpse.test", ["127.0.0.1"], True),
        ("localhost", ["10.0.0.1"], False),
        ("unix-abstract:x", ["10.0.0.1"], False),
    ],
)
def test_a_name_of_this_machine_uses_no_proxy(
    text: str, resolved: list[str], proxy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(*_: Any, **__: Any) -> list[Any]:
        if not resolved:
            raise socket.gaierror
        return [(0, 0, 0, "", (address, 0)) for address in resolved]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert Address.of(text).may_use_proxy() is proxy


def test_both_options_against_proxies_are_set() -> None:
    assert dict(NO_PROXY) == {"grpc.enable_http_proxy": 0, "grpc.address_http_proxy_enabled_addresses": ""}
