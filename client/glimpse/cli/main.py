"""The `glimpse` command: `glimpse --help`.

Expected errors are one line on stderr that says what to do next, exit code 1; wrong usage is 2, Ctrl-C 130.
"""

import os
import sys
from collections.abc import Sequence

from glimpse.cli.errors import explain, missing_module


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits."""
    # gRPC's core has lines of its own for what is told of anyway, in no form of ours. It asks when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        from glimpse.cli.commands import command
    except ModuleNotFoundError as error:
        sys.exit(explain(missing_module(error, "cli")))
    try:
        command().main(args=None if arguments is None else list(arguments), prog_name="glimpse")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Python flushes stdout once more on its way out, and would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        sys.exit(_explained(error))


def _explained(error: Exception) -> str:
    """What to print for an error that is to be expected. Raises any other."""
    if isinstance(error, ModuleNotFoundError):  # rich, of which plain help has no need
        error = missing_module(error, "cli")
    text = explain(error)
    if text is None:
        raise error
    return text


if __name__ == "__main__":
    main()
