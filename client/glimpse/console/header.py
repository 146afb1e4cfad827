"""The header of every page: navigation, collection, appearance, caller."""

from nicegui import ui

from glimpse.client import Caller, Collection, Scope
from glimpse.console.context import Page
from glimpse.console.pages import PAGES
from glimpse.console.session import Session

_THEMES: dict[bool | None, tuple[str, str]] = {
    None: ("brightness_auto", "Appearance: as the system. Switch to light"),
    False: ("light_mode", "Appearance: light. Switch to dark"),
    True: ("dark_mode", "Appearance: dark. Switch to that of the system"),
}
_NEXT_THEME: dict[bool | None, bool | None] = {None: False, False: True, True: None}


class Header:
    """The header. Its navigation and its collections come with the caller's scopes, after the first answer."""

    def __init__(self, page: Page, session: Session) -> None:
        self._page = page
        self._session = session
        self._dark = ui.dark_mode(session.dark)
        with ui.header(bordered=True).classes("console-header"):
            with ui.link(target="/").classes("brand"):
                ui.element("img").props('src=/assets/glimpse.svg alt="" width=26 height=26')
                ui.label("Glimpse")
            self._navigation = ui.element("nav").props('aria-label="Pages"')
            self._picker = ui.element("div").classes("picker")
            self._caller = ui.element("div").classes("caller")
        self.fill(None, {}, None)

    def fill(self, caller: Caller | None, collections: dict[str, Collection], collection: Collection | None) -> None:
        """Shows what the caller may see.

        Args:
            caller: The caller. None: not known yet.
            collections: The collections by id.
            collection: The collection that the page shows. None: it shows none.
        """
        chosen = collection.id if collection else ""
        self._fill_navigation(caller, chosen)
        self._fill_picker(collections, chosen)
        self._fill_caller(caller)

    def _fill_navigation(self, caller: Caller | None, chosen: str) -> None:
        best = max([caller.scope, *caller.collections.values()]) if caller else Scope.ADMIN
        self._navigation.clear()
        with self._navigation:
            for page in PAGES:
                if best < page.scope:
                    continue
                link = ui.link(page.title, page.address(chosen)).classes("tab")
                if page is self._page:
                    link.props("aria-current=page")

    def _fill_picker(self, collections: dict[str, Collection], chosen: str) -> None:
        self._picker.clear()
        if not self._page.of_collection or not collections:
            return
        with self._picker:
            ui.select(
                list(collections),
                value=chosen or None,
                label="Collection",
                with_input=len(collections) > 10,
                on_change=lambda event: ui.navigate.to(self._page.address(event.value)) if event.value else None,
            ).props("dense outlined options-dense")

    def _fill_caller(self, caller: Caller | None) -> None:
        self._caller.clear()
        with self._caller:
            self._theme = ui.button(on_click=self._change_theme).props("flat round dense")
            self._show_theme()
            if caller is not None:
                ui.label(caller.name or "no key").classes("caller-name")
            if self._session.signed_in:
                with ui.element("form").props("method=post action=/sign-out"):
                    ui.button("Sign out").props("flat dense no-caps type=submit")
            elif caller is not None:
                ui.link("Sign in", "/sign-in").classes("tab")

    def _change_theme(self) -> None:
        self._session.dark = self._dark.value = _NEXT_THEME[self._session.dark]
        self._show_theme()

    def _show_theme(self) -> None:
        self._theme.icon, tip = _THEMES[self._session.dark]
        self._theme.props["aria-label"] = tip
