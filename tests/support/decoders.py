"""Fuzzes the code that reads untrusted bytes, guided by coverage. Each target runs in a process of its own.

    python -m support.decoders TARGET FOLDER RUNS SEED

Ends with another code than 0 where a target raises what it must not.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["glimpse"]):
    import glimpse.backbone.images.limits as limits_of_pictures
    import glimpse.backbone.images.preprocess as pictures
    import glimpse.backbone.manifest as bundles
    import glimpse.backbone.manifest_file as bundle_files
    import glimpse.backbone.onnx_validation as weights
    import glimpse.index.faiss_validation.validator as faiss_files
    import glimpse.index.storage.manifest as folders
    import glimpse.server.inference.embedder as embedding
    import glimpse.server.resource_names as names

from glimpse.backbone import BundleError, InputError, Tokenizer
from glimpse.index import IndexFolderError
from glimpse.server.errors import RequestError
from glimpse.v1 import types_pb2
from support.bundles import tiny_dual_bundle
from support.corrupt_images import originals
from support.indexes import make_index

Target = Callable[[bytes], object]
#: Errors that are allowed.
_REFUSALS = (BundleError, InputError, IndexFolderError, RequestError)
_ROWS, _DIMENSION = 60, 8


def _pictures(folder: Path) -> tuple[Target, list[bytes]]:
    rule, limits = bundles.ImageRule(size=16, scaled_decode=True), limits_of_pictures.ImageLimits(1_000, 500_000)
    return lambda data: pictures.decode_image(data, rule, limits), originals(None)


def _vectors(folder: Path) -> tuple[Target, list[bytes]]:
    class Source:
        backbone, dimension = None, _DIMENSION

        def takes(self, space: str) -> bool:
            return True

    def decode(data: bytes) -> None:
        sent = types_pb2.Input(vector=types_pb2.Vector(data=data))
        [found] = asyncio.run(embedding.embed_all(Source(), [sent], None, np.inf))  # type: ignore[arg-type]
        if not isinstance(found, RequestError):
            assert abs(np.linalg.norm(found.vector) - 1) < 1e-3

    return decode, [np.full(_DIMENSION, value, "<f4").tobytes() for value in (1, 0, np.nan, np.inf, 1e-40, 3e38)]


def _texts(folder: Path) -> tuple[Target, list[bytes]]:
    tokenizer = Tokenizer.of(tiny_dual_bundle(folder / "bundle"))
    return lambda data: tokenizer.encode(data.decode(errors="replace")), [b"a red circle", "Ω\0\u202e".encode()]


def _tokens(folder: Path) -> tuple[Target, list[bytes]]:
    def decode(data: bytes) -> None:
        text = data.decode("latin-1")
        for read in (names.page_after, names.page_number, lambda text: names.parse_name(text, "collections/*", "name")):
            with contextlib.suppress(RequestError):
                read(text)

    return decode, [b"MTI=", b"c2V0LzE=", b"collections/a"]


def _bundle_manifests(folder: Path) -> tuple[Target, list[bytes]]:
    seed = (tiny_dual_bundle(folder / "bundle").path / bundles.MANIFEST_NAME).read_bytes()
    return _reading(folder / "given", bundles.MANIFEST_NAME, bundle_files.read_manifest), [seed, b"{}", b"[" * 99]


def _index(folder: Path) -> Path:
    random = np.random.default_rng(0).normal(size=(_ROWS, _DIMENSION))
    vectors = np.asarray(random / np.linalg.norm(random, axis=1, keepdims=True), np.float32)
    return make_index(folder / "index", "0" * 32, vectors, ["a"] * _ROWS, factory="HNSW4,SQfp16")


def _index_manifests(folder: Path) -> tuple[Target, list[bytes]]:
    seed = (_index(folder) / folders.MANIFEST_NAME).read_bytes()
    return _reading(folder / "given", folders.MANIFEST_NAME, folders.read_manifest), [seed, json.dumps({}).encode()]


def _faiss_files(folder: Path) -> tuple[Target, list[bytes]]:
    seed = (_index(folder) / folders.INDEX_NAME).read_bytes()

    def check(place: Path) -> None:
        faiss_files.check_file(place / folders.INDEX_NAME, _DIMENSION, _ROWS)

    return _reading(folder / "given", folders.INDEX_NAME, check), [seed]


def _graphs(folder: Path) -> tuple[Target, list[bytes]]:
    seed = (tiny_dual_bundle(folder / "bundle").path / "image.onnx").read_bytes()
    return _reading(folder / "given", "image.onnx", lambda at: weights.check_graph(at / "image.onnx", set())), [seed]


def _reading(place: Path, name: str, read: Callable[[Path], object]) -> Target:
    place.mkdir()

    def target(data: bytes) -> object:
        (place / name).write_bytes(data)
        return read(place)

    return target


TARGETS: dict[str, Callable[[Path], tuple[Target, list[bytes]]]] = {
    "pictures": _pictures,
    "vectors": _vectors,
    "texts": _texts,
    "tokens": _tokens,
    "bundle-manifests": _bundle_manifests,
    "index-manifests": _index_manifests,
    "faiss-files": _faiss_files,
    "graphs": _graphs,
}


def main() -> None:
    """Runs one target."""
    name, folder, runs, seed = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    target, corpus = TARGETS[name](folder)
    (folder / "corpus").mkdir()
    for number, content in enumerate(corpus):
        (folder / "corpus" / str(number)).write_bytes(content)

    def one(data: bytes) -> None:
        with contextlib.suppress(*_REFUSALS):
            target(data)

    for content in corpus:
        one(content)
    options = [f"-runs={runs}", f"-seed={seed}", "-max_len=8192", "-timeout=20", "-rss_limit_mb=4096", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(folder / "corpus")], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
