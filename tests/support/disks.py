"""File systems of a test's own: small ones, and read-only ones."""

import os
import subprocess
from pathlib import Path

import pytest


def with_small_disk(folder: Path, size: str) -> list[str]:
    """What goes before a command that sees a file system of its own there; skips the test where none can be mounted."""
    folder.mkdir()
    return _mounting(f'mount -t tmpfs -o size={size} none "$0"', folder)


def with_read_only(folder: Path) -> list[str]:
    """What goes before a command that cannot write in a folder, be it root's; skips the test where that cannot be."""
    return _mounting('mount --bind "$0" "$0" && mount -o remount,ro,bind "$0"', folder)


def _mounting(mount: str, folder: Path) -> list[str]:
    # Other users than root are root among what they alone see.
    alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    command = [*alone, "sh", "-c", f'{mount} && exec "$@"', str(folder)]
    done = subprocess.run(["env", *command, "true"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted: {done.stderr.strip()}")
    return command
