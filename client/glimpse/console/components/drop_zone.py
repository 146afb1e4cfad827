"""A place to drop, paste or choose pictures, folders and texts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from nicegui import app
from nicegui.element import Element
from nicegui.events import GenericEventArguments
from starlette.datastructures import UploadFile
from starlette.requests import Request

from glimpse.console.security.guard import MAX_BODY_BYTES

_MAX_BATCH_FILES = 32
_MAX_BATCH_BYTES = 8 * 1024 * 1024
_ROOM = 64 * 1024  # of a request for its fields


@dataclass(frozen=True, slots=True)
class Upload:
    """A file from the browser.

    Attributes:
        path: Its name, or its path in the dropped folder: `shapes/star/1.png`. It is a text of the user, never a path
            of this machine.
        content: Its bytes.
    """

    path: str
    content: bytes

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The name of the innermost folder, which is the label of a labelled folder. Empty: no folder was dropped."""
        return self.path.rpartition("/")[0].rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some of the files that were dropped together. The next batch follows when the handler has returned.

    Attributes:
        files: The files.
        done: Number of files in earlier batches.
        total: Number of files in all batches.
        target: The property `data-drop` of the element they were dropped onto. Empty: it has none, or they were not
            dropped.
    """

    files: tuple[Upload, ...]
    done: int
    total: int
    target: str = ""


OnFiles = Callable[[Batch], Awaitable[None]]
OnText = Callable[[str], Awaitable[None]]


class DropZone(Element, component="drop_zone.js"):
    """Takes files that are dropped or pasted anywhere on the page, or chosen, and sends them in batches.

    Elements with the property `data-drop` are places to drop, too, which `Batch.target` names.
    """

    def __init__(
        self,
        title: str,
        on_files: OnFiles,
        on_text: OnText | None = None,
        *,
        folders: bool = False,
        accept: str = "image/*",
    ) -> None:
        """Adds the element.

        Args:
            title: What to do, for people: `Drop pictures here, or paste them`.
            on_files: Awaited for each batch of files.
            on_text: Awaited with a text that is dropped, or pasted outside of a field. None: texts are ignored.
            folders: Whether a folder can be chosen too. It can be dropped anyway.
            accept: Kinds of files in the dialog that chooses files, as in HTML.
        """
        super().__init__()
        self._on_files = on_files
        self._url = f"/_nicegui/client/{self.client.id}/upload/{self.id}"
        app.post(self._url, include_in_schema=False)(self._receive)
        self.props["url"] = self._url
        self.props["title"] = self.props["label"] = title
        self.props["choose"] = "Choose files"
        self.props["accept"] = accept
        self.props["folders"] = folders
        self.props["texts"] = on_text is not None
        self.props["max-file-bytes"] = MAX_BODY_BYTES - _ROOM
        self.props["max-batch-bytes"] = _MAX_BATCH_BYTES
        self.props["max-batch-files"] = _MAX_BATCH_FILES
        if on_text is not None:
            self.on("text", lambda event: _call(on_text, event))

    async def _receive(self, request: Request) -> dict[str, int]:
        """Answers the upload of a batch, when the handler has returned."""
        async with request.form(max_files=_MAX_BATCH_FILES) as form:
            sent = [one for one in form.getlist("file") if isinstance(one, UploadFile)]
            files = tuple([Upload(one.filename or "", await one.read()) for one in sent])
            target = form.get("target")
            batch = Batch(
                files,
                _number(form.get("done")),
                _number(form.get("total")),
                target if isinstance(target, str) else "",
            )
        with self.client:
            try:
                await self._on_files(batch)
            except Exception as error:  # the frame shows every error
                self.client.handle_exception(error)
        return {"received": len(files)}

    def _handle_delete(self) -> None:
        app.remove_route(self._url)
        super()._handle_delete()


def _number(value: Any) -> int:
    return int(value) if isinstance(value, str) and value.isdecimal() else 0


async def _call(on_text: OnText, event: GenericEventArguments) -> None:
    if isinstance(event.args, str):
        await on_text(event.args)
