"""A provider that does not start names what is missing, and a failed run repeats the message of CUDA."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import onnxruntime as ort
import pytest

from glimpse.backbone import Bundle, BundleError, Encoder
from glimpse.backbone.inference.provider_failures import run_failure, start_failure
from glimpse.backbone.inference.sessions import CPU, CUDA
from support.bundles import tiny_image_bundle

CUDA_FAILURE = (
    "/onnxruntime_src/cuda_call.cc:154 std::conditional_t<THRW, void, common::Status> onnxruntime::CudaCall(ERRTYPE) "
    "[with ERRTYPE = cudaError; bool THRW = true] CUDA failure {code}: {text} ; GPU=-1 ; hostname=vm ; line=355 ; \n\n"
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_image_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


class WithoutCuda(ort.InferenceSession):  # type: ignore[misc]
    """Acts like ONNX Runtime where CUDA's provider is installed and cannot be loaded: the session runs on the CPU."""

    def __init__(self, file: str, options: ort.SessionOptions, providers: list[tuple[str, object]], **_: int) -> None:
        super().__init__(file, options, providers=[CPU])


class Unwell:
    """Acts like ONNX Runtime where CUDA's provider is loaded and the driver answers with an error."""

    def __init__(self, *_: object, providers: list[tuple[str, object]], **__: object) -> None:
        raise RuntimeError(CUDA_FAILURE.format(code=802, text="system not yet initialized"))


def install_provider(monkeypatch: pytest.MonkeyPatch, folder: Path, session: type) -> Path:
    """Makes ONNX Runtime one with a provider for CUDA in `folder`; returns the folder of its libraries."""
    monkeypatch.setattr(ort, "__file__", str(folder / "__init__.py"))
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort, "InferenceSession", session)
    (folder / "capi").mkdir()
    return folder / "capi"


def compile_provider(folder: Path, needed: str) -> None:
    """Compiles a provider that needs a library, which is then removed."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler, which makes a provider that needs a library")
    (folder / "empty.c").write_text("int empty;")
    for name, libraries in ((needed, []), ("libonnxruntime_providers_cuda.so", [f"./{needed}"])):
        command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{name}", "-Wl,--no-as-needed", "-o", name, "empty.c"]
        subprocess.run([*command, *libraries], cwd=folder, check=True)
    (folder / needed).unlink()


@pytest.mark.parametrize(
    ("needed", "source"),
    [
        ("libcuda.so.1", "NVIDIA's driver, 580 or later, brings it"),
        ("libcublasLt.so.13", "the package nvidia-cublas brings it"),
        ("libcudnn.so.9", "the package nvidia-cudnn-cu13 brings it"),
    ],
)
def test_a_provider_that_cannot_be_loaded_names_the_missing_library(
    tiny: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needed: str, source: str
) -> None:
    compile_provider(install_provider(monkeypatch, tmp_path, WithoutCuda), needed)
    with pytest.raises(BundleError, match=f"cannot run on cuda here: {needed} cannot be loaded; {source}") as caught:
        Encoder(tiny, threads=1, providers=["cuda"])
    assert "pip install" not in str(caught.value)


def test_the_reason_is_logged_where_the_processor_takes_over(
    tiny: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compile_provider(install_provider(monkeypatch, tmp_path, WithoutCuda), "libcuda.so.1")
    assert Encoder(tiny, threads=1).providers == [CPU]
    [record] = caplog.records
    assert record.getMessage().startswith(
        "CUDA is not usable, tiny-image runs on the CPU: libcuda.so.1 cannot be loaded"
    )


def test_a_library_of_a_wrong_version_is_reported_as_the_loader_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> None:
        raise OSError(f"{name}: undefined symbol: cublasLtCreate, version libcublasLt.so.13")

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert start_failure("cuda").endswith("undefined symbol: cublasLtCreate, version libcublasLt.so.13")


def test_a_driver_that_answers_with_an_error_is_reported_in_its_words(
    tiny: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_provider(monkeypatch, tmp_path, Unwell)
    with pytest.raises(BundleError) as caught:
        Encoder(tiny, threads=1, providers=["cuda"])
    assert str(caught.value).endswith("system not yet initialized (CUDA error 802); start NVIDIA's fabric manager")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CUDA_FAILURE.format(code=700, text="an illegal memory access"), "an illegal memory access (CUDA error 700)"),
        (
            "x CUBLAS failure 13: CUBLAS_STATUS_EXECUTION_FAILED ; GPU=0",
            "CUBLAS_STATUS_EXECUTION_FAILED (CUBLAS error 13)",
        ),
        (
            "cuDNN is not available. Install cuDNN, update",
            "libcudnn.so.9 cannot be loaded; the package nvidia-cudnn-cu13 brings it",
        ),
        ("Invalid rank for input", "Invalid rank for input"),
    ],
)
def test_what_a_failed_run_says(text: str, message: str) -> None:
    assert run_failure(RuntimeError(text)) == message


class Recorded(ort.InferenceSession):  # type: ignore[misc]
    """Keeps what it was opened with, and runs on the CPU."""

    opened: list[tuple[bool, dict[str, object]]]

    def __init__(
        self, file: str, options: ort.SessionOptions, providers: list[tuple[str, dict[str, object]]], **_: int
    ) -> None:
        self.opened.append((options.enable_mem_pattern, dict(providers)))
        super().__init__(file, options, providers=[CPU])

    def get_providers(self) -> list[str]:
        return list(self.opened[-1][1])


CUDA_OPTIONS = {"arena_extend_strategy": "kSameAsRequested", "use_tf32": "0"}


@pytest.mark.parametrize(
    ("asked", "patterns", "opened"), [("cuda", False, {CUDA: CUDA_OPTIONS, CPU: {}}), ("cpu", True, {CPU: {}})]
)
def test_cuda_plans_no_memory_and_multiplies_in_full_precision(
    tiny: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    patterns: bool,
    opened: dict[str, dict[str, object]],
) -> None:
    Recorded.opened = []
    install_provider(monkeypatch, tmp_path, Recorded)
    monkeypatch.setattr("glimpse.backbone.inference.onnx_graph.BoundRuns", lambda *_: None)
    Encoder(tiny, threads=1, providers=[asked])
    assert Recorded.opened == [(patterns, opened)]
