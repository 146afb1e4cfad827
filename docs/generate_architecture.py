"""Draws docs/images/architecture.svg, the package graph, from the imports of the code: `make docs`.

The picture has two parts. The upper part shows the packages of the distribution, the lower part the packages of the
server in the layers that pyproject.toml declares and import-linter enforces. An arrow is an import; arrows that follow
from others are left out (transitive reduction). Imports for type checking alone do not count.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import grimp

ROOT = Path(__file__).parents[1]
PICTURE = Path(__file__).parent / "images" / "architecture.svg"
WIDTH, TOP, MARGIN = 1240, 74, 24
# Package: its column (fractions allowed) and what it does.
Places = Mapping[str, tuple[float, str]]


class Part(NamedTuple):
    """One part of the picture: boxes in rows."""

    title: str
    rows: Sequence[Sequence[str]]
    places: Places
    columns: int
    top: int
    box: tuple[int, int]
    gap: int

    def corner(self, name: str) -> tuple[int, int]:
        """Returns the upper left corner of a package's box."""
        [row] = [number for number, names in enumerate(self.rows) if name in names]
        step = (WIDTH - 2 * MARGIN - self.box[0]) / (self.columns - 1)
        x = round(MARGIN + self.places[name][0] * step)
        return x, self.top + TOP - 10 + row * (self.box[1] + self.gap)

    @property
    def bottom(self) -> int:
        """Returns the height at which the part ends."""
        return self.top + TOP + len(self.rows) * (self.box[1] + self.gap)


#: The rows of the upper part, and the place of each package.
DISTRIBUTION_ROWS = (
    ("cli",),
    ("console", "sklearn"),
    ("client", "server", "evaluate", "export", "builder"),
    ("v1", "ledger", "fewshot", "index", "backbone", "inputs"),
    ("files",),
)
DISTRIBUTION: Places = {
    "cli": (2.5, "the command"),
    "sklearn": (1, "a scikit-learn estimator"),
    "console": (0, "teach, ask in a browser"),
    "client": (0, "the Python client"),
    "server": (1.4, "the gRPC service"),
    "evaluate": (2.6, "tries out backbones"),
    "export": (3.8, "makes bundles; torch"),
    "builder": (5, "builds indexes in bulk"),
    "v1": (0, "generated stubs"),
    "ledger": (1, "the record, in SQL"),
    "fewshot": (2, "the mathematics"),
    "index": (3, "FAISS and its files"),
    "backbone": (4, "bundles, ONNX Runtime"),
    "inputs": (5, "files, folders, tables"),
    "files": (2.5, "temporary folders"),
}
SERVER: Places = {
    "app": (0.5, "the process, from top to bottom"),
    "ray": (1.5, "the same on Ray Serve"),
    "http": (1, "HTTP/JSON beside gRPC"),
    "api": (1, "one method for each rpc"),
    "monitoring": (1, "probes, metrics page, dumps"),
    "runtime": (1, "builds and closes every part"),
    "enrollment": (0, "EnrollExamples, step by step"),
    "maintenance": (1, "compaction, re-embedding"),
    "review": (2, "the queue of uncertain queries"),
    "catalog": (0.5, "collections in memory; all writes"),
    "snapshots": (0.5, "collections on disk"),
    "classification": (1.5, "from vectors to answers"),
    "collections": (0.5, "one collection in memory"),
    "inference": (1.5, "from inputs to vectors"),
    "scheduling": (1.5, "who runs, waits or comes back"),
    "telemetry": (1.5, "metrics, traces, logs, audit"),
    "auth": (1.5, "who calls, and what they may do"),
    "validation": (0, "checks of a request"),
    "resource_names": (2, "parses names"),
    "memory_allocator": (2, "frees memory"),
    "installation": (1, "one build of each library"),
    "errors": (0.5, "codes, reasons, details"),
    "settings": (1.5, "option, variable, file, default"),
    "proto_enums": (0, "contract and engine enums"),
    "request_context": (1, "the call that runs here"),
}


def import_graph() -> grimp.ImportGraph:
    """Reads the imports of every package that pyproject.toml lists for import-linter."""
    return grimp.build_graph(*_linter()["root_packages"], exclude_type_checking_imports=True, cache_dir=None)


def server_layers() -> list[list[str]]:
    """Returns the server's layers from top to bottom, each with the names of its packages."""
    [contract] = [one for one in _linter()["contracts"] if one["id"] == "server-layers"]
    return [layer.replace("|", ":").replace(" ", "").split(":") for layer in contract["layers"]]


def package_imports(graph: grimp.ImportGraph, parent: str) -> set[tuple[str, str]]:
    """Returns the imports between the packages below `parent`, each as (importer, imported)."""
    depth, prefix = parent.count(".") + 1, parent + "."
    pairs = set()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            if module.startswith(prefix) and imported.startswith(prefix):
                pairs.add((module.split(".")[depth], imported.split(".")[depth]))
    return {(importer, imported) for importer, imported in pairs if importer != imported}


def reduced(edges: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Removes the edges that other edges imply. The graph must have no cycle."""
    edges = set(edges)
    targets: dict[str, set[str]] = {node: {b for a, b in edges if a == node} for edge in edges for node in edge}

    def below(node: str) -> set[str]:
        return targets[node].union(*(below(target) for target in targets[node]))

    reachable = {node: below(node) for node in targets}
    return {(a, b) for a, b in edges if not any(b in reachable[other] for other in targets[a] - {b})}


def render() -> str:
    """Returns the picture as SVG."""
    graph = import_graph()
    title = "The distribution, one import namespace: glimpse"
    upper = Part(title, DISTRIBUTION_ROWS, DISTRIBUTION, 6, 0, (186, 58), 44)
    title = "glimpse.server, in layers: a package imports those below it"
    lower = Part(title, server_layers(), SERVER, 3, upper.bottom - 20, (354, 44), 26)
    edges = _arrows(reduced(package_imports(graph, "glimpse")), upper)
    edges += _arrows(reduced(package_imports(graph, "glimpse.server")), lower)
    rule = f'<path d="M{MARGIN} {lower.top}H{WIDTH - MARGIN}" class="rule"/>'
    return "\n".join((_head(lower.bottom - 10), rule, *edges, *_boxes(upper), *_boxes(lower), "</svg>\n"))


def _linter() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]  # type: ignore[no-any-return]


def _head(height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, -apple-system, Segoe UI, DejaVu Sans, sans-serif">\n'
        "<!-- Made by docs/generate_architecture.py; `make docs` makes it again. -->\n"
        "<title>The packages of Glimpse and their imports</title>\n"
        "<style>.box{fill:#f6f8fa;stroke:#57606a}.name{font-size:17px;font-weight:600;fill:#0a3069}"
        ".use{font-size:14px;fill:#24292f}.part{font-size:20px;font-weight:600;fill:#24292f}"
        ".rule{stroke:#d0d7de}.arrow{fill:none;stroke:#8c959f;stroke-width:1.4}</style>\n"
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#57606a"/></marker></defs>\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    )


def _boxes(part: Part) -> list[str]:
    width, height = part.box
    lines = [f'<text x="{MARGIN}" y="{part.top + 42}" class="part">{escape(part.title)}</text>']
    for name in sorted((name for names in part.rows for name in names), key=part.corner):
        (x, y), use = part.corner(name), escape(part.places[name][1])
        lines.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" class="box"/>')
        second = f'x="{x + 10}" dy="21"' if height > width / 4 else 'dx="9"'
        text = f'<tspan class="name">{name}</tspan><tspan class="use" {second}>{use}</tspan>'
        lines.append(f'<text x="{x + 10}" y="{y + (25 if height > width / 4 else 28)}">{text}</text>')
    return lines


def _arrows(edges: Iterable[tuple[str, str]], part: Part) -> list[str]:
    lines = []
    width, height = part.box
    for importer, imported in sorted(edges):
        (x1, y1), (x2, y2) = part.corner(importer), part.corner(imported)
        if y1 == y2:  # in one layer: from side to side
            start, end = (x1 + width, x2 - 3) if x1 < x2 else (x1, x2 + width + 3)
            lines.append(f'<path d="M{start} {y1 + height // 2}H{end}" class="arrow" marker-end="url(#head)"/>')
            continue
        # Leave and enter nearer to the other box, so that the arrows of a box fan out.
        shift = max(-width // 3, min(width // 3, round((x2 - x1) / 5)))
        x1, y1, x2 = x1 + width // 2 + shift, y1 + height, x2 + width // 2 - shift
        bend = max(14, (y2 - y1) // 2)
        curve = f"M{x1} {y1}C{x1} {y1 + bend} {x2} {y2 - bend} {x2} {y2 - 2}"
        lines.append(f'<path d="{curve}" class="arrow" marker-end="url(#head)"/>')
    return lines


if __name__ == "__main__":
    PICTURE.write_text(render(), "utf-8")
