"""Runs npm in the folder of the TypeScript client."""

import os
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "client" / "typescript"


def npm(*words: str, **environment: str) -> str:
    """Runs npm in the client's folder; returns what it prints."""
    command = ["npm", "--silent", *words]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def bundle(source: Path, target: Path) -> Path:
    """Bundles a module with the built client and all else that it imports into one file for browsers; returns it."""
    client = f"--alias:glimpse-fewshot={FOLDER / 'dist' / 'index.js'}"
    options = ["--bundle", "--platform=browser", "--format=esm", "--log-level=error", client]
    npm("exec", "--", "esbuild", str(source), *options, f"--outfile={target}")
    return target
