"""File locks that end with this process, even if it is killed while a child of it still runs."""

import fcntl
import os

_held: set[int] = set()


def lock(handle: int) -> None:
    """Locks an open file for this process.

    Args:
        handle: a file descriptor; `unlock` closes it.

    Raises:
        BlockingIOError: another process has the lock.
        OSError: the file system has no locks.
    """
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    _held.add(handle)


def unlock(handle: int) -> None:
    """Closes a file, which releases its lock."""
    _held.discard(handle)
    os.close(handle)


def _forget_in_child() -> None:
    # A forked child shares the open file and would keep the lock for its lifetime.
    for handle in _held:
        os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)
