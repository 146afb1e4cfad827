"""Health, reflection, backbones, settings, and a restart with another backbone."""

import asyncio
import traceback
from pathlib import Path

import grpc
import onnxruntime as ort
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from glimpse.server.inference.backbones import Backbones, LoadedBackbone
from glimpse.server.inference.decoders import Decoders
from glimpse.server.settings import Settings, SettingsError, load_settings
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1 import types_pb2
from support.bundles import tiny_dual_bundle
from support.image_calls import enroll
from support.pictures import picture
from support.server import ServerProcess, Stubs, make_collection
from support.status import refused

SERVICES = {
    "glimpse.v1.EmbeddingService",
    "glimpse.v1.CollectionService",
    "glimpse.v1.ClassificationService",
    "glimpse.v1.ReviewService",
    "glimpse.v1.ServerService",
}


def test_health_is_serving_for_the_server_and_each_service(stubs: Stubs) -> None:
    check = health_pb2_grpc.HealthStub(stubs.channel).Check
    for service in ("", *SERVICES):
        assert check(health_pb2.HealthCheckRequest(service=service)).status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_describes_the_services(stubs: Stubs, version: str) -> None:
    call = stubs.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="glimpse.v1.ClassificationService"),
    ]
    listed, described = call(iter(requests))
    assert {service.name for service in listed.list_services_response.service} > SERVICES
    file, *_ = described.file_descriptor_response.file_descriptor_proto
    assert FileDescriptorProto.FromString(file).package == "glimpse.v1"


def test_backbones_are_described(stubs: Stubs) -> None:
    first = stubs.embedding.ListBackbones(emb.ListBackbonesRequest(page_size=1))
    [tiny] = first.backbones
    assert (tiny.name, tiny.dimension, tiny.image_size, tiny.context_length) == ("backbones/tiny", 8, 16, 6)
    assert list(tiny.modalities) == [types_pb2.MODALITY_IMAGE, types_pb2.MODALITY_TEXT]
    assert tiny.logit_scale == 20
    assert not tiny.HasField("logit_bias")
    rest = stubs.embedding.ListBackbones(emb.ListBackbonesRequest(page_token=first.next_page_token))
    assert [backbone.name for backbone in rest.backbones] == ["backbones/tiny-image"]
    assert stubs.embedding.GetBackbone(emb.GetBackboneRequest(name=tiny.name)).backbone == tiny


def test_another_backbone_of_the_same_name_does_not_mix(tmp_path: Path) -> None:
    """A collection keeps its embedding space: with other weights under its name, it refuses images but not vectors."""
    tiny_dual_bundle(tmp_path / "old", "tiny")
    tiny_dual_bundle(tmp_path / "new", "tiny", seed=9)
    with ServerProcess(tmp_path, tmp_path / "old") as server:
        stubs = Stubs(server.address)
        collection = make_collection(stubs)
        enroll(stubs, collection, [("red", picture("red"))])
        [example] = stubs.collections.ListExamples(
            col.ListExamplesRequest(parent=collection, include_vector=True)
        ).examples
    with ServerProcess(tmp_path, tmp_path / "new") as server:
        stubs = Stubs(server.address)
        request = cls.ClassifyRequest(
            collections=[collection],
            inputs=[types_pb2.Input(image=picture("red")), types_pb2.Input(vector=example.vector)],
        )
        image, vector = stubs.classification.Classify(request).results
        assert image.status.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
        assert image.status.reason == "EMBEDDING_SPACE_MISMATCH"
        assert vector.classifications[0].label_id == "red"
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "EMBEDDING_SPACE_MISMATCH"):
            stubs.collections.CreateLabel(
                col.CreateLabelRequest(parent=collection, label_id="x", label=col.Label(prompts=["red"]))
            )


def test_a_full_queue_is_resource_exhausted_with_a_retry_delay(tmp_path: Path, bundles: tuple[Path, Path]) -> None:
    with ServerProcess(tmp_path, bundles[0], queue_limit=4) as server:
        stubs = Stubs(server.address)
        inputs = [types_pb2.Input(image=picture(size=(600, 600)))] * 64
        request = emb.EmbedRequest(backbone="backbones/tiny", inputs=inputs)
        results = stubs.embedding.Embed(request).results
        full = [result.status for result in results if result.status.code]
        assert 0 < len(full) < 64
        assert {status.reason for status in full} == {"QUEUE_FULL"}
        assert all(status.retry_delay_ms > 0 for status in full)


def test_settings_come_from_flag_environment_file_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "glimpse.toml"
    file.write_text('listen = "127.0.0.1:1"\nmax_batch = 7\nqueue_limit = 9\n')
    monkeypatch.setenv("GLIMPSE_MAX_BATCH", "8")
    settings = load_settings(file, listen="127.0.0.1:2", data=None)
    assert (settings.listen, settings.max_batch, settings.queue_limit, settings.max_inputs) == (
        "127.0.0.1:2",
        8,
        9,
        256,
    )
    monkeypatch.setenv("GLIMPSE_BACKBONE", "one:two")
    assert load_settings().backbone == (Path("one"), Path("two"))
    with pytest.raises(SettingsError, match=r"^max_batch: 0 should be greater"):
        load_settings(None, max_batch=0)
    monkeypatch.setenv("GLIMPSE_PROVIDERS", "cuda, cpu")
    assert load_settings().providers == ("cuda", "cpu")
    with pytest.raises(SettingsError, match="'tensorrt', 'cuda' or 'cpu'"):
        load_settings(None, providers="gpu")
    for content, message in (("max_batchx = 3", "no setting 'max_batchx'"), ("max_batch =", "cannot be read as TOML")):
        file.write_text(content)
        with pytest.raises(SettingsError, match=message):
            load_settings(file)
    with pytest.raises(SettingsError, match="no-such"):
        load_settings(tmp_path / "no-such.toml")


def test_empty_variables_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default = load_settings().model_dump()
    file = tmp_path / "glimpse.toml"
    file.write_text("max_batch = 7\n")
    for name in Settings.model_fields:
        monkeypatch.setenv(f"GLIMPSE_{name.upper()}", "")
    assert load_settings().model_dump() == default
    assert load_settings(file).max_batch == 7


def test_an_invalid_setting_is_named_as_it_was_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "glimpse.toml"
    file.write_text("max_inputs = 1.5\nledger = ['s3cret']\njwt_keys = ['s3cret']\n")
    monkeypatch.setenv("GLIMPSE_MAX_BATCH", "x")
    with pytest.raises(SettingsError) as raised:
        load_settings(file, queue_limit=0)
    problems = str(raised.value).split("; ")
    assert problems[0] == f"{file}: ledger: should be a valid string"
    assert problems[1] == "GLIMPSE_MAX_BATCH: 'x' should be a valid integer"
    assert problems[2] == "queue_limit: 0 should be greater than or equal to 1"
    assert problems[3].startswith(f"{file}: max_inputs: 1.5 should be a valid integer")
    assert "s3cret" not in "".join(traceback.format_exception(raised.value))


def test_settings_are_printed_without_passwords() -> None:
    settings = load_settings(ledger="postgresql+psycopg://db:s3cret@h/d", jwt_keys="https://a:s3cret@h/keys")
    assert "listen=" in repr(settings)
    assert "s3cret" not in f"{settings!r} {settings}"


@pytest.mark.skipif("TensorrtExecutionProvider" in ort.get_available_providers(), reason="TensorRT is here")
def test_a_missing_provider_is_reported_at_the_start(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, bundles[0], providers="tensorrt,cpu")
    with pytest.raises(AssertionError, match=r"cannot run on tensorrt here. This ONNX Runtime has .*cpu; pip install"):
        server.start()


async def test_several_backbones_share_the_cores_without_spinning(bundles: tuple[Path, Path]) -> None:
    with Decoders(load_settings(decode_threads=1)) as decoders:
        for folders, spinning in ((bundles, {"0"}), (bundles[:1], {""})):
            backbones = list(Backbones.load(load_settings(backbone=folders), decoders))
            found = {spinning_of(backbone) for backbone in backbones}
            await asyncio.gather(*(backbone.close() for backbone in backbones))
            assert found == spinning


def spinning_of(backbone: LoadedBackbone) -> str:
    """Returns ONNX Runtime's setting for spinning threads; empty where it is unset, so that they spin."""
    assert backbone.encoder._image
    try:
        options = backbone.encoder._image._session.get_session_options()
        return str(options.get_session_config_entry("session.intra_op.allow_spinning"))
    except RuntimeError:
        return ""
