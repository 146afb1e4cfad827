"""The keys of the page."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nicegui import ui
from nicegui.events import KeyEventArguments

from glimpse.console.pages.review.choices import Choice


def listen(
    switch: ui.switch,
    choice_of: Callable[[str], Choice | None],
    choose: Callable[[Choice], Awaitable[None]],
    actions: Mapping[str, Callable[[], Any]],
) -> None:
    """Listens to single keys, outside of fields and dialogs.

    Args:
        switch: Keys act while it is on.
        choice_of: Returns the answer that a key stands for.
        choose: Called with an answer.
        actions: What other keys do, by the key's name in lower case.
    """

    async def press(event: KeyEventArguments) -> None:
        held = event.modifiers.alt or event.modifiers.ctrl or event.modifiers.meta
        if not event.action.keydown or event.action.repeat or held or not switch.value or _is_dialog_open(event):
            return
        key = event.key.name.lower()
        if choice := choice_of(key):
            await choose(choice)
        elif action := actions.get(key):
            done = action()
            if inspect.isawaitable(done):
                await done

    # A focused button gets Enter and Space alone, so the keys act there too.
    ui.keyboard(on_key=press, ignore=["input", "select", "textarea"], repeating=False)


def _is_dialog_open(event: KeyEventArguments) -> bool:
    return any(isinstance(one, ui.dialog) and one.value for one in event.client.elements.values())
