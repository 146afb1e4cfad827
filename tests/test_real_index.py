"""Real pictures built into an index by the real command, put under a collection of a real server, and asked for."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.vectors import MOBILENET, MOBILENET_SOURCE
from glimpse.export.onnx.onnx_image import wrap_image_encoder
from support.attached_index_server import Answers, Served, served

pytestmark = pytest.mark.timeout(300)

# Nearest class mean, whole picture squashed to 224, 10 shots, percent; here are 20.
CALTECH_REFERENCE = 88.1
CLUTTER = "BACKGROUND_Google"


@pytest.fixture(scope="module")
def caltech_files(evaluation_data: Path) -> dict[str, list[Path]]:
    folder = evaluation_data / "caltech101"
    if not folder.is_dir():
        pytest.skip(f"no Caltech-101 at {folder}")
    return {one.name: sorted(one.iterdir()) for one in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def caltech(
    evaluation_data: Path, caltech_files: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Of four fifths of the pictures, through MobileNet V2."""
    model = evaluation_data / MOBILENET
    if not model.is_file():
        pytest.skip(f"no model at {model}")
    place = tmp_path_factory.mktemp("caltech")
    wrap_image_encoder(model, place / "bundle", MOBILENET_SOURCE, name="mobilenet-v2", license="Apache-2.0")
    for label, files in caltech_files.items():
        if label != CLUTTER:
            (place / "photos" / label).mkdir(parents=True)
            for file in files:
                if file not in files[::5]:
                    (place / "photos" / label / file.name).symlink_to(file.resolve())
    with served(place, place / "bundle", [place / "photos", "--labels", "label"]) as server:
        yield server


@pytest.fixture(scope="module")
def caltech_answers(caltech: Served, caltech_files: dict[str, list[Path]]) -> tuple[Answers, Answers]:
    """Of every fifth picture of each label, and of the clutter."""
    known = caltech.embed(
        (name, file) for name, files in caltech_files.items() if name != CLUTTER for file in files[::5]
    )
    strangers = caltech.embed(("", file) for file in caltech_files[CLUTTER])
    caltech.attach()
    print(f"caltech101 at once: {caltech.ask(known).accuracy:.1f} % (class mean, 10 shots: {CALTECH_REFERENCE})")
    itself = caltech.fit()
    asked = caltech.ask(known)
    print(f"caltech101 fitted: {asked.accuracy:.1f} %, {asked.matched:.1f} % MATCH; it says itself: {itself:.1f} %")
    assert itself == pytest.approx(asked.accuracy, abs=5)
    return asked, caltech.ask(strangers)


def test_caltech_is_known_as_well_as_by_its_class_means(caltech_answers: tuple[Answers, Answers]) -> None:
    asked, _ = caltech_answers
    assert len(asked.found) == 505
    assert asked.accuracy > CALTECH_REFERENCE
    assert all(one.calibrated for one in asked.found)


def test_clutter_is_no_match_and_what_belongs_is(caltech_answers: tuple[Answers, Answers]) -> None:
    asked, strangers = caltech_answers
    print(f"MATCH: of what belongs {asked.matched:.1f} %, of clutter {strangers.matched:.1f} %")
    assert strangers.matched < 50
    assert asked.matched > strangers.matched + 30


def test_the_evidence_is_a_picture_of_the_index(caltech: Served, caltech_answers: tuple[Answers, Answers]) -> None:
    asked, _ = caltech_answers
    for answer in asked.found[::25]:
        file = Path(caltech.file_of(answer))
        assert file.is_file()
        assert file.parent.name == answer.evidence[0].label


@pytest.fixture(scope="module")
def omniglot_folder(evaluation_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`built/ALPHABET/CHARACTER/*.png`, and in `asked/` two drawings of each character."""
    archive = evaluation_data / "omniglot" / "background.tar.gz"
    if not archive.is_file():
        pytest.skip(f"no Omniglot at {archive}")
    folder = tmp_path_factory.mktemp("omniglot")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (folder / "images_background").rename(folder / "built")
    for character in sorted((folder / "built").glob("*/*")):
        beside = folder / "asked" / character.relative_to(folder / "built")
        beside.mkdir(parents=True)
        for file in sorted(character.iterdir())[::10]:
            file.rename(beside / file.name)
    return folder


def test_omniglot_is_known_by_alphabet_and_character(omniglot_folder: Path) -> None:
    words = [omniglot_folder / "built", "--labels", "label/label"]
    files = sorted((omniglot_folder / "asked").glob("*/*/*.png"))
    with served(omniglot_folder, None, words) as server:
        queries = server.embed((f"{file.parts[-3]}:{file.parts[-2]}", file) for file in files)
        server.attach()
        at_once = server.ask(queries)
        itself = server.fit()
        asked = server.ask(queries)
        print(f"omniglot: {at_once.accuracy:.1f} % at once, {asked.accuracy:.1f} % fitted; itself: {itself:.1f} %")
        print(f"{asked.matched:.1f} % MATCH")
        assert len(set(queries.labels)) == 964
        assert len(asked.found) == 1_928
        # Here: 84.0 and 87.2, of 964.
        assert at_once.accuracy > 80
        assert asked.accuracy > at_once.accuracy - 1
        assert asked.accuracy > 83
        assert itself == pytest.approx(asked.accuracy, abs=5)
        for answer in asked.found[::100]:
            file = Path(server.file_of(answer))
            assert file.is_file()
            assert f"{file.parts[-3]}:{file.parts[-2]}" == answer.evidence[0].label
