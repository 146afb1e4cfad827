"""Pages of other sites try to use a console on this machine, in a real browser that has its cookie."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Playwright, expect

from support.browser import launch, open_page, settled
from support.console import ConsoleProcess

pytestmark = pytest.mark.rest
SOCKET = "/_nicegui_ws/socket.io/"

# Sends whatever a page can send to another origin; returns what it could read.
ATTACK = """async ({console, page}) => {
  const read = {};
  const kept = async (name, work) => { try { read[name] = await work(); } catch (error) { read[name] = null; } };
  await kept("page", async () => (await fetch(console + "/collections", {credentials: "include"})).text());
  const opaque = {credentials: "include", mode: "no-cors"};
  await kept("opaque", async () => (await fetch(console + "/collections", opaque)).text());
  await kept("post", async () => (await fetch(console + "/sign-out", {...opaque, method: "POST"})).text());
  const socket = "/_nicegui_ws/socket.io/?EIO=4&client_id=" + page + "&implicit_handshake=true&tab_id=t&document_id=d";
  const polling = console + socket + "&transport=polling";
  await kept("polling", async () => (await fetch(polling, {credentials: "include"})).text());
  await kept("socket", () => new Promise((resolve) => {
    const opened = new WebSocket(console.replace("http", "ws") + socket + "&transport=websocket");
    opened.onmessage = (event) => resolve(event.data);
    opened.onerror = () => resolve(null);
  }));
  await kept("image", () => new Promise((resolve) => {
    const image = new Image();
    image.onload = () => resolve("loaded"); image.onerror = () => resolve(null);
    image.src = console + "/assets/glimpse.svg";
  }));
  await kept("frame", () => new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.name = "inner"; frame.src = console + "/collections";
    frame.onload = () => resolve(null);
    document.body.append(frame);
  }));
  const form = document.createElement("form");
  Object.assign(form, {method: "post", action: console + "/sign-out", target: "inner"});
  document.body.append(form);
  form.submit();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return read;
}"""


class _Empty(BaseHTTPRequestHandler):
    """Answers every request with an empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>other</title>")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def other_port() -> Iterator[int]:
    """Serves empty pages on another port of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Empty) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def rebinding(playwright: Playwright) -> Iterator[Browser]:
    """Starts a browser for which two more names are this machine. So it lets their pages send requests to it."""
    with launch(playwright, "--host-resolver-rules=MAP *.test 127.0.0.1") as browser:
        yield browser


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "evil.test"])
def test_a_page_of_another_origin_reaches_nothing(
    rebinding: Browser, console: ConsoleProcess, other_port: int, name: str
) -> None:
    context = rebinding.new_context()
    page, evil = context.new_page(), context.new_page()
    open_page(page, console)
    answers: dict[str, int] = {}
    evil.on("response", lambda answer: answers.update({urlsplit(answer.url).path: answer.status}))
    evil.goto(f"http://{name}:{other_port}/other")
    read = evil.evaluate(ATTACK, {"console": console.url, "page": page.evaluate("window.clientId")})
    assert {part: found for part, found in read.items() if found} == {}
    assert answers.pop("/other") == 200
    # The browser reports no answers that it keeps from the page itself.
    assert answers["/collections"] == 403
    assert set(answers.values()) == {403}
    # The session is still there, and its page still answers.
    page.get_by_role("link", name="Server").click()
    settled(page)
    expect(page.get_by_text("serving", exact=True)).to_be_visible()
    context.close()


def test_a_name_that_is_rebound_to_this_machine_is_refused(rebinding: Browser, console: ConsoleProcess) -> None:
    page = rebinding.new_page()
    answer = page.goto(f"http://rebound.test:{console.port}/collections")
    assert answer
    assert answer.status == 421
    script = """(address) => new Promise((resolve) => {
      const socket = new WebSocket(address);
      socket.onopen = () => resolve("open"); socket.onerror = () => resolve("refused");
    })"""
    address = f"ws://rebound.test:{console.port}{SOCKET}?EIO=4&transport=websocket"
    assert page.evaluate(script, address) == "refused"
