"""CUDA gives the CPU's vectors: in fixed shapes, in fp16, and over gRPC."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from glimpse.backbone import Bundle, BundleError, Encoder, Tokenizer, bundled, load_bundle, write_bundle
from glimpse.client import Client
from glimpse.export.precision import convert_precision
from support.pictures import picture
from support.server import ServerProcess

TEXTS = ["a red circle", "", "two blue squares and a green triangle", "circle " * 40, "yellow"]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(bundled())


@pytest.fixture(scope="module")
def on_cpu(bundle: Bundle, threads: int) -> Encoder:
    return Encoder(bundle, threads=threads, providers=["cpu"])


@pytest.fixture(scope="module")
def on_gpu(bundle: Bundle, threads: int) -> Encoder:
    encoder = Encoder(bundle, threads=threads, providers=["cuda"], max_batch=8)
    encoder.warm_up()
    return encoder


@pytest.fixture(scope="module")
def half(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Returns the bundle with both graphs in fp16."""
    folder = tmp_path_factory.mktemp("fp16")
    contents = {name: bundle.path / name for name in bundle.manifest.files}
    ids, mask = tokens(bundle)
    inputs = {"image.onnx": {"images": pixels(bundle, 2)}, "text.onnx": {"input_ids": ids, "attention_mask": mask}}
    for graph, given in inputs.items():
        convert_precision(bundle.path / graph, folder / graph, "fp16", [given], lambda _: None)
        contents[graph] = folder / graph
    fields = bundle.manifest.model_dump(exclude={"files", "embedding_space"}, exclude_none=True)
    return write_bundle(folder / "bundle", {**fields, "precision": "fp16"}, contents)


def pixels(bundle: Bundle, count: int) -> np.ndarray:
    assert bundle.manifest.image
    size = bundle.manifest.image.size
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def tokens(bundle: Bundle) -> tuple[np.ndarray, np.ndarray]:
    tokenizer = Tokenizer.of(bundle)
    return tokenizer.pad([tokenizer.encode(text).ids for text in TEXTS])


def smallest_cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float((one * other).sum(1).min())


@pytest.mark.parametrize("count", [1, 3, 8, 11])
def test_pictures_have_the_cpus_vectors(bundle: Bundle, on_cpu: Encoder, on_gpu: Encoder, count: int) -> None:
    given = pixels(bundle, count)
    assert smallest_cosine(on_gpu.encode_images(given), on_cpu.encode_images(given)) >= 0.9999


def test_texts_have_the_cpus_vectors(bundle: Bundle, on_cpu: Encoder, on_gpu: Encoder) -> None:
    given = tokens(bundle)
    assert smallest_cosine(on_gpu.encode_texts(*given), on_cpu.encode_texts(*given)) >= 0.9999


def test_runs_use_the_shapes_that_were_made_ready(on_gpu: Encoder, bundle: Bundle) -> None:
    assert on_gpu._image
    assert on_gpu._image._bound
    ready = set(on_gpu._image._bound._buffers)
    for count in range(1, 9):
        on_gpu.encode_images(pixels(bundle, count))
    assert set(on_gpu._image._bound._buffers) == ready


def test_half_precision_keeps_the_vectors(half: Bundle, on_cpu: Encoder, threads: int) -> None:
    encoder = Encoder(half, threads=threads, providers=["cuda"])
    encoder.warm_up()
    given, texts = pixels(half, 5), tokens(half)
    assert smallest_cosine(encoder.encode_images(given), on_cpu.encode_images(given)) >= 0.9999
    assert smallest_cosine(encoder.encode_texts(*texts), on_cpu.encode_texts(*texts)) >= 0.9999


def test_tensorrt_is_used_where_asked_for(bundle: Bundle, on_cpu: Encoder, threads: int) -> None:
    try:
        encoder = Encoder(bundle, threads=threads, providers=["tensorrt", "cuda", "cpu"], max_batch=2)
    except BundleError as error:
        pytest.skip(str(error))
    given = pixels(bundle, 2)
    assert smallest_cosine(encoder.encode_images(given), on_cpu.encode_images(given)) >= 0.999


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("server")
    with ServerProcess(folder, providers="cuda,cpu") as server, Client(server.address) as client:
        yield client
    shutil.rmtree(folder)


def test_a_server_answers_from_the_gpu(client: Client) -> None:
    [backbone] = client.list_backbones()
    assert backbone.providers[0] == "CUDAExecutionProvider"


def test_vectors_over_grpc_are_the_cpus(client: Client, tmp_path: Path) -> None:
    inputs = [picture((20 * i, 90, 250 - 20 * i), size=(100, 80)) for i in range(12)]
    with ServerProcess(tmp_path, providers="cpu") as server, Client(server.address) as other:
        there, here = (np.stack([r.unwrap().values for r in one.embed(inputs)]) for one in (client, other))
    assert smallest_cosine(there, here) >= 0.9999
