"""The `glimpse` command: `glimpse --help`.

Expected errors are one line on stderr that says what to do next, exit code 1; wrong usage is 2, Ctrl-C 130.
"""

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits."""
    try:
        from glimpse.cli.commands import command
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("typer", "click"):
            raise
        sys.exit("the glimpse command needs more than the client; install it with: pip install 'glimpse[cli]'")
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
    from glimpse.cli.errors import CliError, explain

    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == "rich":
        error = CliError("the module 'rich' is missing", "install it with: pip install 'glimpse[cli]'")
    text = explain(error)
    if text is None:
        raise error
    return text


if __name__ == "__main__":
    main()
