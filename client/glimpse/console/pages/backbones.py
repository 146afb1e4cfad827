"""The page Backbones: give a collection another backbone, compare both, switch, and roll back."""

from functools import partial

from nicegui import background_tasks, ui

from glimpse.client import Backbone, Collection, GlimpseError, Modality, NotFound, Reembedding, Scope
from glimpse.console.components import ago, confirm, counted, empty_state, figure, figures, heading, note, panel, table
from glimpse.console.context import Context
from glimpse.console.pages.backbone_figures import short_name, show_figures

_POLL_SECONDS = 2.0
_FAILURES = 20
_KINDS = {Modality.IMAGE: "images", Modality.TEXT: "texts"}


async def page(context: Context) -> None:
    """Shows the backbone of a collection, and the change to another one while there is one."""
    collection = context.collection
    if collection is None:
        return
    backbones = [one async for one in context.client.list_backbones()]
    try:
        state = await context.client.get_reembedding(collection.name)
    except NotFound as error:
        if error.reason != "REEMBEDDING_NOT_FOUND":
            raise
        state = None
    _show_current(collection, backbones)
    if state is None:
        _offer(context, collection, backbones)
    else:
        _show_change(context, collection, state)


def _show_current(collection: Collection, backbones: list[Backbone]) -> None:
    own = next((one for one in backbones if one.embedding_space == collection.embedding_space), None)
    with panel("In use"), figures():
        figure("Backbone", short_name(collection.backbone), _reads(own) if own else "not loaded by this server")
        figure("Values", f"{own.dimension:,}" if own else "—", "in each vector")
        figure("Examples", f"{collection.example_count:,}", "embedded with it")
        originals = "kept" if collection.keep_inputs else "not kept"
        figure("Originals", originals, "another backbone needs them")


def _reads(backbone: Backbone) -> str:
    return "reads " + " and ".join(_KINDS[one] for one in backbone.modalities if one in _KINDS)


def _offer(context: Context, collection: Collection, backbones: list[Backbone]) -> None:
    """Offers the other backbones, or says why there is none to offer."""
    others = [one for one in backbones if one.embedding_space != collection.embedding_space]
    if not others:
        text = "Start the server with two backbones. Then this page compares both on the examples you have."
        empty_state("This server has loaded no other backbone.", text)
        return
    heading("Other backbones", 2)
    problem = _problem(context, collection)
    note(
        problem
        or "A re-embedding embeds the kept originals again in the background. The collection answers as before until "
        "you switch, and you can switch back."
    )
    with ui.element("div").classes("cards"):
        for one in others:
            with ui.element("article").classes("card panel"):
                heading(short_name(one.name), 3)
                note(f"{_reads(one)} · {one.dimension:,} values")
                if one.description:
                    ui.label(one.description)
                if not problem:
                    with ui.element("div").classes("actions"):
                        button = ui.button("Embed again with it", on_click=partial(_start, context, collection, one))
                        button.props("unelevated no-caps").props["aria-label"] = (
                            f"Embed again with {short_name(one.name)}"
                        )


def _problem(context: Context, collection: Collection) -> str:
    """Returns why a re-embedding cannot start. Empty: it can."""
    if collection.index:
        return (
            "The attached index holds vectors of one backbone, and no originals. To change it, build an index with the "
            "other backbone, detach this one, and attach the new one."
        )
    if not collection.keep_inputs:
        return (
            "This collection does not keep originals, so another backbone has nothing to embed. Set keep_inputs, and "
            "enroll the examples again."
        )
    if not context.may(Scope.ADMIN):
        return "To embed a collection again, you need a key with the scope admin."
    return ""


async def _start(context: Context, collection: Collection, backbone: Backbone) -> None:
    with context.busy("Starting"):
        await context.client.start_reembedding(collection.name, backbone.name)
    await context.reload()


def _show_change(context: Context, collection: Collection, state: Reembedding) -> None:
    """Shows a re-embedding: how far it is, what both backbones are worth, what to do next."""
    admin = context.may(Scope.ADMIN)
    with panel(f"{short_name(state.current.backbone)} in use, {short_name(state.shadow.backbone)} beside it"):
        _Progress(context, state)
        if not state.shadow.loaded:
            note("This server has not loaded the other backbone. Start it with both, or no new example is embedded.")
        if admin:
            _add_actions(context, collection, state)
        else:
            note("To compare, to switch or to end, you need a key with the scope admin.")
    if admin:
        show_figures(context, collection, state)
    if state.failures:
        heading("Examples that the other backbone cannot embed", 2)
        note("A switch sets them aside. They return when you switch back.")
        rows = [(one.example.rpartition("/")[2], one.label, one.problem) for one in state.failures[:_FAILURES]]
        table("Examples that cannot be embedded", ("Example", "Label", "Problem"), rows)
        if state.failed_count > len(rows):
            note(f"and {counted(state.failed_count - len(rows), 'other example')}")


class _Progress:
    """The progress of a re-embedding. It asks every two seconds until nothing is left."""

    def __init__(self, context: Context, state: Reembedding) -> None:
        self._context, self._collection = context, state.collection
        self._bar = ui.linear_progress(0.0, show_value=False).props("instant-feedback rounded size=10px")
        self._bar.props["aria-label"] = "Examples with a vector of both backbones"
        self._text = ui.label().props("role=status")
        self._show(state)
        if not state.done:
            ui.timer(_POLL_SECONDS, self._ask)

    async def _ask(self) -> None:
        try:
            state = await self._context.client.get_reembedding(self._collection)
        except GlimpseError:
            return  # the frame says that the server is away; the next time asks again
        if self._text.is_deleted:
            return
        self._show(state)
        if state.done:
            # The timer that runs this goes with the page, so the new page needs a task of its own.
            background_tasks.create(self._context.reload(), name="show both backbones")

    def _show(self, state: Reembedding) -> None:
        self._bar.value = state.embedded_count / state.example_count if state.example_count else 1.0
        parts = [f"{state.embedded_count:,} of {counted(state.example_count, 'example')} embedded"]
        parts += [f"{state.left_count:,} left"] if state.left_count else []
        parts += [f"{state.failed_count:,} cannot be embedded"] if state.failed_count else []
        if state.labels_left_count:
            parts.append(f"prompts of {counted(state.labels_left_count, 'label')} left")
        if state.labels_failed_count:
            parts.append(f"prompts of {counted(state.labels_failed_count, 'label')} cannot be embedded")
        parts += [f"{state.set_aside_count:,} set aside"] if state.set_aside_count else []
        self._text.text = f"{' · '.join(parts)} · started {ago(state.start_time)}"


def _add_actions(context: Context, collection: Collection, state: Reembedding) -> None:
    other = short_name(state.shadow.backbone)
    with ui.element("div").classes("actions"):
        name = f"Roll back to {other}" if state.switched else f"Switch to {other}"
        switch = ui.button(name, on_click=partial(_switch, context, collection, state)).props("unelevated no-caps")
        switch.set_enabled(state.done)
        end = ui.button(f"End, and forget {other}", on_click=partial(_end, context, collection, state))
        end.props("flat no-caps color=negative").classes("last")


async def _switch(context: Context, collection: Collection, state: Reembedding) -> None:
    other = short_name(state.shadow.backbone)
    lost = [counted(state.failed_count, "example")] if state.failed_count else []
    lost += [f"the prompts of {counted(state.labels_failed_count, 'label')}"] if state.labels_failed_count else []
    text = f"From now on {other} answers, for everybody who asks {collection.id}. You can switch back at any time."
    if lost:
        text += f" It cannot read {' and '.join(lost)}: these are set aside until you switch back."
    action = "Roll back" if state.switched else "Switch"
    if not await confirm(f"{action} to {other}?", text, action):
        return
    with context.busy(f"Switching to {other}"):
        await context.client.switch_backbone(collection.name, state.shadow.embedding_space, force=bool(lost))
    ui.notify(f"{collection.id} answers by {other} now.")
    await context.reload()


async def _end(context: Context, collection: Collection, state: Reembedding) -> None:
    other, kept = short_name(state.shadow.backbone), short_name(state.current.backbone)
    text = f"This deletes the vectors of {other}, and {collection.id} keeps {kept}. To change it you start again."
    if state.set_aside_count:
        text += f" {counted(state.set_aside_count, 'example')} that were set aside are deleted too."
    if not await confirm(f"End the re-embedding of {collection.id}?", text, "End it"):
        return
    with context.busy("Ending"):
        await context.client.end_reembedding(collection.name)
    await context.reload()
