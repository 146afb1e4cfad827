"""Small and read-only file systems for tests."""

import os
import subprocess
from pathlib import Path

import pytest


def with_small_disk(folder: Path, size: str) -> list[str]:
    """Returns the prefix of a command that sees a small file system there. Skips the test if none can be mounted."""
    folder.mkdir()
    return _mounting(f'mount -t tmpfs -o size={size} none "$0"', folder)


def with_read_only(folder: Path) -> list[str]:
    """Returns the prefix of a command that cannot write to a folder, not even as root. Skips the test if impossible."""
    return _mounting('mount --bind "$0" "$0" && mount -o remount,ro,bind "$0"', folder)


def _mounting(mount: str, folder: Path) -> list[str]:
    # In a user namespace of its own, every user is root.
    alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    command = [*alone, "sh", "-c", f'{mount} && exec "$@"', str(folder)]
    done = subprocess.run(["env", *command, "true"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted: {done.stderr.strip()}")
    return command
