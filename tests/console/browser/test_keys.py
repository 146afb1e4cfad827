"""People who sign in with keys, in a real browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from glimpse.client import Client
from support.browser import Shoot, settled
from support.console import ConsoleProcess
from support.keys import make_key, run_keys, until_known
from support.server import ServerProcess

pytestmark = pytest.mark.rest


def test_a_key_allows_what_its_scope_allows(page: Page, tmp_path: Path, shoot: Shoot) -> None:
    keys = {scope: make_key(tmp_path, f"key-{scope}", scope) for scope in ("read", "admin")}
    with (
        ServerProcess(tmp_path, require_auth=True) as server,
        ConsoleProcess(tmp_path, server.address) as console,
    ):
        with Client(server.address, api_key=keys["admin"]) as client:
            client.create_collection("birds")
        page.goto(console.url)
        shoot(page, "sign-in")
        page.get_by_label("API key").fill(keys["read"])
        page.get_by_role("button", name="Sign in").click()
        settled(page)
        assert keys["read"] not in page.url
        expect(page.get_by_text("key-read")).to_be_visible()
        expect(page.get_by_role("heading", name="birds")).to_be_visible()
        expect(page.get_by_role("button", name="New collection")).to_have_count(0)
        expect(page.get_by_role("button", name="Delete birds")).to_have_count(0)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("API key")).to_be_visible()
        page.go_back()
        expect(page.get_by_label("API key")).to_be_visible()


def test_a_key_that_is_revoked_leads_to_the_sign_in(page: Page, tmp_path: Path) -> None:
    key = make_key(tmp_path, "short", "read")
    with (
        ServerProcess(tmp_path, require_auth=True) as server,
        ConsoleProcess(tmp_path, server.address) as console,
    ):
        page.goto(console.url)
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        settled(page)
        assert run_keys(tmp_path, "revoke", "short").returncode == 0
        until_known(server.address, key, known=False)
        page.get_by_role("link", name="Server").click()
        expect(page.get_by_label("API key")).to_be_visible()
