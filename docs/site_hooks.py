"""Lets the pages of the site link to files of the repository outside of docs/. mkdocs.yml names this file.

Pages link to sources, manifests and records by relative paths, as GitHub shows them. For the site each linked file
becomes a page below `repository/`: Markdown as it is, other text as code, a folder as a list of its files.
"""

import os
import posixpath
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(r"(^(?:```|~~~).*?^(?:```|~~~)\s*$)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_LANGUAGES = {".py": "python", ".proto": "proto", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".json": "json"}
# Source in the site: path in the repository.
_origins: dict[str, str] = {}


def on_files(files: Files, config: Any) -> Files:
    """Adds a page for each file outside of docs/ that a page links to, and for those that these link to."""
    _origins.clear()
    waiting = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    while waiting:
        for target in _targets(waiting.pop()):
            source = site_source(target)
            if source.startswith("repository/") and source not in _origins:
                _origins[source] = target
                files.append(File.generated(config, source, content=_content(target)))
                if target.endswith(".md"):
                    waiting.append(target)
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Points a page's links at the site's own pages."""
    source = page.file.src_uri
    origin = _origins.get(source, f"docs/{source}")

    def replace(match: re.Match[str]) -> str:
        _, mark, anchor = match[2].partition("#")
        target = _resolve(origin, match[2])
        if target is None:
            return match[0]
        link = posixpath.relpath(site_source(target), posixpath.dirname(source) or ".")
        return f"{match[1]}{link}{mark}{anchor}{match[3]}"

    parts = _FENCE.split(markdown)
    return "".join(part if number % 2 else _LINK.sub(replace, part) for number, part in enumerate(parts))


def site_source(target: str) -> str:
    """Returns where the site has a file of the repository."""
    if target.startswith("docs/") and not target.endswith((".py", ".csv")):
        return target.removeprefix("docs/")
    # MkDocs leaves out names that begin with a dot.
    source = "/".join(part.removeprefix(".") for part in f"repository/{target}".split("/"))
    return source if target.endswith(".md") else f"{source}.md"


def _targets(path: str) -> Iterator[str]:
    text = "".join(_FENCE.split((ROOT / path).read_text("utf-8"))[::2])
    for match in _LINK.finditer(text):
        if target := _resolve(path, match[2]):
            yield target


def _resolve(origin: str, link: str) -> str | None:
    """Returns the path in the repository that a link of a page leads to; None for other links."""
    name = link.partition("#")[0]
    if not name or re.match(r"[a-z]+:", link):
        return None
    target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), name))
    return target if (ROOT / target).exists() else None


def _content(target: str) -> str:
    file = ROOT / target
    if target.endswith(".md"):
        return file.read_text("utf-8")
    head = f"---\nsearch:\n  exclude: true\n---\n# {target}\n\n"
    if file.is_dir():
        listed = subprocess.run(
            ["git", "ls-files", target], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout
        names = [os.path.relpath(name, target) for name in listed.splitlines()]
        return head + "\n".join(f"- `{name}`" for name in names)
    return f"{head}````{_LANGUAGES.get(file.suffix, 'text')}\n{file.read_text('utf-8')}\n````\n"
