"""The built TypeScript client in a real browser: a page calls a server that names its origin, and no other does."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from glimpse.client import Client
from support.browser import chromium, launch
from support.bundles import tiny_dual_bundle
from support.keys import make_key, until_known
from support.npm import bundle
from support.server import ServerProcess

pytestmark = pytest.mark.rest

#: Teaches a collection two labels and asks for one; returns what the page could read.
SCRIPT = """
import { Code, Glimpse, GlimpseError, unwrap } from "glimpse-fewshot";

window.ask = async ({ url, apiKey, collection }) => {
  const glimpse = new Glimpse({ url, apiKey, retry: { attempts: 1 } });
  try {
    const [vector] = unwrap(await glimpse.embed(["a red circle"]));
    await glimpse.createCollection(collection);
    const examples = ["red", "blue"].map((label) => ({ label, input: `a ${label} circle` }));
    const { revision } = await glimpse.enroll(collection, examples, { createLabels: true });
    const [answer] = unwrap(await glimpse.classify(collection, ["a red circle"], { minRevision: revision }));
    return { dimension: vector.values.length, label: answer.labelId };
  } catch (error) {
    if (!(error instanceof GlimpseError)) throw error;
    return { code: Code[error.code], reason: error.reason, requestId: error.requestId, cause: String(error.cause) };
  }
};
"""


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def port(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serves a page with the built client, on a port of its own."""
    chromium()
    folder = tmp_path_factory.mktemp("page")
    (folder / "source.js").write_text(SCRIPT)
    (folder / "site").mkdir()
    bundle(folder / "source.js", folder / "site" / "page.js")
    (folder / "site" / "index.html").write_text('<!doctype html><script type="module" src="page.js"></script>')
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(folder / "site"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def place(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, str]]:
    """Runs a server that names the page's origin at 127.0.0.1, and returns a key of it."""
    folder = tmp_path_factory.mktemp("browser")
    key = make_key(folder, "page", "admin")
    tiny: Path = tiny_dual_bundle(folder / "tiny").path
    settings = {"require_auth": True, "http": "127.0.0.1:0", "http_origins": f"http://127.0.0.1:{port}"}
    with ServerProcess(folder, tiny, **settings) as server:
        until_known(server.address, key)
        yield server, key


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Starts a browser for one test: while Playwright runs, no test with an event loop of its own can."""
    with sync_playwright() as playwright, launch(playwright) as launched:
        yield launched


def ask(page: Page, address: str, url: str, key: str, collection: str) -> Any:
    """Opens the page at an address, and lets it call a server."""
    page.goto(address)
    page.wait_for_function("() => window.ask !== undefined")
    return page.evaluate("(asked) => window.ask(asked)", {"url": url, "apiKey": key, "collection": collection})


def test_a_page_of_a_named_origin_embeds_teaches_and_classifies(
    browser: Browser, port: int, place: tuple[ServerProcess, str]
) -> None:
    server, key = place
    page, address = browser.new_page(), f"http://127.0.0.1:{port}/"
    assert ask(page, address, server.url, key, "shades") == {"dimension": 8, "label": "red"}
    found = ask(page, address, server.url, key, "shades")
    assert (found["code"], found["reason"]) == ("AlreadyExists", "COLLECTION_EXISTS")
    assert len(found["requestId"]) == 16, "the page may read the header"
    found = ask(page, address, server.url, "glimpse_wrong", "other")
    assert (found["code"], found["reason"]) == ("Unauthenticated", "CREDENTIALS_INVALID")


def test_a_page_of_another_origin_is_kept_from_the_server_by_the_browser(
    browser: Browser, port: int, place: tuple[ServerProcess, str]
) -> None:
    server, key = place
    page = browser.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    # The same page, but `localhost` is another origin than 127.0.0.1.
    found = ask(page, f"http://localhost:{port}/", server.url, key, "stolen")
    assert (found["code"], found["reason"]) == ("Unavailable", "")
    assert any("blocked by CORS policy" in text for text in problems), problems
    with Client(server.address, api_key=key) as client:
        assert "stolen" not in {collection.id for collection in client.list_collections()}
