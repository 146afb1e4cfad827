import pytest

from glimpse.console.security.hosts import Hosts

LOOPBACK = Hosts("127.0.0.1", "http")
OPEN = Hosts("0.0.0.0", "https")
NAMED = Hosts("0.0.0.0", "https", "https://console.example.org")


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:9000", "localhost:1"])
def test_a_console_on_loopback_has_the_names_of_this_machine(host: str) -> None:
    assert LOOPBACK.allows_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1:8080"),
        *("", "localhost:", "localhost:8080:8080", "user@localhost", "localhost/", "[::1", "::1", "local host", "::1]"),
    ],
)
def test_a_rebound_name_is_no_name_of_a_console_on_loopback(host: str) -> None:
    assert not LOOPBACK.allows_host(host)


def test_a_console_on_every_address_is_named_by_addresses_alone() -> None:
    assert OPEN.allows_host("192.0.2.7:8080")
    assert OPEN.allows_host("[2001:db8::7]:8080")
    assert not OPEN.allows_host("console.example.org:8080")


def test_a_public_url_is_the_only_name() -> None:
    assert NAMED.allows_host("console.example.org")
    for other in ("console.example.org:8443", "192.0.2.7", "localhost", "example.org"):
        assert not NAMED.allows_host(other)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:8080", True),
        ("http://localhost:3000", False),
        ("https://localhost:8080", False),
        ("http://127.0.0.1:8080", False),
        ("http://evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_the_origin_is_scheme_name_and_port_of_the_page(origin: str, allowed: bool) -> None:
    assert LOOPBACK.allows_origin(origin, "localhost:8080") is allowed
