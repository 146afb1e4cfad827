"""The Review page: the queue, or what to do if nothing waits."""

from functools import partial

from nicegui import ui

from glimpse.client import Scope
from glimpse.console.components import counted, empty_state
from glimpse.console.context import Context
from glimpse.console.pages.review.board import Board, read_board
from glimpse.console.pages.review.desk import Desk
from glimpse.console.pages.review.other_spaces import show_other_spaces
from glimpse.console.pages.review.policy import change_policy, show_policy


async def page(context: Context) -> None:
    """Shows the queries that wait for a person, in groups, and what is kept."""
    collection = context.collection
    assert collection  # noqa: S101  (the frame asks for one)
    with context.busy("Grouping the queries"):
        board = await read_board(context.client, collection)
    others = board.of_other_space
    if board.groups or board.waiting > len(others):
        Desk(context, board)
    elif not others:
        _show_empty(context, board)
    if others:
        show_other_spaces(context, others, board.name_of)
    show_policy(context, collection)


def _show_empty(context: Context, board: Board) -> None:
    collection = board.collection
    if collection.review_policy is None:
        if context.may(Scope.ADMIN):
            text = "Switch it on, and the queries that this collection is unsure about wait here for you."
            empty_state("Queries are not kept.", text, "Keep queries", partial(change_policy, context, collection))
        else:
            empty_state("Queries are not kept.", "Somebody with an admin key can switch it on, here on this page.")
        return
    done = board.summary.resolved_count
    text = "Queries that this collection is unsure about wait here. Ask it something that it does not know yet."
    if done:
        text += f" {counted(done, 'query was', 'queries were')} resolved in the last 7 days."
    with empty_state("Nothing waits for review.", text, "Look again", context.reload):
        for other in context.pages:
            if other.path == "ask":
                ui.button(other.title, on_click=partial(context.open, other)).props("outline no-caps")
