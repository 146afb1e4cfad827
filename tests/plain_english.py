"""Checks the language of code and documents: `python tests/plain_english.py [--count] [PATH ...]`.

It finds words that make a text hard to read, and docstrings and comments that start with a fragment. `make lint` runs
it on every file that git tracks; with paths it checks only files below them.
"""

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUFFIXES = {".py", ".md", ".proto", ".yml", ".yaml", ".toml", ".sh", ".mako", ""}
# Word: what to write instead.
WORDS = {
    r"told|tells?|telling": "say, report, log, return",
    r"said": "answer, result, message",
    r"who(?:m|so)?ever": "callers that, users who",
    r"anew": "again",
    r"(?:can|cannot|could|may|must|not|to|is|was) be had": "available, unavailable",
    r"so many": "n, as many",
    r"of late": "recent, recently",
    r"meanwhile(?=[.;:,)]|$)": "during that time, or nothing",
    r"he|him|his|himself|she|her|hers|herself": "it, they, the caller",
    r"(?:is|are|was|were) (?:there )?no more(?=[.;:,)]|$)": "no longer exists",
    r"reckon(?:ed|s|ing)?": "compute, count",
    r"lest|wherein|whereof|whence|thereof|therein|hereby|hitherto|nought|ere": "a plainer word",
    r"for ever": "forever, without limit",
    r"strangers?": "unknown input, out of distribution; anonymous caller",
    r"doors?": "HTTP endpoint, load shedder",
    r"(?<!for )(?:is|are|requests|inputs|calls|message|writes) in work": "being answered, being embedded",
    r"judged": "evaluation",
    r"withheld": "held out",
    r"all the same(?=[.;:,)]|$)": "still",
    r"hardly": "almost no, rarely",
}
# These words may not be a part of the name of a function or class either.
_NAME_WORDS = re.compile(r"told|tells|said|whoever|anew|strangers?|meanwhile|withheld|judged|reckon")
_WORDS = [
    (re.compile(rf"(?<![\w'’-])(?:{word})(?![\w-])", re.IGNORECASE | re.MULTILINE), cure)
    for word, cure in WORDS.items()
]
# A docstring or comment that starts with one of these has no subject or no verb.
_FRAGMENT = re.compile(
    r"(?:Of|By|From|With|Without|On|At|To|For|Under|Over|Into|Through|Against|Beside|Between|Among|Within|"
    r"What|Whether|How|Where|Which|Who|Whose|Whatever|That|Those)\b"
)
# Marks a line with a stored name, such as a key of a JSON file, which cannot change.
_STORED_NAME = "# plain-english: stored name"
_IGNORED = ("proto/glimpse/v1/", "tests/plain_english.py", "docs/cli.md", "docs/reference/contract.md", "LICENSE")


def problems(path: Path, text: str) -> Iterator[tuple[int, str, str]]:
    """Yields the line of each problem, the problem, and the words to use instead."""
    lines = text.splitlines()
    for pattern, cure in _WORDS:
        for match in pattern.finditer(text):
            if _STORED_NAME in lines[text.count("\n", 0, match.start())]:
                continue
            yield text.count("\n", 0, match.start()) + 1, match.group().lower(), cure
    if path.suffix == ".py":
        yield from _docstring_fragments(text)
        yield from _comment_fragments(text)
        yield from _names(text)
    elif path.suffix == ".proto":
        yield from _proto_fragments(text)


def _docstring_fragments(text: str) -> Iterator[tuple[int, str, str]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring and (match := _FRAGMENT.match(docstring)):
                line = node.body[0].lineno
                yield line, f"docstring starts with {match.group()!r}", "start with a verb, or name the thing"


def _names(text: str) -> Iterator[tuple[int, str, str]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for word in node.name.split("_"):
                if _NAME_WORDS.fullmatch(word.lower()):
                    yield node.lineno, f"name with {word!r}", "a plainer word"


def _comment_fragments(text: str) -> Iterator[tuple[int, str, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and re.match(r"#:? Of\b", token.string):
            yield token.start[0], "comment starts with 'Of'", "write a full sentence"


def _proto_fragments(text: str) -> Iterator[tuple[int, str, str]]:
    before = ""
    for number, line in enumerate(text.splitlines(), 1):
        comment = line.strip().removeprefix("//").strip() if line.strip().startswith("//") else ""
        if comment and not before and (match := _FRAGMENT.match(comment)):
            yield number, f"comment starts with {match.group()!r}", "write a full sentence"
        before = comment


def files(paths: list[str]) -> list[Path]:
    """Returns the tracked files below `paths`."""
    listed = subprocess.run(["git", "ls-files", *paths], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [name for name in listed.splitlines() if Path(name).suffix in SUFFIXES]
    names = [name for name in names if not name.startswith(_IGNORED) or name.endswith(".proto")]
    return [ROOT / name for name in names]


def main() -> int:
    """Prints every problem, or with --count how often each occurs; returns 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", action="store_true")
    parser.add_argument("paths", nargs="*")
    options = parser.parse_args()
    counts = Counter[str]()
    for path in files(options.paths):
        try:
            text = path.read_text("utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        for line, problem, cure in sorted(problems(path, text)):
            counts[problem] += 1
            if not options.count:
                print(f"{path.relative_to(ROOT)}:{line}: {problem}: {cure}")
    for problem, count in counts.most_common() if options.count else ():
        print(f"{count:6} {problem}")
    return 1 if counts else 0


if __name__ == "__main__":
    sys.exit(main())
