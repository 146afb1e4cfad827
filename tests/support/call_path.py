"""Counts the modules and packages that one call passes through: `python -m support.call_path`, from `tests/`.

The server of `app.serve` runs in this process with a tiny backbone and a few enrolled examples. A profile function
(`sys.setprofile`) records every entry of a Python function in every thread of the server, once the call is warm. Two
consecutive entries in different modules are one switch between modules; likewise for packages.

A package is a folder below `glimpse.server`, with its subfolders; the modules directly in `glimpse.server` together
are one package. `fewshot`, `ledger`, `index` and `backbone` count as one package each.
"""

import argparse
import asyncio
import dis
import json
import os
import runpy
import signal
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import grpc

from glimpse.v1 import (
    classification_service_pb2,
    classification_service_pb2_grpc,
    collection_service_pb2,
    collection_service_pb2_grpc,
    types_pb2,
)
from support.bundles import tiny_dual_bundle
from support.pictures import picture

#: How often a call is repeated. Work in the background can only add to a count, so the smallest one stands.
REPEATS = 15
_WARM_UP_CALLS = 5
_LABELS = 4
_PACKAGES = ("glimpse.server", "glimpse.fewshot", "glimpse.ledger", "glimpse.index", "glimpse.backbone")
_DIMENSION = 8


@dataclass(frozen=True)
class CallPath:
    """The counts of one call. A switch is a pair of consecutive function entries in different modules or packages."""

    calls: int
    modules: list[str]
    packages: list[str]
    module_switches: int
    package_switches: int


KIND = os.environ.get("KIND", "image")


def _is_start(frame: FrameType) -> bool:
    """Whether a function starts; otherwise a coroutine or generator continues."""
    code = frame.f_code.co_code
    return code[frame.f_lasti] != dis.opmap["RESUME"] or code[frame.f_lasti + 1] & 3 == 0


class Profiler:
    """Records the module of each function entry in all threads while it is switched on."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str]] = []
        self._on = False
        self._probe_tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()

    def install(self) -> None:
        """Profiles the current thread, and every thread that starts later."""
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    def record(self, call: Callable[[], object], settle_seconds: float = 0.05) -> list[tuple[str, str]]:
        """Returns (module, function) for each function entry during `call`, and shortly after it."""
        self.entries = []
        self._on = True
        call()
        # The server still records the call's latency after the client has the response.
        time.sleep(settle_seconds)
        self._on = False
        return self.entries

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        if not self._on or event != "call" or not _is_start(frame):
            return
        module = frame.f_globals.get("__name__", "")
        if module.startswith(_PACKAGES) and not self._is_probe(frame):
            self.entries.append((module, frame.f_code.co_qualname))

    def _is_probe(self, frame: FrameType) -> bool:
        """Whether the load shedder's own call runs, which measures the server's queue beside every call."""
        try:
            task = asyncio.current_task()
        except RuntimeError:  # a thread without an event loop
            return False
        name = frame.f_code.co_name
        if name == "intercept_service":
            method = frame.f_locals["handler_call_details"].method
            if task and method.startswith("/glimpse.") and not method.startswith("/glimpse.v1."):
                self._probe_tasks.add(task)
        return name == "_probe" or task in self._probe_tasks


def package_of(module: str, renamed: dict[str, str]) -> str:
    """Returns the package of a module, after a rename of modules below `glimpse.server`."""
    _, root, *parts = module.split(".")
    if root != "server":
        return root
    path = renamed.get(".".join(parts), ".".join(parts)).split(".")
    is_package = len(path) > 1 or path[0] in _server_packages(renamed)
    return f"server.{path[0]}" if is_package else "server"


def _server_packages(renamed: dict[str, str]) -> set[str]:
    if renamed:
        return {new.split(".")[0] for new in renamed.values() if "." in new}
    import glimpse.server

    folder = Path(glimpse.server.__path__[0])
    return {path.name for path in folder.iterdir() if (path / "__init__.py").exists()}


def count(entries: Sequence[tuple[str, str]], renamed: dict[str, str]) -> CallPath:
    """Counts one recorded call."""
    modules = [module for module, _ in entries]
    packages = [package_of(module, renamed) for module in modules]
    return CallPath(len(modules), sorted(set(modules)), sorted(set(packages)), _switches(modules), _switches(packages))


def _switches(names: Sequence[str]) -> int:
    return sum(before != after for before, after in zip(names, names[1:], strict=False))


def measure(renamed: dict[str, str] | None = None) -> tuple[dict[str, CallPath], dict[str, list[tuple[str, str]]]]:
    """Serves in this thread until both calls are counted; returns the counts and the entries of each call."""
    from glimpse.server.app import serve
    from glimpse.server.settings import Settings

    profiler = Profiler()
    paths: dict[str, CallPath] = {}
    entries: dict[str, list[tuple[str, str]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        bundle = tiny_dual_bundle(Path(folder) / "tiny", dimension=_DIMENSION)
        address = f"unix:{folder}/socket"
        settings = Settings(
            listen=address, data=Path(folder) / "data", backbone=(bundle.path,), encode_threads=1, decode_threads=1
        )

        def client() -> None:
            sys.setprofile(None)
            try:
                for name, call in _calls(address):
                    for _ in range(_WARM_UP_CALLS):
                        call()
                    recordings = [profiler.record(call) for _ in range(REPEATS)]
                    entries[name] = min(
                        recordings, key=lambda one: (count(one, renamed or {}).package_switches, len(one))
                    )
                    paths[name] = count(entries[name], renamed or {})
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        thread = threading.Thread(target=client)
        profiler.install()
        thread.start()
        serve(settings)
        thread.join()
        threading.setprofile(None)  # type: ignore[arg-type]  # None removes it
        sys.setprofile(None)
    return paths, entries


def _calls(address: str) -> list[tuple[str, Callable[[], Any]]]:
    """Returns a Classify of an image and an EnrollExamples of an image, on a collection with a few labels."""
    channel = grpc.insecure_channel(address)
    collections = collection_service_pb2_grpc.CollectionServiceStub(channel)
    classification = classification_service_pb2_grpc.ClassificationServiceStub(channel)
    collections.ListCollections(collection_service_pb2.ListCollectionsRequest(), wait_for_ready=True, timeout=60)
    name = collections.CreateCollection(
        collection_service_pb2.CreateCollectionRequest(
            collection_id="few", collection=collection_service_pb2.Collection(backbone="backbones/tiny")
        )
    ).collection.name
    images = (picture((seed // 64 % 64 * 4, seed % 64 * 4, seed * 37 % 256)) for seed in range(4_096))

    import numpy as np

    rng = np.random.default_rng(0)
    space = ""
    if KIND == "vector":
        from glimpse.v1 import embedding_service_pb2 as e
        from glimpse.v1 import embedding_service_pb2_grpc as g

        space = g.EmbeddingServiceStub(channel).ListBackbones(e.ListBackbonesRequest()).backbones[0].embedding_space

    def make():
        if KIND == "image":
            return types_pb2.Input(image=next(images))
        if KIND == "text":
            return types_pb2.Input(
                text=" ".join(rng.choice(["red", "green", "blue", "circle", "square", "triangle", "one", "two"], 5))
            )
        return types_pb2.Input(
            vector=types_pb2.Vector(data=rng.normal(size=8).astype("<f4").tobytes(), embedding_space=space)
        )

    def enroll(label: int = 0) -> None:
        example = collection_service_pb2.NewExample(label_id=f"label-{label}", input=make())
        request = collection_service_pb2.EnrollExamplesRequest(parent=name, examples=[example], create_labels=True)
        [result] = collections.EnrollExamples(request).results
        assert not result.status.code, result.status

    for label in range(_LABELS):
        for _ in range(3):
            enroll(label)
    query = classification_service_pb2.ClassifyRequest(collections=[name], inputs=[make()])

    def classify() -> None:
        [result] = classification.Classify(query).results
        assert not result.status.code, result.status

    return [("Classify", classify), ("EnrollExamples", enroll)]


def main() -> None:
    """Prints the counts as a table, or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    parser.add_argument("--trace", action="store_true", help="print each function entry as well")
    parser.add_argument("--mapping", help="a Python file whose PACKAGES['server'] maps old modules to new ones")
    arguments = parser.parse_args()
    renamed = {}
    if arguments.mapping:
        table = runpy.run_path(arguments.mapping)["PACKAGES"]["server"]
        renamed = dict(line.split() for line in table.strip().splitlines())
    paths, entries = measure(renamed)
    if arguments.json:
        print(json.dumps({name: asdict(path) for name, path in paths.items()}))
        return
    print(f"{'call':16}{'entries':>8}{'modules':>8}{'switches':>9}{'packages':>9}{'switches':>9}")
    for name, path in paths.items():
        modules, packages = len(path.modules), len(path.packages)
        print(
            f"{name:16}{path.calls:8}{modules:8}{path.module_switches:9}{packages:9}{path.package_switches:9}\n"
            f"    {' '.join(path.packages)}"
        )
        if arguments.trace:
            for module, function in entries[name]:
                print(f"        {module} {function}")


if __name__ == "__main__":
    main()
