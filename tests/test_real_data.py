"""Real photographs through a real MobileNet V2 over real gRPC: the accuracy the reference measured without a server."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from glimpse.client import Client, Decision, NewExample, Vector
from glimpse.export.onnx_image import ImageEncoderSource, wrap_image_encoder
from support.server import ServerProcess

# The fewer the labels, the more a draw of examples matters.
_SEEDS = {"caltech101": 4, "sign_digits": 20}
_MEAN, _STD = 127 / 255, 1 / (255 * 0.0078431)

# Nearest class mean, whole picture squashed to 224, mean of 20 seeds: 1- and 5-shot, percent.
REFERENCE = {"caltech101": (64.2, 84.8), "sign_digits": (50.4, 73.5)}


@pytest.fixture(scope="module")
def client(evaluation_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    model = evaluation_data / "models" / "tf2_mobilenet_v2_1.0_224_ptq.onnx"
    if not model.is_file():
        pytest.skip(f"no model at {model}")
    folder = tmp_path_factory.mktemp("mobilenet")
    source = ImageEncoderSource(224, [_MEAN], [_STD], output_name="embedding")
    wrap_image_encoder(model, folder / "bundle", source, name="mobilenet-v2", license="Apache-2.0")
    with ServerProcess(folder, folder / "bundle") as server, Client(server.address, timeout=300) as client:
        yield client
    shutil.rmtree(folder / "data")


def embedded(client: Client, folder: Path) -> dict[str, list[Vector]]:
    """Every picture of a labelled folder, embedded once, by label."""
    files = [(sub.name, file) for sub in sorted(folder.iterdir()) for file in sorted(sub.iterdir())]
    files = [(label, file) for label, file in files if label != "BACKGROUND_Google"]
    found: dict[str, list[Vector]] = {}
    for (label, _), result in zip(files, client.stream_embed(file for _, file in files), strict=True):
        found.setdefault(label, []).append(result.unwrap())
    return found


def accuracy(client: Client, name: str, by_label: dict[str, list[Vector]], shots: int, seed: int) -> float:
    """Percent right, with `shots` enrolled examples a label and all others as queries."""
    rng = np.random.default_rng(seed)
    orders = {label: rng.permutation(len(vectors)) for label, vectors in by_label.items()}
    support = [NewExample(by_label[label][i], label) for label, order in orders.items() for i in order[:shots]]
    queries = [(label, by_label[label][i]) for label, order in orders.items() for i in order[shots:]]
    collection = f"{name.replace('_', '-')}-{shots}-{seed}"
    client.create_collection(collection)
    assert all(result.ok for result in client.enroll(collection, support, create_labels=True).results)
    results = client.classify(collection, [vector for _, vector in queries], evidence=0)
    right = [result.unwrap().label == label for (label, _), result in zip(queries, results, strict=True)]
    client.delete_collection(collection, force=True)
    return 100 * float(np.mean(right))


@pytest.mark.parametrize("name", REFERENCE)
def test_few_shot_accuracy_is_the_references(client: Client, evaluation_data: Path, name: str) -> None:
    by_label = embedded(client, evaluation_data / name)
    for shots, reference in zip((1, 5), REFERENCE[name], strict=True):
        found = np.mean([accuracy(client, name, by_label, shots, seed) for seed in range(_SEEDS[name])])
        print(f"{name} {shots}-shot: {found:.1f} % (reference {reference})")
        assert found == pytest.approx(reference, abs=2), f"{name}, {shots}-shot"


def test_one_photograph_each_answers_with_its_evidence(client: Client, evaluation_data: Path) -> None:
    folder = evaluation_data / "caltech101"
    labels = ["airplanes", "Motorbikes", "Faces_easy", "sunflower"]
    photos = {label: sorted((folder / label).iterdir()) for label in labels}
    client.create_collection("photographs")
    examples = [NewExample(files[0], label) for label, files in photos.items()]
    enrolled = client.enroll("photographs", examples, create_labels=True).results
    queries = [(label, file) for label, files in photos.items() for file in files[1:9]]
    results = client.classify("photographs", [file for _, file in queries])
    answers = [result.unwrap() for result in results]
    assert np.mean([answer.label == label for (label, _), answer in zip(queries, answers, strict=True)]) > 0.9
    for answer in answers:
        assert answer.decision in (Decision.MATCH, Decision.UNKNOWN, Decision.AMBIGUOUS)
        assert answer.evidence[0].example in {result.unwrap().name for result in enrolled}
