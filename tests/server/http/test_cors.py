"""A web page may call only if the setting names its origin."""

import json
from typing import Any

import pytest

from glimpse.server.http.cors import Cors
from glimpse.server.settings import SettingsError
from support.http_listener import in_process

PATH = "/glimpse.v1.EmbeddingService/GetBackbone"
JSON = ("content-type", "application/json")
OWN, OTHER = ("origin", "https://example.org"), ("origin", "https://example.com")
ASK = [("access-control-request-method", "POST")]


class Servicer:
    async def GetBackbone(self, request: Any, context: Any) -> Any:
        from glimpse.v1.embedding_service_pb2 import GetBackboneResponse

        return GetBackboneResponse()


async def test_by_default_no_page_may_call() -> None:
    async with in_process(Servicer()) as listener:
        status, headers, content = await listener.request(PATH, b"{}", [JSON, OWN])
        assert (status, json.loads(content)["code"]) == (403, "permission_denied")
        assert not [name for name in headers if name.startswith("access-control")]
        status, headers, _ = await listener.request(PATH, b"", [OWN, *ASK], "OPTIONS")
        assert status == 403
        assert not [name for name in headers if name.startswith("access-control")]
        status, *_ = await listener.request(PATH, b"{}", [JSON])
        assert status == 200


async def test_a_page_of_a_named_origin_may_call_and_read_the_answer() -> None:
    async with in_process(Servicer(), http_origins=(OWN[1],)) as listener:
        status, headers, content = await listener.request(PATH, b"", [OWN, *ASK], "OPTIONS")
        assert (status, content) == (204, b"")
        assert headers["access-control-allow-origin"] == OWN[1]
        assert "authorization" in headers["access-control-allow-headers"]
        status, headers, _ = await listener.request(PATH, b"{}", [JSON, OWN])
        assert (status, headers["access-control-allow-origin"], headers["vary"]) == (200, OWN[1], "Origin")
        for verb, wanted in (("OPTIONS", 403), ("POST", 403)):
            status, headers, _ = await listener.request(PATH, b"{}", [JSON, OTHER, *ASK], verb)
            assert status == wanted
            assert "access-control-allow-origin" not in headers


def test_a_star_names_every_origin() -> None:
    assert Cors(["*"]).preflight("http://localhost:5173")[0] == 204


@pytest.mark.parametrize("origin", ["example.org", "https://example.org/", "https://example.org/a", "", "null"])
def test_what_is_no_origin_is_named(origin: str) -> None:
    with pytest.raises(SettingsError, match="http_origins"):
        Cors([origin])
