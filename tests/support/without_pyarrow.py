"""A process without pyarrow: `python without_pyarrow.py ARGUMENTS…` runs the command `glimpse` in it.

Several commands, as JSON on standard input, run one after the other if there are no arguments; the output is a JSON
list of their exit codes and of what they wrote to stderr.
"""

import contextlib
import io
import json
import sys
from typing import Any


class _Absent:
    """A finder that finds no pyarrow."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _run(arguments: list[str]) -> tuple[object, str]:
    from glimpse.cli.main import main

    with contextlib.redirect_stderr(io.StringIO()) as stderr, contextlib.redirect_stdout(io.StringIO()):
        try:
            main(arguments)
        except SystemExit as end:
            # Python prints a text to stderr when it leaves, and exits with 1.
            return (
                (1, f"{stderr.getvalue()}{end.code}\n") if isinstance(end.code, str) else (end.code, stderr.getvalue())
            )
    return 0, stderr.getvalue()


if __name__ == "__main__":
    sys.meta_path.insert(0, _Absent())
    if sys.argv[1:]:
        from glimpse.cli.main import main

        main()
    else:
        print(json.dumps([_run(arguments) for arguments in json.load(sys.stdin)]))
