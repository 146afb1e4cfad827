"""The `glimpse` command: `glimpse --help`.

Expected errors are one line on stderr that says what to do next, exit code 1; wrong usage is 2, Ctrl-C 130.
"""

import io
import os
import sys
from collections.abc import Sequence
from typing import TextIO

from glimpse.cli.common.errors import explain, missing_module


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits."""
    # gRPC's core has lines of its own for what is told of anyway, in no form of ours. It asks when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    for stream in (sys.stdout, sys.stderr):
        _escape_unknown_characters(stream)
    try:
        # Importing takes a moment, and Ctrl-C may come in it.
        from glimpse.cli.commands import command

        command().main(args=None if arguments is None else list(arguments), prog_name="glimpse")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Python flushes stdout once more on its way out, and would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        sys.exit(_explained(error))


def _escape_unknown_characters(stream: TextIO) -> None:
    """Lets a stream write as `\\xe9` what its encoding lacks, or what UTF-8 cannot carry, rather than fail."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _explained(error: Exception) -> str:
    """What to print for an error that is to be expected. Raises any other."""
    if isinstance(error, ModuleNotFoundError):  # typer, or rich, of which plain help has no need
        error = missing_module(error, "cli")
    text = explain(error)
    if text is None:
        raise error
    return text


if __name__ == "__main__":
    main()
