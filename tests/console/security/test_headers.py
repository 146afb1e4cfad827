import re

import pytest
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import Message, Scope

from glimpse.console.security.headers import SecurityHeaders


async def answer(response: Response, *, https: bool = False) -> tuple[dict[str, str], str]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    await SecurityHeaders(response, https=https)(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return headers, b"".join(message["body"] for message in sent[1:]).decode()


def page(body: str) -> Response:
    return HTMLResponse(body, headers={"X-NiceGUI-Content": "page"})


@pytest.mark.parametrize("response", [PlainTextResponse("x"), page("x")])
async def test_no_response_can_be_framed_or_sniffed(response: Response) -> None:
    headers, _ = await answer(response)
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "strict-transport-security" not in headers


async def test_scripts_of_a_page_have_a_nonce_that_is_new_each_time() -> None:
    nonces = set()
    for _ in range(3):
        headers, body = await answer(
            page('<script type="module">1</script><p>x</p><script defer src="/a.js"></script>')
        )
        found = re.findall(r'<script nonce="([\w-]+)"', body)
        assert len(found) == body.count("<script") == 2
        [nonce] = set(found)
        assert f"script-src 'self' 'nonce-{nonce}' 'unsafe-eval';" in headers["content-security-policy"]
        assert int(headers["content-length"]) == len(body)
        nonces.add(nonce)
    assert len(nonces) == 3


async def test_the_policy_allows_no_other_host_and_no_inline_script() -> None:
    for response in (page("x"), PlainTextResponse("x")):
        headers, _ = await answer(response)
        rules = dict(rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";"))
        assert rules["default-src"] == "'none'"
        assert "'unsafe-inline'" not in rules.get("script-src", "")
        sources = {source for rule in rules.values() for source in rule.split()}
        assert not {one for one in sources if "." in one or "*" in one or one.endswith("://")}


async def test_only_pages_may_run_scripts() -> None:
    headers, body = await answer(HTMLResponse("<script>1</script>"))
    assert "script-src" not in headers["content-security-policy"]
    assert "nonce" not in body


async def test_with_tls_browsers_remember_it() -> None:
    headers, _ = await answer(PlainTextResponse("x"), https=True)
    assert headers["strict-transport-security"] == "max-age=31536000"
