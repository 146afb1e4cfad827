"""Tests that the pages quote the few-shot figures of the benchmark's record, and that its two files agree."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RECORD = json.loads((ROOT / "bench/results/fewshot.json").read_text("utf-8"))
Table = list[list[str]]
PARTS = RECORD["parts"]
TABLES: dict[str, Table] = {title: table for part in PARTS.values() for title, table in part["tables"].items()}
#: Short names of tables in CLAIMS.
SHORT = {
    "right": "banking77: % right",
    "signs": "sign_digits: % right",
    "gain": "Equal shots: balanced accuracy minus logistic regression's, points, before → now",
    "loss": "Equal shots: log-loss, before → now (logistic regression)",
    "intents": "banking77, with text: balanced accuracy, %",
    "trec": "trec, with text: balanced accuracy, %",
    "spam": "sms_spam, with text: balanced accuracy, %",
    "clutter": "caltech101, clutter",
    "third": "banking77, a third of the intents",
    "pairs": "banking77 pairs, independent labels: F1, %",
    "heat": "ECE of a fixed and of the calibrated temperature, %",
    "few": "6 to 18 examples left out, mean of the sets: % UNKNOWN",
    "once": "One shot: % UNKNOWN",
    "ece": "Equal shots: ECE, %, before → now (logistic regression)",
}
BOTH = "<{0}|1|text> | <{0}|1|examples>, **<{0}|1|both>** | <{0}|4|examples>, **<{0}|4|both>** | "
BOTH += "<{0}|16|examples>, **<{0}|16|both>** |"
PAIRS = "<pairs|{0}|LDA> | <pairs|{0}|fitted> | <pairs|{0}|logistic> |"
NAMES = "| <{0}|1|text> | <{0}|1|both> | <{0}|16|both> |"


def each(form: str, rows: str, separator: str = ", ") -> str:
    """Repeats a form for several rows of a table."""
    return separator.join(form.format(row) for row in rows.split())


#: Pages and what they say, with <table|row|column> for a figure; #3 is a column by its place. A number after the column
#: is the place of the figure in the cell, and one after that the number of decimals.
CLAIMS = [
    ("docs/deciding.md", f"2, 4, 8 and 16 shots give {each('<right|{}|ladder>', '2 4 8')} and <right|16|ladder> %"),
    (
        "docs/deciding.md",
        f"the class mean alone gives {each('<right|{}|class mean>', '2 4 8')} and <right|16|class mean>",
    ),
    ("docs/deciding.md", f"| banking77, 77 labels | {BOTH.format('intents')}"),
    ("docs/deciding.md", f"| TREC, 6 labels | {BOTH.format('trec')}"),
    ("docs/deciding.md", f"| spam, 2 labels | {BOTH.format('spam')}"),
    (
        "docs/deciding.md",
        "ECE at 2, 4 and 8 shots is <ece|mean|2 shots|1>, <ece|mean|4 shots|1> and <ece|mean|8 shots|1> %; the engine "
        "of 22 November 2026 had <ece|mean|2 shots|0>, <ece|mean|4 shots|0> and <ece|mean|8 shots|0> %",
    ),
    ("docs/deciding.md", "two shots are the worst case: <ece|trec|2 shots|1> % on TREC"),
    *(
        (
            "docs/deciding.md",
            f"| {n} | <heat|caltech101|{n} shots, fixed> | <heat|caltech101|{n} shots> | "
            f"<heat|banking77|{n} shots, fixed> | <heat|banking77|{n} shots> |",
        )
        for n in (2, 4, 8, 16)
    ),
    *(
        ("docs/deciding.md", f"| {n} | <few|{n}|stated rate> % | <few|{n}|now> % | <few|{n}|#5> % |")
        for n in (6, 9, 12, 18)
    ),
    (
        "docs/deciding.md",
        "| banking77, 52 labels; the others | <once|banking77, a third of the labels|now> % "
        "(<once|banking77, a third of the labels|#1> %) | <once|banking77, a third of the labels|#4> %",
    ),
    ("docs/methods.md", f"and {each('<few|{}|now>', '6 9 12')} and <few|18|now> % without it"),
    ("docs/methods.md", "on caltech101 at 8 shots falls from 54.0 to <ece|caltech101|8 shots|1> %"),
    (
        "docs/deciding.md",
        f"8, 16 shots | {each('<third|{}|expected %>', '4 8 16')} % | {each('<third|{}|rejected %>', '4 8 16')} % |",
    ),
    ("docs/deciding.md", "clutter, 16 shots | <clutter|16|expected %> % | <clutter|16|rejected %> % |"),
    *(("docs/deciding.md", f"| {n} | {PAIRS.format(n)}") for n in (60, 120, 240, 480)),
    ("docs/deciding.md", "4 shots caught <third|4|rejected %|0|0> % of them, and 16 shots <third|16|rejected %|0|0> %"),
    ("docs/methods.md", "the mean log-loss falls from <loss|mean|1 shots|0> to <loss|mean|1 shots|1>"),
    ("docs/methods.md", "logistic regression rises from <gain|mean|1 shots|0> to <gain|mean|1 shots|1> points"),
    (
        "docs/methods.md",
        f"at 2, 4, 8, 16 shots gives {each('<right|{}|LDA>', '2 4 8 16')} %, against "
        f"{each('<right|{}|class mean>', '2 4 8 16')} %",
    ),
    (
        "docs/methods.md",
        "at 1 and 4 shots is <intents|1|both> and <intents|4|both> % with both, against <intents|1|text> % of text "
        "alone and <intents|1|examples> and <intents|4|examples> % of examples alone",
    ),
    (
        "docs/methods.md",
        "AUROC against clutter is <clutter|8|AUROC>, against <clutter|8|cosine> by the cosine and <clutter|8|softmax> "
        "by softmax; false rejects are <clutter|8|false rejects %> %",
    ),
    (
        "docs/methods.md",
        f"at 60, 120, 240, 480 inputs is {each('<pairs|{}|fitted>', '60 120 240 480')} % by the regression, "
        f"{each('<pairs|{}|LDA>', '60 120 240 480')} % by LDA, and {each('<pairs|{}|logistic>', '60 120 240 480')} %",
    ),
    ("docs/methods.md", "at 16 shots the selected head reaches <right|16|ladder> %, LDA <right|16|LDA> %"),
    (
        "docs/which-backbone.md",
        "| <right|2|ladder> | <right|4|ladder> (4) | <right|8|ladder> | <right|16|ladder> |",
    ),
    (
        "docs/which-backbone.md",
        "| <signs|2|ladder> | <signs|4|ladder> (4) | <signs|8|ladder> | <signs|16|ladder> |",
    ),
    ("docs/which-backbone.md", f"| banking77 {NAMES.format('intents')}"),
    ("docs/which-backbone.md", f"| TREC, 6 question types {NAMES.format('trec')}"),
    ("docs/which-backbone.md", f"| SMS spam {NAMES.format('spam')}"),
    ("docs/comparison.md", "an AUROC of <clutter|8|AUROC>; the plain cosine to the nearest reaches <clutter|8|cosine>"),
    ("docs/comparison.md", "change little against LDA (<signs|16|LDA> and <signs|16|ladder> %)"),
    ("docs/comparison.md", "points (<right|16|LDA> and <right|16|ladder> %)"),
    ("docs/when-not-to-use.md", "for each label caught <third|4|rejected %|0|0> % of the inputs of unknown intents"),
    ("docs/when-not-to-use.md", "and 16 examples <third|16|rejected %|0|0> %"),
    ("docs/tutorials/tickets.md", "the names alone reach a balanced accuracy of <intents|1|text> %"),
    (
        "docs/tutorials/tickets.md",
        "one example of each label it is <intents|1|both> %, with four <intents|4|both> %",
    ),
    ("README.md", f"{each('<right|{}|ladder>', '4 8 16', ' / ')} % right | nearest class mean: "),
    ("README.md", f"nearest class mean: {each('<right|{}|class mean>', '4 8 16', ' / ')} %"),
    ("README.md", "| <clutter|16|AUROC> | cosine <clutter|16|cosine>, softmax <clutter|16|softmax> |"),
]


def figure(placeholder: str) -> str:
    """Returns the figure that a placeholder of CLAIMS stands for."""
    table, row, column, *rest = placeholder.split("|")
    head, *rows = TABLES[SHORT[table]]
    [line] = [line for line in rows if line[0] == row]
    cell = line[int(column[1:]) if column.startswith("#") else head.index(column)]
    number = str(re.findall(r"[+-]?\d+(?:\.\d+)?", cell)[int(rest[0]) if rest else 0])
    return f"{float(number):.{rest[1]}f}" if len(rest) > 1 else number


def page(name: str) -> str:
    return re.sub(r"\s+", " ", (ROOT / name).read_text("utf-8"))


@pytest.mark.parametrize(("name", "claim"), CLAIMS)
def test_a_page_quotes_the_record(name: str, claim: str) -> None:
    assert re.sub(r"<([^>]+)>", lambda match: figure(match[1]), claim) in page(name)


def test_ranges_on_the_pages_are_those_of_the_record() -> None:
    gains = [float(cell.split("→")[1]) for cell in TABLES[SHORT["gain"]][-1][1:]]
    text = page("docs/deciding.md")
    assert f"balanced accuracy is {min(gains)} to {max(gains)} points above logistic regression" in text
    unequal = [row for title, (_, *rows) in TABLES.items() if ", unequal shots" in title for row in rows]
    above = [float(row[4]) - float(row[2]) for row in unequal]
    assert f"it is {min(above):.0f} to {max(above):.0f} points above logistic" in text
    rows = [row for name in ("clutter", "third") for row in TABLES[SHORT[name]][1:]]
    rejects, holds = sorted(float(row[4]) for row in rows), sorted(float(row[-1]) for row in rows)
    assert f"false rejects were {rejects[0]} to {rejects[-1]} % for a target of 5 %" in text
    assert f"right label in {holds[0]:.0f} to {holds[-1]:.0f} % of cases" in text
    assert f"hold the right label in {holds[0]} to {holds[-1]} % of cases" in page("docs/methods.md")


def tables_of(text: str) -> Iterator[tuple[str, Table]]:
    """Yields the titles and the tables of a page."""
    for section in text.split("\n## ")[1:]:
        title, *lines = section.strip().splitlines()
        cells = [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines if line.startswith("|")]
        yield title, [cells[0], *cells[2:]]


def test_the_page_of_the_benchmark_has_the_tables_of_its_record() -> None:
    written = dict(tables_of((ROOT / "bench/results/fewshot.md").read_text("utf-8")))
    dates, targets = written.pop("When each part was measured"), written.pop("Targets")
    assert dates[1:] == [[name, part["date"]] for name, part in PARTS.items()]
    assert written == TABLES
    assert [row[0] for row in targets[1:]] == [target["name"] for target in RECORD["targets"]]
    assert [row[3] == "yes" for row in targets[1:]] == [target["reached"] for target in RECORD["targets"]]
    assert [row[0] for row in targets[1:]] == [row[0] for part in PARTS.values() for row in part["targets"]]
