"""Kills a server between two steps of a resolution or of its undo."""

import os
import signal
import threading
from typing import Any

from sqlalchemy import Engine, Pool, event

#: Steps after the last statement: before the commit, and after it.
AT_COMMIT, COMMITTED = -1, -2


def kill_at(step: int) -> None:
    """Kills this process at a step of the first change that looks at resolutions, if no engine exists yet.

    Args:
        step: the number of a statement, from 1 on, or AT_COMMIT, or COMMITTED: then the call is not answered yet.
    """
    statements, thread, committing = 0, 0, False

    def reached(this: int) -> None:
        if this == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def after_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal statements, thread
        if not thread and "review_resolutions" in statement:
            thread = threading.get_ident()
        if thread == threading.get_ident():
            statements += 1
            reached(statements)

    def at_commit(_connection: Any) -> None:
        nonlocal committing
        if thread == threading.get_ident():
            committing = True
            reached(AT_COMMIT)

    def after_checkin(*_: Any) -> None:
        nonlocal statements, thread
        if thread != threading.get_ident():
            return
        if committing:
            reached(COMMITTED)
        statements, thread = 0, 0  # it only read

    event.listen(Engine, "after_cursor_execute", after_statement)
    event.listen(Engine, "commit", at_commit)
    event.listen(Pool, "checkin", after_checkin)
