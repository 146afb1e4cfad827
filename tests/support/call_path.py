"""Counts the modules and packages that one call passes through: `python -m support.call_path`, from `tests/`.

The server of `app.serve` runs in this process with a tiny backbone and a few enrolled examples. A profile function
(`sys.setprofile`) records every Python function that starts, in every thread of the server, once the call is warm. Two
functions in a row that belong to different modules are one switch between modules; likewise for packages.

A package is a folder below `glimpse.server` with its subfolders. The modules directly in `glimpse.server` are one
package. `fewshot`, `ledger`, `index` and `backbone` are one package each.
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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count, pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import grpc
import numpy as np
from PIL import Image

from glimpse.v1 import (
    classification_service_pb2,
    classification_service_pb2_grpc,
    collection_service_pb2,
    collection_service_pb2_grpc,
    types_pb2,
)
from support.bundles import tiny_dual_bundle
from support.pictures import encoded

#: How often each call is recorded. Background work can only add to a count, so the smallest one is taken.
REPEATS = 25
_WARM_UP_CALLS, _LABELS = 5, 4
_SETTLE_SECONDS = 0.05  # until the server has recorded a call whose response has arrived
_PAUSE_SECONDS = 0.3  # between two calls, so that the fit after an enrolment does not run during the next one
_PACKAGES = ("glimpse.server", "glimpse.fewshot", "glimpse.ledger", "glimpse.index", "glimpse.backbone")
_Entries = list[tuple[str, str]]


@dataclass(frozen=True)
class CallPath:
    """The counts of one call: functions started, modules and packages entered, and switches between them."""

    functions: int
    modules: list[str]
    packages: list[str]
    module_switches: int
    package_switches: int


class Profiler:
    """Records the functions that start in all threads while a call runs."""

    def __init__(self) -> None:
        self._entries: _Entries = []
        self._on = False
        self._probe_tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()

    def install(self) -> None:
        """Profiles the current thread, and every thread that starts later."""
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    def record(self, call: Callable[[], object]) -> _Entries:
        """Returns (module, function) of each function that starts during `call` and shortly after it."""
        time.sleep(_PAUSE_SECONDS)
        self._entries = []
        self._on = True
        call()
        time.sleep(_SETTLE_SECONDS)
        self._on = False
        return self._entries

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        module = frame.f_globals.get("__name__", "")
        if event != "call" or not module.startswith(_PACKAGES):
            return
        if not self._is_probe(frame) and self._on and _starts(frame):
            self._entries.append((module, frame.f_code.co_qualname))

    def _is_probe(self, frame: FrameType) -> bool:
        """Returns whether the frame belongs to the server's own call, which measures its queue during every call.

        The loop that sends it is `_probe` in the code of the baseline, and the module `queue_probe` today.
        """
        try:
            task = asyncio.current_task()
        except RuntimeError:  # a thread without an event loop
            return False
        if task is None:
            return False
        if frame.f_code.co_name == "intercept_service":
            method = frame.f_locals["handler_call_details"].method
            if method.startswith("/glimpse.") and not method.startswith("/glimpse.v1."):
                self._probe_tasks.add(task)
        elif frame.f_code.co_name == "_probe" or frame.f_globals["__name__"].endswith("queue_probe"):
            self._probe_tasks.add(task)
        return task in self._probe_tasks


def _starts(frame: FrameType) -> bool:
    """Returns whether a function starts, rather than a coroutine or a generator that continues."""
    code = frame.f_code.co_code
    return code[frame.f_lasti] != dis.opmap["RESUME"] or code[frame.f_lasti + 1] & 3 == 0


def package_of(module: str, renamed: dict[str, str]) -> str:
    """Returns the package of a module. `renamed` maps old modules below `glimpse.server` to their present names."""
    _, root, *parts = module.split(".")
    if root != "server":
        return root
    first, *rest = renamed.get(".".join(parts), ".".join(parts)).split(".")
    return f"server.{first}" if rest or first in _server_folders(renamed) else "server"


def _server_folders(renamed: dict[str, str]) -> set[str]:
    if renamed:
        return {new.split(".")[0] for new in renamed.values() if "." in new}
    import glimpse.server

    return {path.parent.name for path in Path(glimpse.server.__path__[0]).glob("*/__init__.py")}


def count_path(entries: _Entries, renamed: dict[str, str]) -> CallPath:
    """Counts the modules, packages and switches of one recorded call."""
    modules = [module for module, _ in entries]
    packages = [package_of(module, renamed) for module in modules]
    return CallPath(len(entries), sorted(set(modules)), sorted(set(packages)), _switches(modules), _switches(packages))


def _switches(names: Sequence[str]) -> int:
    return sum(before != after for before, after in pairwise(names))


def measure(renamed: dict[str, str]) -> dict[str, tuple[CallPath, _Entries]]:
    """Serves in this thread until each call is recorded; returns the counts and the functions of each call."""
    from glimpse.server.app import serve
    from glimpse.server.settings import load_settings

    profiler, paths = Profiler(), dict[str, tuple[CallPath, _Entries]]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = tiny_dual_bundle(folder / "tiny")
        address = f"unix:{folder}/socket"
        settings = load_settings(
            listen=address, data=folder / "data", backbone=(bundle.path,), encode_threads=1, decode_threads=1
        )

        def run_client() -> None:
            sys.setprofile(None)
            try:
                for rpc, call in _calls(address):
                    for _ in range(_WARM_UP_CALLS):
                        call()
                    recordings = [profiler.record(call) for _ in range(REPEATS)]
                    counted = [(count_path(entries, renamed), entries) for entries in recordings]
                    paths[rpc] = min(counted, key=lambda pair: (pair[0].package_switches, pair[0].functions))
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        client = threading.Thread(target=run_client)
        profiler.install()
        client.start()
        serve(settings)
        client.join()
    return paths


def _calls(address: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yields a Classify and an EnrollExamples, of one image each, on a collection with a few labels."""
    channel = grpc.insecure_channel(address)
    collections = collection_service_pb2_grpc.CollectionServiceStub(channel)
    classification = classification_service_pb2_grpc.ClassificationServiceStub(channel)
    creation = collection_service_pb2.CreateCollectionRequest(
        collection_id="few", collection=collection_service_pb2.Collection(backbone="backbones/tiny")
    )
    name = collections.CreateCollection(creation, wait_for_ready=True, timeout=60).collection.name
    random = np.random.default_rng(0)
    images = (encoded(Image.fromarray(random.integers(0, 256, (2, 2, 3), np.uint8))) for _ in count())

    def enroll(label: int = 0) -> None:
        content = types_pb2.Input(image=next(images))
        example = collection_service_pb2.NewExample(label_id=f"label-{label}", input=content)
        request = collection_service_pb2.EnrollExamplesRequest(parent=name, examples=[example], create_labels=True)
        [result] = collections.EnrollExamples(request).results
        assert not result.status.code, result.status

    for number in range(3 * _LABELS):
        enroll(number % _LABELS)
    query = classification_service_pb2.ClassifyRequest(collections=[name], inputs=[types_pb2.Input(image=next(images))])

    def classify() -> None:
        [result] = classification.Classify(query).results
        assert not result.status.code, result.status

    yield "Classify", classify
    yield "EnrollExamples", enroll
    channel.close()


def main() -> None:
    """Prints the counts of both calls as a table, or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    parser.add_argument("--trace", action="store_true", help="print every function that starts")
    parser.add_argument("--mapping", help="Python file whose PACKAGES['server'] maps old modules to present ones")
    arguments = parser.parse_args()
    table = runpy.run_path(arguments.mapping)["PACKAGES"]["server"] if arguments.mapping else ""
    paths = measure(dict(line.split() for line in table.strip().splitlines()))
    if arguments.json:
        print(json.dumps({rpc: asdict(path) for rpc, (path, _) in paths.items()}))
        return
    print(f"{'call':16}{'functions':>10}{'modules':>9}{'switches':>9}{'packages':>9}{'switches':>9}")
    for rpc, (path, entries) in paths.items():
        counts = (path.functions, len(path.modules), path.module_switches, len(path.packages), path.package_switches)
        print(f"{rpc:16}{counts[0]:10}" + "".join(f"{number:9}" for number in counts[1:]))
        print(f"    {' '.join(path.packages)}")
        for module, function in entries if arguments.trace else ():
            print(f"        {module} {function}")


if __name__ == "__main__":
    main()
