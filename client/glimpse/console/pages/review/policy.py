"""The policy of what is kept for review: in words, switching it on, deleting everything."""

from nicegui import ui

from glimpse.client import Collection, ReviewPolicy, Scope
from glimpse.console.components import confirm_by_name, counted, dialog_panel, heading, note, percent
from glimpse.console.context import Context

_DAYS, _ITEMS = 30, 1_000  # the server's defaults


def describe_policy(policy: ReviewPolicy | None) -> str:
    """Returns what a policy keeps, in a sentence."""
    if policy is None:
        return "No query is kept."
    rate = policy.match_rate or 0.0
    kinds = [
        *(["unknown queries"] if policy.keep_unknown else []),
        *(["unsure queries"] if policy.keep_ambiguous else []),
        *([f"{percent(rate)} of the matches"] if rate else []),
    ]
    if not kinds:
        return "No query is kept: the policy names no decision."
    what = ", ".join(kinds)
    originals = "with their originals" if policy.keep_inputs else "as vectors, without their originals"
    days, items = policy.keep_days or _DAYS, policy.max_items or _ITEMS
    return f"Kept: {what}, {originals}, for {counted(days, 'day')}, at most {items:,}."


def show_policy(context: Context, collection: Collection) -> None:
    """Shows what is kept, with the actions of an admin."""
    with ui.element("section").classes("panel"):
        heading("What is kept", 2)
        ui.label(describe_policy(collection.review_policy))
        if not collection.content_readable:
            note("Originals may not be read: an admin can allow it for this collection.")
        if not context.may(Scope.ADMIN):
            return
        with ui.element("div").classes("actions"):
            ui.button("Change", on_click=lambda: change_policy(context, collection)).props("outline no-caps")
            ui.button("Delete all kept queries", on_click=lambda: _purge(context, collection, stop=False)).props(
                "flat no-caps color=negative"
            )
            if collection.review_policy:
                ui.button("Stop and delete all", on_click=lambda: _purge(context, collection, stop=True)).props(
                    "flat no-caps color=negative"
                )


async def change_policy(context: Context, collection: Collection) -> None:
    """Asks what to keep, and changes the collection."""
    policy = collection.review_policy or ReviewPolicy(keep_unknown=True, keep_ambiguous=True, keep_inputs=True)
    new = collection.review_policy is None
    with dialog_panel("What to keep for review", "Only Classify calls from now on are kept.") as dialog:
        unknown = ui.checkbox("Queries that are like no label (unknown)", value=bool(policy.keep_unknown))
        unsure = ui.checkbox("Queries between labels (ambiguous)", value=bool(policy.keep_ambiguous))
        inputs = ui.checkbox("Their originals too, not only vectors", value=bool(policy.keep_inputs))
        readable = ui.checkbox(
            "Callers with the scope enroll may see originals", value=new or collection.content_readable
        )
        with ui.element("div").classes("actions end"):
            ui.button("Cancel", on_click=lambda: dialog.submit(False)).props("flat no-caps")
            ui.button("Keep", on_click=lambda: dialog.submit(True)).props("unelevated no-caps")
    answer = await dialog
    dialog.delete()
    if not answer:
        return
    with context.busy("Changing the collection"):
        await context.client.update_collection(
            collection.name,
            review_policy=ReviewPolicy(
                keep_unknown=unknown.value, keep_ambiguous=unsure.value, keep_inputs=inputs.value
            ),
            content_readable=readable.value,
        )
    await context.reload()


async def _purge(context: Context, collection: Collection, *, stop: bool) -> None:
    text = "This deletes every kept query, resolved or not, from the files of the database. Examples stay. "
    text += "From then on no query is kept." if stop else "Queries are kept as before."
    action = "Stop and delete" if stop else "Delete"
    if not await confirm_by_name("Delete all kept queries?", text, collection.id, action):
        return
    with context.busy("Deleting"):
        purged = await context.client.purge_review(collection.name, stop_keeping=stop)
    ui.notify(f"{counted(purged.item_count, 'query', 'queries')} deleted.")
    await context.reload()
