"""Makes API keys as an operator does: with the command, while a server runs."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from glimpse.client import Client, GlimpseError, Unauthenticated
from support.forked import run_forked


def run_keys(folder: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    """Runs `glimpse keys …` on the ledger in a ServerProcess's folder."""
    command = ["keys", *map(str, words), "--data", str(folder / "data")]
    return run_forked(command)


def make_key(folder: Path, name: str, scope: str, *options: object) -> str:
    done = run_keys(folder, "create", name, "--scope", scope, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def listed_keys(folder: Path) -> list[dict[str, Any]]:
    done = run_keys(folder, "list", "--format", "json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def until_known(address: str, key: str, known: bool = True) -> GlimpseError | None:
    """Waits until a server knows that a key was created or revoked; returns its answer."""
    end = time.monotonic() + 30
    while True:
        error: GlimpseError | None = None
        try:
            with Client(address, api_key=key) as client:
                list(client.list_backbones())
        except Unauthenticated as refusal:
            error = refusal
        if (error is None) is known:
            return error
        assert time.monotonic() < end, f"the server never heard of it: {error}"
        time.sleep(0.05)
