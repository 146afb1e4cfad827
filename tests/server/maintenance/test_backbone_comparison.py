"""The report's comparison of loaded backbones on kept inputs, on real servers."""

import io
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image as Picture

from bench.vectors import MOBILENET, MOBILENET_SOURCE
from glimpse.client import BackboneComparison, Client, Image, LabelMode, NewExample, PermissionDenied
from glimpse.export.onnx.onnx_image import wrap_image_encoder
from glimpse.v1 import collection_service_pb2 as col
from support.bundles import tiny_dual_bundle, tiny_image_bundle
from support.keys import make_key
from support.metrics import samples
from support.server import ServerProcess, Stubs
from support.status import Refused
from support.toy_bundle import make_toy_bundle

MINI = Path(__file__).parents[3] / "export" / "glimpse" / "backbone" / "bundled" / "glimpse-mini"
_PHOTOGRAPHED = ("airplanes", "bonsai", "dalmatian", "ketch", "pagoda", "pizza", "stop_sign", "watch")
_COLOURS = {"red": (160, 110, 110), "green": (110, 160, 110), "blue": (110, 110, 160)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Runs a server with mean colours, and with random projections of pixels for pictures and for both."""
    folder = tmp_path_factory.mktemp("compared")
    make_toy_bundle(folder / "toy")
    tiny_image_bundle(folder / "pictures", "pictures", seed=5)
    tiny_dual_bundle(folder / "both", "both", seed=2)
    bundles = [folder / name for name in ("toy", "pictures", "both")]
    with ServerProcess(folder, *bundles, metrics_listen="127.0.0.1:0") as process:
        yield process


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with Client(server.address, timeout=60) as client:
        yield client


def coloured(count: int, label: str, seed: int = 0) -> list[Image]:
    """Returns noise around a colour, which the mean colour separates better than single pixels."""
    rng = np.random.default_rng([seed, *map(ord, label)])
    found = []
    for _ in range(count):
        pixels = np.array(_COLOURS[label]) + rng.normal(0, 80, (16, 16, 3)) + rng.normal(0, 22, 3)
        file = io.BytesIO()
        Picture.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(file, "PNG")
        found.append(Image(file.getvalue()))
    return found


def teach(client: Client, name: str, each: int = 20, labels: Sequence[str] = tuple(_COLOURS)) -> None:
    examples = [NewExample(picture, label) for label in labels for picture in coloured(each, label)]
    enrolled = client.enroll(name, examples, create_labels=True)
    assert all(result.ok for result in enrolled.results)


def compared(client: Client, name: str) -> BackboneComparison:
    comparison = client.collection_report(name, compare_backbones=True).backbone_comparison
    assert comparison
    return comparison


def encoded(server: ServerProcess) -> float:
    """Returns the number of inputs that the server's backbones have encoded."""
    return samples(server, "glimpse_stage_seconds_count")["encode",]


def test_a_better_backbone_is_named_and_advised(client: Client, server: ServerProcess) -> None:
    client.create_collection("named", backbone="backbones/pictures", keep_inputs=True)
    teach(client, "named")
    report = client.collection_report("named", compare_backbones=True)
    comparison = report.backbone_comparison
    assert comparison
    assert comparison.better_backbone == "backbones/toy"
    toy, both = comparison.backbones
    assert (toy.backbone, both.backbone) == ("backbones/toy", "backbones/both")
    assert toy.accuracy
    assert toy.own_accuracy
    assert report.accuracy == toy.own_accuracy, "the sample is the whole collection"
    assert (toy.better, both.better, toy.label_count, toy.accuracy.count) == (True, False, 3, 60)
    assert toy.gain == pytest.approx(toy.accuracy.value - toy.own_accuracy.value)
    assert 0 < toy.gain_low < toy.gain < toy.gain_high <= 1
    [advice] = [text for text in report.advice if "StartReembedding" in text]
    assert advice.startswith("Re-embed the collection with backbones/toy (StartReembedding): it answers ")
    assert f"{100 * toy.gain:.1f} points more of 60 sampled examples correctly" in advice
    plain = client.collection_report("named")
    assert plain.backbone_comparison is None
    assert plain.advice == tuple(text for text in report.advice if text != advice)


def test_the_figures_are_those_of_a_re_embedding(client: Client) -> None:
    client.create_collection("measured", backbone="backbones/pictures", keep_inputs=True)
    teach(client, "measured")
    [toy, _] = compared(client, "measured").backbones
    client.start_reembedding("measured", "backbones/toy")
    while not client.get_reembedding("measured").done:
        time.sleep(0.05)
    measured = client.get_reembedding("measured", measure=True)
    assert measured.current.figures
    assert measured.shadow.figures
    assert (measured.current.figures.accuracy, measured.shadow.figures.accuracy) == (toy.own_accuracy, toy.accuracy)


def test_the_best_backbone_has_no_better_one(client: Client) -> None:
    client.create_collection("best", backbone="backbones/toy", keep_inputs=True)
    teach(client, "best")
    report = client.collection_report("best", compare_backbones=True)
    assert report.backbone_comparison
    assert report.backbone_comparison.better_backbone == ""
    assert all(one.gain_high < 0 and not one.better for one in report.backbone_comparison.backbones)
    assert not any("StartReembedding" in text for text in report.advice)


def test_it_is_made_once_for_each_revision(client: Client, server: ServerProcess) -> None:
    client.create_collection("once", backbone="backbones/pictures", keep_inputs=True)
    teach(client, "once", each=5)
    before = encoded(server)
    first = compared(client, "once")
    assert encoded(server) == before + 2 * 15
    assert compared(client, "once") == first
    assert encoded(server) == before + 2 * 15
    client.enroll("once", [NewExample(coloured(1, "red", seed=1)[0], "red")])
    assert compared(client, "once").backbones[0].accuracy != first.backbones[0].accuracy
    assert encoded(server) == before + 2 * 15 + 1 + 2 * 16


def test_a_large_collection_is_compared_on_a_stratified_sample(client: Client) -> None:
    client.create_collection("large", backbone="backbones/toy", keep_inputs=True)
    examples = [
        NewExample(picture, f"{label} {number}")
        for label in _COLOURS
        for number in range(40)
        for picture in coloured(4, label, seed=number)
    ]
    client.enroll("large", examples, create_labels=True)
    for one in compared(client, "large").backbones:
        assert one.accuracy
        assert (one.label_count, one.accuracy.count) == (100, 300)


def test_reasons_say_why_nothing_was_compared(client: Client) -> None:
    client.create_collection("vectors", backbone="backbones/toy")
    teach(client, "vectors", each=2)
    nothing = BackboneComparison("", (), "the collection keeps no inputs to embed again; set keep_inputs")
    assert compared(client, "vectors") == nothing
    client.update_collection("vectors", keep_inputs=True)  # those that were enrolled before have no originals
    assert compared(client, "vectors").reason == "fewer than two labels have two examples with a kept input"


def test_reasons_say_why_a_backbone_was_not_measured(client: Client) -> None:
    client.create_collection("texts", backbone="backbones/toy", keep_inputs=True)
    texts = {
        "warm": ("a red circle", "one red square", "a red triangle"),
        "cold": ("blue", "a green", "two blue circle"),
    }
    examples = [NewExample(text, label) for label in texts for text in texts[label]]
    client.enroll("texts", examples, create_labels=True)
    reasons = {one.backbone: one.reason for one in compared(client, "texts").backbones}
    assert reasons["backbones/pictures"] == "it reads image, which no kept input is"
    assert reasons == {"backbones/both": "", "backbones/pictures": "it reads image, which no kept input is"}
    client.create_collection("names", backbone="backbones/toy", keep_inputs=True, names_as_prompts=True)
    teach(client, "names", each=3)
    reasons = {one.backbone: one.reason for one in compared(client, "names").backbones}
    assert reasons["backbones/both"] == ""
    assert reasons["backbones/pictures"].startswith("it reads no text")


def test_inputs_that_a_backbone_cannot_read_are_left_out_for_it_alone(client: Client) -> None:
    client.create_collection("mixed", backbone="backbones/toy", keep_inputs=True)
    teach(client, "mixed", each=4, labels=["red", "blue"])
    client.enroll("mixed", [NewExample("a red red circle", "red"), NewExample("blue", "blue")])
    counts = {one.backbone: one.accuracy.count for one in compared(client, "mixed").backbones if one.accuracy}
    assert counts == {"backbones/both": 10, "backbones/pictures": 8}


def test_independent_labels_are_compared_too(client: Client) -> None:
    client.create_collection(
        "independent", backbone="backbones/pictures", keep_inputs=True, label_mode=LabelMode.INDEPENDENT
    )
    teach(client, "independent", each=10)
    [toy, _] = compared(client, "independent").backbones
    assert (toy.backbone, toy.better) == ("backbones/toy", True)


def test_only_a_caller_that_may_embed_may_compare(tmp_path: Path) -> None:
    read, admin = make_key(tmp_path, "ben", "read"), make_key(tmp_path, "root", "admin")
    classify = make_key(tmp_path, "ann", "classify", "--inputs-per-second", "20")
    make_toy_bundle(tmp_path / "toy")
    with ServerProcess(tmp_path, MINI, tmp_path / "toy", require_auth=True) as server:
        with Client(server.address, api_key=admin) as client:
            client.create_collection("c", backbone="backbones/glimpse-mini", keep_inputs=True)
            teach(client, "c", each=10)
        with Client(server.address, api_key=read) as client:
            assert client.collection_report("c").accuracy
            with pytest.raises(PermissionDenied) as refused:
                client.collection_report("c", compare_backbones=True)
            assert refused.value.field == "compare_backbones"
        with Client(server.address, api_key=classify, timeout=60) as client:
            started = time.monotonic()
            assert compared(client, "c").backbones[0].accuracy
            assert time.monotonic() - started > 0.3, "30 inputs count against a limit of 20 a second"


def test_a_server_with_one_backbone_compares_nothing(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, make_toy_bundle(tmp_path / "toy")) as server, Client(server.address) as client:
        client.create_collection("c", keep_inputs=True)
        teach(client, "c", each=2)
        assert compared(client, "c").reason == "the server has loaded no other backbone"


@pytest.fixture(scope="module")
def photographs(evaluation_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Runs a server with glimpse-mini and MobileNet V2; yields the folder of photographs and the address."""
    model, folder = evaluation_data / MOBILENET, tmp_path_factory.mktemp("photographs")
    if not model.is_file():
        pytest.skip(f"no model at {model}")
    wrap_image_encoder(model, folder / "bundle", MOBILENET_SOURCE, name="mobilenet-v2", license="Apache-2.0")
    with ServerProcess(folder, MINI, folder / "bundle") as server:
        yield evaluation_data / "caltech101", server.address
    shutil.rmtree(folder / "data")


def test_mobilenet_is_better_than_glimpse_mini_on_photographs(photographs: tuple[Path, str]) -> None:
    data, address = photographs
    with Client(address, timeout=100) as client:
        client.create_collection("photographs", backbone="backbones/glimpse-mini", keep_inputs=True)
        files = [(label, file) for label in _PHOTOGRAPHED for file in sorted((data / label).iterdir())[:10]]
        client.enroll("photographs", [NewExample(file, label) for label, file in files], create_labels=True)
        # Such a deadline is too short for 80 pictures; each call continues.
        stubs, calls = Stubs(address), 0
        request = col.GetCollectionReportRequest(name="collections/photographs", compare_backbones=True)
        while True:
            calls += 1
            try:
                answer = stubs.collections.GetCollectionReport(request, timeout=0.5)
                break
            except grpc.RpcError as error:
                refused = Refused()
                refused.read(error)
                assert refused.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
                assert refused.reason in ("BACKBONES_NOT_COMPARED", "NOT_FITTED", "")
                assert calls < 100
        stubs.channel.close()
        report = client.collection_report("photographs", compare_backbones=True)
        comparison = report.backbone_comparison
        assert comparison
        assert comparison.better_backbone == answer.backbone_comparison.better_backbone == "backbones/mobilenet-v2"
        [mobilenet] = comparison.backbones
        print(calls, mobilenet)
        assert calls > 1, "a short deadline continues"
        assert mobilenet.accuracy
        assert mobilenet.own_accuracy == report.accuracy
        assert mobilenet.accuracy.count == 80
        assert mobilenet.accuracy.value > 0.95
        assert mobilenet.better
