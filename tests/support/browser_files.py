"""Drops, pastes and chooses files in a browser, as people do."""

import base64
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from support.browser import open_page
from support.console import ConsoleProcess

# A browser lets scripts fill a DataTransfer, and hands it to listeners as it does that of a person.
_TRANSFER = """
const transfer = new DataTransfer();
for (const [name, content] of files) {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  transfer.items.add(new File([bytes], name));
}
if (text) transfer.setData("text/plain", text);
"""


def open_zone(page: Page, console: ConsoleProcess, path: str, collection: str) -> None:
    """Opens a page, and waits until its drop zone listens."""
    open_page(page, console, path, collection)
    expect(page.get_by_role("button", name="Choose files")).to_be_visible()


def choose_files(page: Page, *files: Path) -> None:
    """Chooses files in the dialog of the page's drop zone."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").click()
    chooser.value.set_files(list(files))


def choose_folder(page: Page, folder: Path) -> None:
    """Chooses a folder in the dialog of the page's drop zone."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a folder").click()
    chooser.value.set_files(folder)


def drop(element: Locator, *files: Path, text: str = "") -> None:
    """Drops files or a text onto an element."""
    script = f"""(element, [files, text]) => {{{_TRANSFER}
      for (const name of ["dragover", "drop"])
        element.dispatchEvent(new DragEvent(name, {{ bubbles: true, cancelable: true, dataTransfer: transfer }}));
    }}"""
    element.evaluate(script, [_encoded(files), text])


def paste(page: Page, *files: Path, text: str = "") -> None:
    """Pastes files or a text into the page, outside of a field."""
    script = f"""([files, text]) => {{{_TRANSFER}
      document.body.dispatchEvent(new ClipboardEvent("paste", {{ bubbles: true, clipboardData: transfer }}));
    }}"""
    page.evaluate(script, [_encoded(files), text])


def _encoded(files: Sequence[Path]) -> list[tuple[str, str]]:
    return [(file.name, base64.b64encode(file.read_bytes()).decode()) for file in files]
