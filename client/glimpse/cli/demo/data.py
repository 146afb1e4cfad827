"""Pictures for the demo: drawings that it makes itself, or a labelled folder."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from glimpse.cli.common.errors import CliError
from glimpse.inputs import Entry, Skipped, read_labelled, subfolders

CHARACTERS, QUERIES, UNKNOWN, PROMPTS, ZERO_SHOT = 20, 200, 20, 20, 60
_MIN_LABELS_TO_HOLD_OUT = 4


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, as encoded bytes or a file, and its true label (empty: none of the labels)."""

    content: bytes | Path
    truth: str


@dataclass(frozen=True, slots=True)
class Task:
    """Pictures for one run.

    Attributes:
        subject: What the pictures show, for the heading.
        examples: Pictures to enroll.
        queries: Other pictures of the same labels.
        unknown: Pictures that are out of distribution: they have none of the labels.
        prompts: Label to its texts, for zero-shot classification.
        zero_shot: Pictures to classify by `prompts`.
        use_templates: Whether to set the prompts into the backbone's templates.
    """

    subject: str
    examples: Sequence[Picture]
    queries: Sequence[Picture]
    unknown: Sequence[Picture]
    prompts: dict[str, list[str]] = field(default_factory=dict)
    zero_shot: Sequence[Picture] = ()
    use_templates: bool = False

    @property
    def title(self) -> str:
        """The number of labels and the subject."""
        return f"{len({picture.truth for picture in self.examples})} {self.subject}"


def drawn_task(seed: int) -> Task:
    """Draws one example for each character of an alphabet that was held out of training, and 200 queries.

    The pictures out of distribution are characters of another held-out alphabet. The zero-shot pictures show pairs of
    colour and shape that were held out of training.
    """
    from glimpse.export.drawings.alphabets import HELD_OUT_SEED, Alphabet

    rng = np.random.default_rng(seed)
    known, other = (Alphabet(HELD_OUT_SEED + 2 * seed + i, CHARACTERS).characters for i in (0, 1))
    named = {f"char-{number:02}": character for number, character in enumerate(known, 1)}
    prompts, zero_shot = _zero_shot(rng)
    return Task(
        subject="characters of an alphabet it never saw, one drawing of each",
        examples=[Picture(_png(character.draw(rng)), label) for label, character in named.items()],
        queries=[
            Picture(_png(character.draw(rng)), label)
            for _ in range(QUERIES // CHARACTERS)
            for label, character in named.items()
        ],
        unknown=[Picture(_png(character.draw(rng)), "") for character in other[:UNKNOWN]],
        prompts=prompts,
        zero_shot=zero_shot,
    )


def folder_task(folder: Path, shots: int, seed: int) -> Task:
    """Reads a folder with one subfolder per label, and splits its pictures into examples and queries.

    With four labels or more, a tenth of them (at least one) is held out; its pictures are out of distribution.

    Args:
        folder: The folder.
        shots: Examples per label.
        seed: Chooses the examples and the labels that are held out.

    Raises:
        CliError: Fewer than two labels have more than `shots` pictures.
    """
    rng = np.random.default_rng(seed)
    files = _files(folder)
    files = {label: paths for label, paths in files.items() if len(paths) > shots}
    if len(files) < 2:
        message = f"{folder} needs at least two subfolders with more than {shots} pictures each"
        raise CliError(message, "the subfolders' names are the labels")
    shuffled = {label: [paths[i] for i in rng.permutation(len(paths))] for label, paths in files.items()}
    labels = [list(shuffled)[i] for i in rng.permutation(len(shuffled))]
    held_out = max(1, len(labels) // 10) if len(labels) >= _MIN_LABELS_TO_HOLD_OUT else 0
    known = sorted(labels[held_out:])
    queries = _round_robin([[(label, file) for file in shuffled[label][shots:]] for label in known])
    unknown = _round_robin([[("", file) for file in shuffled[label]] for label in labels[:held_out]])
    selected = _pictures(queries[:QUERIES])
    return Task(
        subject=f"labels of {folder.name}, {shots} {'picture' if shots == 1 else 'pictures'} of each",
        examples=_pictures((label, file) for label in known for file in shuffled[label][:shots]),
        queries=selected,
        unknown=_pictures(unknown[:UNKNOWN]),
        prompts={label: [label.replace("_", " ").replace("-", " ")] for label in known[:1000]},
        zero_shot=selected[:ZERO_SHOT],
        use_templates=True,
    )


def _files(folder: Path) -> dict[str, list[Path]]:
    """Returns the pictures of each label, with labels in the form that the server keeps."""
    files = dict[str, list[Path]]()
    for entry in read_labelled(folder, "image", Skipped()) if subfolders(folder) else ():
        if isinstance(entry, Entry) and isinstance(entry.content, Path) and entry.label:
            files.setdefault(entry.label, []).append(entry.content)
    return files


def _zero_shot(rng: np.random.Generator) -> tuple[dict[str, list[str]], list[Picture]]:
    from glimpse.export.drawings.rendering import render_scene
    from glimpse.export.drawings.scenes import HELD_OUT_PAIRS, Scene

    pairs = sorted(HELD_OUT_PAIRS)
    chosen = [pairs[i] for i in rng.permutation(len(pairs))[:PROMPTS]]
    named = {f"{'an' if colour[0] in 'aeiou' else 'a'} {colour} {shape}": (colour, shape) for colour, shape in chosen}
    drawn = [
        Picture(_png(render_scene(Scene(colour, shape, size="large", fill="solid"), rng)), text)
        for _ in range(ZERO_SHOT // PROMPTS)
        for text, (colour, shape) in named.items()
    ]
    return {text: [text] for text in named}, drawn


def _round_robin(lists: Sequence[Sequence[tuple[str, Path]]]) -> list[tuple[str, Path]]:
    longest = max(map(len, lists), default=0)
    return [items[i] for i in range(longest) for items in lists if i < len(items)]


def _pictures(files: Iterable[tuple[str, Path]]) -> list[Picture]:
    return [Picture(file, label) for label, file in files]


def _png(image: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")  # type: ignore[attr-defined]
    return buffer.getvalue()
