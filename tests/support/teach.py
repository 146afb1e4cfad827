"""Looks at the page Teach in a browser, and at what it taught."""

from playwright.sync_api import Locator, Page, expect

from glimpse.client import Client


def counts(client: Client, collection: str) -> dict[str, int]:
    return {label.id: label.example_count for label in client.list_labels(collection)}


def row(page: Page, label: str) -> Locator:
    return page.locator(".teach-labels").get_by_role("button", name=label)


def settle(page: Page) -> Locator:
    """Waits for the newest drop, and returns its panel."""
    newest = page.locator(".drop").first
    expect(newest.locator("h2")).not_to_have_text("Teaching …")
    return newest
