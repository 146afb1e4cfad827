from pathlib import Path
from typing import Any

import pytest

from glimpse.console.app import cookie_name
from glimpse.console.settings import Settings

SERVER = "127.0.0.1:50051"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.9"])
def test_on_loopback_nobody_signs_in(host: str) -> None:
    settings = Settings.of(server=SERVER, host=host)
    assert settings.local
    assert settings.scheme == "http"


@pytest.mark.parametrize("values", [{"host": "0.0.0.0"}, {"host": "192.0.2.1"}, {"public_url": "http://console"}])
def test_plain_text_for_other_machines_must_be_allowed(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="plain text"):
        Settings.of(server=SERVER, **values)
    assert not Settings.of(server=SERVER, insecure=True, **values).local


def test_with_tls_others_may_reach_it_and_sign_in() -> None:
    settings = Settings.of(server=SERVER, host="0.0.0.0", tls_cert=Path("c"), tls_key=Path("k"))
    assert (settings.scheme, settings.local) == ("https", False)
    assert cookie_name(settings).startswith("__Host-")


def test_behind_a_proxy_with_tls_everybody_signs_in() -> None:
    settings = Settings.of(server=SERVER, public_url="https://console.example.org")
    assert (settings.scheme, settings.local) == ("https", False)
    assert settings.url == "https://console.example.org"


@pytest.mark.parametrize("url", ["console", "ftp://console", "https://", "https://console/path"])
def test_a_public_url_is_an_origin(url: str) -> None:
    with pytest.raises(ValueError, match="not an origin"):
        Settings.of(server=SERVER, public_url=url)


def test_a_certificate_needs_its_key() -> None:
    with pytest.raises(ValueError, match="private key"):
        Settings.of(server=SERVER, tls_cert=Path("c"))


def test_two_consoles_of_one_machine_have_cookies_of_their_own() -> None:
    names = {cookie_name(Settings(SERVER, port=port)) for port in (8080, 8081)}
    assert len(names) == 2
