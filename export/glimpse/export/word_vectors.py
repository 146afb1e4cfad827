"""Exports word vectors (word2vec, GloVe) as a text bundle that averages a text's word vectors; needs no torch."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import tokenizers
from gensim.models import KeyedVectors
from gensim.utils import open as open_any  # reads .gz too
from onnx import TensorProto, helper, numpy_helper
from tokenizers import models, normalizers, pre_tokenizers

from glimpse.backbone import Bundle, Tokenizer
from glimpse.export.batch_runner import on_cpu
from glimpse.export.errors import ExportError
from glimpse.export.finalize import DEFAULT_OPTIONS, Progress, finalize, silent
from glimpse.export.graph.graph_editing import RAW_OUTPUT, normalize_output
from glimpse.export.graph.text_graph import IDS, MASK
from glimpse.export.tolerance import MIN_COSINES, Check
from glimpse.files.scratch import scratch_folder

PAD, UNKNOWN = "[PAD]", "[UNK]"
# An unknown word has so little weight that it matters only if no word is known; such a text is the mean of all words.
_UNKNOWN_WEIGHT = 1e-4
_CONTEXT = 256
_TRIED = 2_000  # number of words to compare
Vectors = npt.NDArray[np.float32]


def read_vectors(file: Path, most: int | None) -> tuple[list[str], Vectors]:
    """Reads words and their vectors.

    A file with `.bin` in its name is in word2vec's binary format. A text file is word2vec's if its first line has two
    numbers, and GloVe's otherwise.

    Args:
        file: the file, which may be compressed (.gz).
        most: reads only the first words.

    Returns:
        Words, and float32 vectors (n, d).

    Raises:
        ExportError: the file is missing, or has another format.
    """
    if not file.is_file():
        raise ExportError(f"there is no file {file}")
    binary, problem = ".bin" in file.suffixes, None
    with warnings.catch_warnings():
        # gensim leaves a file without a header open, and warns; an exception here would keep it open.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            headless = not binary and not _has_header(file)
            found = KeyedVectors.load_word2vec_format(str(file), binary=binary, no_header=headless, limit=most)
        except (ValueError, EOFError, OSError, IndexError, TypeError) as error:
            problem = str(error)
    if problem is not None or not len(found):
        raise ExportError(f"{file} is neither word2vec nor GloVe: {problem or 'no words'}")
    return list(found.index_to_key), np.asarray(found.vectors, np.float32)


def _has_header(file: Path) -> bool:
    with open_any(str(file), "rb") as stream:
        return len(stream.readline().split()) == 2


def export_vectors(
    file: Path,
    out: Path,
    *,
    name: str,
    words: int | None = None,
    description: str = "",
    license: str = "unknown",
    command: str = "",
    progress: Progress = silent,
) -> Bundle:
    """Writes the bundle of a file of word vectors, after comparing it with the mean of the words' vectors.

    Args:
        file: the file of word vectors.
        out: the bundle's folder.
        name: the bundle's name.
        words: reads only the first words of the file.
        description: for the manifest.
        license: for the manifest.
        command: the command line of the export, for the manifest.
        progress: is called with a line at each step.

    Raises:
        ExportError: the file is missing, or has another format.
        BundleError: `out` is not empty.
    """
    progress(f"reading {file}")
    known, vectors = read_vectors(file, words)
    fields: dict[str, Any] = {
        "name": name,
        "description": description or f"{len(known):,} word vectors of {file.name}, averaged",
        "modalities": ("text",),
        "dimension": vectors.shape[1],
        "text": {"context_length": _CONTEXT},
        "license": license,
        "provenance": {"source": file.name, "command": command, "onnx": onnx.__version__},
    }
    with scratch_folder() as folder:
        graph, tokenizer = folder / "text.onnx", folder / "tokenizer.json"
        onnx.save(_graph(vectors), graph)
        _tokenizer(known).save(str(tokenizer))
        contents = {path.name: path for path in (graph, tokenizer)}
        return finalize(
            out, fields, contents, DEFAULT_OPTIONS, lambda bundle: _compare_with_words(bundle, known, vectors), progress
        )


def _compare_with_words(bundle: Bundle, known: list[str], vectors: Vectors) -> list[Check]:
    """Compares texts of one to twelve words with the mean of the words' vectors."""
    tokenizer, rng = Tokenizer.of(bundle), np.random.default_rng(0)
    tried = rng.permutation(len(known))[:_TRIED]
    # Other words have punctuation inside, and a row of zeros has no direction.
    whole = [i for i in tried if tokenizer.encode(known[i]).ids.tolist() == [i + 2] and vectors[i].any()]
    if not whole:
        raise ExportError("the tokenizer finds no word of the file: they all have punctuation or spaces inside")
    samples = [rng.choice(whole, 1 + n % 12) for n in range(48)]
    ids = [tokenizer.encode(" ".join(known[i] for i in words)).ids for words in samples]
    found = on_cpu(bundle).encode_texts(*tokenizer.pad(ids))
    wanted = np.stack([vectors[words].mean(0) for words in samples])
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    return [
        Check(
            "texts: smallest cosine to the mean of words",
            float((found * wanted).sum(1).min()),
            ">=",
            MIN_COSINES["fp32"],
        )
    ]


def _tokenizer(known: list[str]) -> tokenizers.Tokenizer:
    """Builds a tokenizer that splits into runs of letters and digits and runs of punctuation, in lower case if all
    words are.
    """
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys([PAD, UNKNOWN, *known]))}
    if len(vocabulary) != len(known) + 2:
        raise ExportError("the file has a duplicate word, or a word [PAD] or [UNK]")
    tokenizer = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    lower = [normalizers.Lowercase()] if all(word == word.lower() for word in known) else []
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), *lower])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def _graph(vectors: Vectors) -> onnx.ModelProto:
    """Builds the graph: ids and mask (n, t) to the unit vectors of weighted means of table rows."""
    # An empty text is one [PAD] token; the mask removes padding in a batch.
    table = np.concatenate([np.broadcast_to(vectors.mean(0), (2, vectors.shape[1])), vectors])  # (2 + words, d)
    weights = np.ones(len(table), np.float32)
    weights[:2] = _UNKNOWN_WEIGHT
    constants = {"table": table, "weights": weights, "column": np.array([2]), "tokens": np.array([1])}
    nodes = [
        helper.make_node("Gather", ["table", IDS], ["looked_up"]),  # (n, t, d)
        helper.make_node("Gather", ["weights", IDS], ["weight"]),  # (n, t)
        helper.make_node("Cast", [MASK], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["weight", "mask"], ["masked"]),
        helper.make_node("Unsqueeze", ["masked", "column"], ["factors"]),
        helper.make_node("Mul", ["looked_up", "factors"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "tokens"], [RAW_OUTPUT], keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info(one, TensorProto.INT64, ["n", "t"]) for one in (IDS, MASK)]
    graph = helper.make_graph(
        nodes, "vectors", inputs, [], [numpy_helper.from_array(value, one) for one, value in constants.items()]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    normalize_output(model)
    return model
