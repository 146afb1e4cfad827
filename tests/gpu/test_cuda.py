"""CUDA computes the same vectors as the CPU: in fixed shapes, in fp16, and over gRPC."""

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
    for graph, feeds in inputs.items():
        convert_precision(bundle.path / graph, folder / graph, "fp16", [feeds], lambda _: None)
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
def test_pictures_have_the_same_vectors_as_on_the_cpu(
    bundle: Bundle, on_cpu: Encoder, on_gpu: Encoder, count: int
) -> None:
    images = pixels(bundle, count)
    assert smallest_cosine(on_gpu.encode_images(images), on_cpu.encode_images(images)) >= 0.9999


def test_texts_have_the_same_vectors_as_on_the_cpu(bundle: Bundle, on_cpu: Encoder, on_gpu: Encoder) -> None:
    texts = tokens(bundle)
    assert smallest_cosine(on_gpu.encode_texts(*texts), on_cpu.encode_texts(*texts)) >= 0.9999


def test_runs_use_only_the_warmed_up_shapes(on_gpu: Encoder, bundle: Bundle) -> None:
    assert on_gpu._image
    assert on_gpu._image._bound
    warm = set(on_gpu._image._bound._buffers)
    for count in range(1, 9):
        on_gpu.encode_images(pixels(bundle, count))
    assert set(on_gpu._image._bound._buffers) == warm


def test_half_precision_keeps_the_vectors(half: Bundle, on_cpu: Encoder, threads: int) -> None:
    encoder = Encoder(half, threads=threads, providers=["cuda"])
    encoder.warm_up()
    images, texts = pixels(half, 5), tokens(half)
    assert smallest_cosine(encoder.encode_images(images), on_cpu.encode_images(images)) >= 0.9999
    assert smallest_cosine(encoder.encode_texts(*texts), on_cpu.encode_texts(*texts)) >= 0.9999


def test_tensorrt_computes_the_same_vectors(bundle: Bundle, on_cpu: Encoder, threads: int) -> None:
    try:
        encoder = Encoder(bundle, threads=threads, providers=["tensorrt", "cuda", "cpu"], max_batch=2)
    except BundleError as error:
        pytest.skip(str(error))
    images = pixels(bundle, 2)
    assert smallest_cosine(encoder.encode_images(images), on_cpu.encode_images(images)) >= 0.999


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("server")
    with ServerProcess(folder, providers="cuda,cpu") as server, Client(server.address) as client:
        yield client
    shutil.rmtree(folder)


def test_a_server_answers_from_the_gpu(client: Client) -> None:
    [backbone] = client.list_backbones()
    assert backbone.providers[0] == "CUDAExecutionProvider"


def test_vectors_over_grpc_equal_those_of_the_cpu(client: Client, tmp_path: Path) -> None:
    inputs = [picture((20 * i, 90, 250 - 20 * i), size=(100, 80)) for i in range(12)]
    with ServerProcess(tmp_path, providers="cpu") as server, Client(server.address) as other:
        on_gpu, on_cpu = (
            np.stack([result.unwrap().values for result in connection.embed(inputs)]) for connection in (client, other)
        )
    assert smallest_cosine(on_gpu, on_cpu) >= 0.9999
