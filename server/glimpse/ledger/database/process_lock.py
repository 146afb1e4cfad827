"""Locks on open files that end with this process, even where it was killed and a child of it still runs."""

import fcntl
import os

_held: set[int] = set()


def hold(handle: int) -> None:
    """Locks an open file for this process alone. Raises BlockingIOError where another has it, OSError where none can.

    Args:
        handle: a descriptor; `let_go` closes it.
    """
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    _held.add(handle)


def unlock(handle: int) -> None:
    """Closes a file, and ends its lock if it has one."""
    _held.discard(handle)
    os.close(handle)


def _forget_in_child() -> None:
    # A forked child shares the open file, and would keep the lock for as long as it lives.
    for handle in _held:
        os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)
