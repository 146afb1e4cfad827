"""Writes docs/cli.md, every command's help: `make docs`, or `python docs/generate_cli.py`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from glimpse.cli.commands import command

PAGE = Path(__file__).with_name("cli.md")
_WIDTH = 100
_HEAD = f"""<!-- Made by docs/generate_cli.py with typer {typer.__version__}; `make docs` makes it anew. -->

# The `glimpse` command

Expected errors are one line on stderr that says what to do next. Exit codes: 0 well, 1 failed (in part or whole),
2 wrong usage, 3 an index was built though some inputs failed, 130 interrupted. `--server` and `--format` may stand
before the subcommand or after it, where the subcommand takes them: `demo` and `serve` take neither; what works on files
(`evaluate`, `export`, `index build`, `index info`, `index search`, `index verify`, `index merge`, `backbone verify`,
`backbone bench`) or on a ledger (`keys …`, `ledger …`) takes `--format` alone. The options of TLS and keys
(`--tls-ca`, `--api-key-file` and the others of `glimpse` itself) may stand wherever `--server` may.

As JSON, `glimpse classify` and `glimpse zero-shot` print for each input one object with the fields `input`, `decision`,
`decision_reason`, `label`, `probability`, `margin`, `similarity` (to the best label's mean), `p_value` (null: not
calibrated), `set_size` (so many of `labels` are the prediction set; 0: too few examples to say), `labels` (each
`label`, `score`, `probability`), `evidence` (each `example`, `label`, `similarity`), `head`, `head_reason`,
`calibrated`, `revision` and `timings_ms`; for an input that failed, one with `input` and `error` (`code`, `reason`,
`field`, `message`). Where a text was longer than the backbone reads, there is also `truncated`, and it is true; in
tables, a line on stderr says so. Heads are named as `--head` takes them.

As JSON, `glimpse enroll` prints for each input one object with `input`, `label`, `example`, `duplicate`, `conflicts`
and `near_duplicates` (each `example`, `label`, `similarity`) and `outlier`, or with `input`, `label` and `error`; the
last one also has `accuracy_before` (null: never measured) and `accuracy_after`, where leave-one-out accuracy could be
measured. `glimpse report` prints one object; a part measured is an object of `value`, `low`, `high` (its 95 %
confidence interval) and `count`, and what was not measured is null.

As JSON, `glimpse test` prints one object. Of the inputs with labels, `inputs` is the sum of `answered`, `enrolled`
(left out, as the collection has the same bytes as an example; with `--with-enrolled` they are answered too),
`label_missing` (of a label that is no class of the collection) and `failed`. `accuracy` is the part of the answered
ones whose best label is right, whatever the decision; `match_accuracy` the part of the answers of MATCH that are right;
each is an object as above. `unknown` has the same counts of inputs of no label, and `false_accept`, the part of them
called MATCH. `labels` has `inputs`, `answered` (how often it was the best label), `right`, `recall`, `precision` and
`decisions` of each label.

Tables are as wide as the terminal, or as `COLUMNS` says, and cut what does not fit. Output to a pipe or a file is never
cut; its columns grow with their values.

`--format csv` prints CSV as in RFC 4180: UTF-8, lines that end in CRLF, and one title row, also where no row follows.
Its columns are the fields of the JSON, the same for any data. The fields of some objects are columns of their own,
named `error.code` or `timings_ms.total`; every other object and every list is JSON in its cell. Null is an empty cell.
Each JSON object is a row, but for four commands with a row for each of its parts: `glimpse search`, `glimpse index
search` (a neighbor), `glimpse evaluate` (a backbone, head and number of examples) and `glimpse index verify` (a
problem). `glimpse ledger verify` prints its problems alone.

Inputs are image files, folders (with their subfolders), texts given with `--text`, `.txt` files (UTF-8, one text a
line, empty lines left out) and `.jsonl` files (on each line a JSON string, or an object with `text` and, if you like,
`id`, which stands for the input in the answers, and `label`, for `glimpse enroll`).
"""


def render() -> str:
    """The whole page."""
    return _HEAD + "".join(_sections(command(), "glimpse", None))


def _sections(node: Any, name: str, parent: Any) -> Iterator[str]:
    context = node.context_class(node, info_name=name, parent=parent, terminal_width=_WIDTH, max_content_width=_WIDTH)
    title = context.command_path
    help_text = "\n".join(line.rstrip() for line in node.get_help(context).strip().splitlines())
    yield f"\n## `{title}`\n\n```text\n{help_text}\n```\n"
    for child in node.list_commands(context) if hasattr(node, "list_commands") else ():
        yield from _sections(node.get_command(context, child), child, context)


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
