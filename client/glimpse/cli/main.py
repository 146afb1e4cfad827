"""The `glimpse` command: `glimpse --help`.

An expected error prints one line on stderr that says what to do next. Exit codes: 1 for an error, 2 for wrong usage,
75 for a server that lost its GPU, 130 for Ctrl-C.
"""

import io
import os
import sys
from collections.abc import Sequence
from typing import TextIO

from glimpse.cli.common.errors import explain, missing_module


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits.

    Args:
        arguments: The command line without the program's name; None for that of the process.
    """
    # gRPC's core logs errors that the command reports itself. It reads this variable when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    for stream in (sys.stdout, sys.stderr):
        _escape_unknown_characters(stream)
    try:
        # Ctrl-C may arrive while modules are imported, so the import is inside the try.
        from glimpse.cli.commands import command

        command().main(args=None if arguments is None else list(arguments), prog_name="glimpse")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Python flushes stdout once more at exit, and would report the error again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        sys.exit(_explain(error))


def _escape_unknown_characters(stream: TextIO) -> None:
    """Makes a stream write characters that its encoding lacks as `\\xe9`, instead of failing."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _explain(error: Exception) -> str:
    """Returns the line to print for an expected error. Raises any other error again."""
    if isinstance(error, ModuleNotFoundError):  # typer, or rich, which plain help does not need
        error = missing_module(error, "cli")
    text = explain(error)
    if text is None:
        raise error
    return text


if __name__ == "__main__":
    main()
