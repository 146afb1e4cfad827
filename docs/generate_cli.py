"""Writes docs/cli.md, the help of every command: `make docs`, or `python docs/generate_cli.py`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from glimpse.cli.commands import command

PAGE = Path(__file__).with_name("cli.md")
_WIDTH = 100
_HEAD = f"""<!-- Made by docs/generate_cli.py with typer {typer.__version__}; `make docs` makes it again. -->

# The `glimpse` command

An expected error prints one line on stderr that says what to do next.

| exit code | meaning |
|---|---|
| 0 | success |
| 1 | failed, or some inputs failed |
| 2 | wrong usage |
| 3 | `glimpse index build` built an index, but some inputs failed |
| 75 | `glimpse serve` lost its GPU: start it again |
| 130 | interrupted |

## Common options

`--server` and `--format` can be given before the subcommand or after it, if the subcommand takes them.

- `demo` and `serve` take neither, and `console` takes `--server` alone.
- Commands on files (`evaluate`, `export`, `pull`, `index build`, `index info`, `index search`, `index verify`,
  `index merge`, `backbones verify`, `backbones bench`) and on ledgers (`keys …`, `ledger …`) take only `--format`.
- The options for TLS and keys (`--tls-ca`, `--api-key-file` and the others of `glimpse` itself) can be given wherever
  `--server` can.

Tables are as wide as the terminal, or as the variable `COLUMNS` says, and cut values that are too long. Output to a
pipe or file is never cut; its columns grow with their values.

[Inputs](inputs.md) describes the folders, tables and text files that commands read.

## JSON

`--format json` prints one object per line. Heads are named as `--head` takes them. An estimate is an object with
`value`, `low`, `high` (its 95 % confidence interval) and `count`; it is null if it was not measured.

`glimpse classify` and `glimpse zero-shot` print one object per input:

| field | meaning |
|---|---|
| `input` | the path, the text, or the row's id |
| `decision`, `decision_reason` | MATCH, UNKNOWN or AMBIGUOUS, and the reason |
| `label`, `probability`, `margin` | the best label, its probability, and its lead over the second |
| `similarity` | the cosine to the mean of the best label |
| `p_value` | the fraction of the examples that fit no better; null if the collection is not calibrated |
| `set_size` | the prediction set is the first `set_size` of `labels`; 0 if there are too few examples |
| `labels` | objects with `label`, `score` and `probability`, best first |
| `evidence` | the nearest examples: objects with `example`, `label` and `similarity` |
| `head`, `head_reason`, `calibrated`, `revision` | how and from which revision it was classified |
| `timings_ms` | milliseconds per stage |
| `truncated` | true if a text was longer than the backbone reads; otherwise missing. Tables report it on stderr |
| `error` | only for an input that failed, with `input` alone: `code`, `reason`, `field`, `message` |

`glimpse enroll` prints one object per input with `input`, `label`, `example`, `duplicate`, `conflicts` and
`near_duplicates` (objects with `example`, `label` and `similarity`), `outlier` and `original_kept`; for an input that
failed, `input`, `label` and `error`. The last object also has `accuracy_before` (null: never measured) and
`accuracy_after`, if leave-one-out accuracy could be measured.

`glimpse report` prints one object.

`glimpse review list`, `watch` and `show` print one object per item, `show` also with `text` and `file` (null if there
is none). `glimpse review groups` prints one per group: `items` has the full names of its members, `names` objects with
`name` and `cosine`. `glimpse review resolve` prints one object with `results`, one for each item: `item`, `example`,
`error`, `resolved_by` and `resolved_label`. `glimpse review summary` prints `waiting`, an object of counts by decision,
`resolved` and `dropped`, counts of the last `days`, and the estimates `unknown_rate`, `unknown_rate_now` and
`accuracy`.

`glimpse test` prints one object:

| field | meaning |
|---|---|
| `inputs` | inputs with labels: the sum of `answered`, `enrolled`, `label_missing` and `failed` |
| `enrolled` | inputs whose bytes are enrolled. They are left out; with `--with-enrolled` they are also in `answered` |
| `label_missing` | inputs of labels that are not classes of the collection |
| `accuracy` | estimate: the best label is right, with any decision |
| `match_accuracy` | estimate: the label of a MATCH is right |
| `false_reject` | estimate: an input with a label is UNKNOWN |
| `unknown` | counts of inputs out of distribution; the estimates `rejected` (UNKNOWN) and `false_accept` (MATCH) |
| `labels` | per label: `inputs`, `answered` (times as best label), `right`, `recall`, `precision`, `decisions` |

`glimpse discover` prints one object. Groups are numbered from 1, the largest first. With `--sample`, it prints one
object per chosen input: `rank`, `input`, `group`, `label`, `isolation`, and `file`, the copy.

| field | meaning |
|---|---|
| `source`, `inputs`, `total` | what was read; inputs that are grouped; all inputs |
| `silhouette`, `clear` | how clear the groups are; the silhouette is null if most inputs are alone |
| `cut_by` | what decided how fine the groups are: `labels` or `density` |
| `alone` | inputs that are in no group with another |
| `groups` | objects with `group`, `size`, `spread`, `medoid`, `names`, `labels`, and `members`, the medoid first |
| `outliers` | the ten most isolated: objects with `input` and `isolation` |
| `near_duplicates` | sets of near duplicates, each a list of inputs |
| `failures` | inputs that cannot be read: objects with `input` and `message` |

`glimpse adapt` prints one object:

| field | meaning |
|---|---|
| `written`, `backbone`, `embedding_space` | the bundle's folder, name and space; null if nothing was written |
| `reason` | why it is not better than the frozen backbone; null if it is |
| `parent` | name of the frozen backbone |
| `examples`, `labels`, `measured`, `folds` | examples, labels, examples that were held out once, parts |
| `accuracy` | cross-fitted accuracies `frozen` and `adapted`, their `gain` and its standard `error` |
| `zero_shot` | the same by the labels' names alone; null if the backbone reads no text |
| `notes` | what was left out |

## CSV

`--format csv` prints CSV as in RFC 4180: UTF-8, lines that end in CRLF, and one heading row, even without other rows.
The columns are the fields of the JSON, and do not depend on the data. Fields of some objects are columns of their own,
such as `error.code` and `timings_ms.total`. Other objects, and lists, are JSON in their cells. Null is an empty cell.

Each JSON object is one row, except for five commands:

| command | one row per |
|---|---|
| `glimpse search`, `glimpse index search` | neighbor |
| `glimpse evaluate` | backbone, head and number of examples |
| `glimpse discover` | input, group by group |
| `glimpse index verify` | problem |

`glimpse ledger verify` prints only its problems.
"""


def render() -> str:
    """Returns the whole page."""
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
