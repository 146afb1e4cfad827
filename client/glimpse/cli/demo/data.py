"""What the demo shows: drawings it makes itself, or a labelled folder."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from glimpse.cli.common.errors import CliError
from glimpse.inputs import Entry, Skipped, read_labelled, subfolders

CHARACTERS, QUERIES, STRANGERS, PROMPTS, WORDED = 20, 200, 20, 20, 60
_FEWEST_LABELS_FOR_STRANGERS = 4


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, encoded or in a file, and what it shows (empty: none of the labels)."""

    content: bytes | Path
    truth: str


@dataclass(frozen=True, slots=True)
class Task:
    """Examples to enroll, others of the same labels, strangers of no label, and pictures to label by `prompts`."""

    subject: str
    examples: Sequence[Picture]
    queries: Sequence[Picture]
    strangers: Sequence[Picture]
    prompts: dict[str, list[str]] = field(default_factory=dict)
    worded: Sequence[Picture] = ()
    use_templates: bool = False

    @property
    def title(self) -> str:
        """What it is about, with the number of labels."""
        return f"{len({one.truth for one in self.examples})} {self.subject}"


def drawn_task(seed: int) -> Task:
    """One drawing for each character of an alphabet that no training has seen, and 200 others.

    The strangers are characters of another such alphabet; the pictures to be labelled by text show pairs of colour and
    shape that were kept from training.
    """
    from glimpse.export.drawings.alphabets import HELD_OUT_SEED, Alphabet

    rng = np.random.default_rng(seed)
    known, other = (Alphabet(HELD_OUT_SEED + 2 * seed + i, CHARACTERS).characters for i in (0, 1))
    named = {f"char-{number:02}": character for number, character in enumerate(known, 1)}
    prompts, worded = _worded(rng)
    return Task(
        subject="characters of an alphabet it never saw, one drawing of each",
        examples=[Picture(_png(character.draw(rng)), label) for label, character in named.items()],
        queries=[
            Picture(_png(character.draw(rng)), label)
            for _ in range(QUERIES // CHARACTERS)
            for label, character in named.items()
        ],
        strangers=[Picture(_png(character.draw(rng)), "") for character in other[:STRANGERS]],
        prompts=prompts,
        worded=worded,
    )


def folder_task(folder: Path, shots: int, seed: int) -> Task:
    """Your own pictures: a folder with a subfolder a label. Raises CliError.

    From four labels on, about a tenth of them, at least one, is kept out: its pictures are the strangers.
    """
    rng = np.random.default_rng(seed)
    files = _files(folder)
    files = {label: found for label, found in files.items() if len(found) > shots}
    if len(files) < 2:
        message = f"{folder} needs at least two subfolders with more than {shots} pictures each"
        raise CliError(message, "the subfolders' names are the labels")
    shuffled = {label: [found[i] for i in rng.permutation(len(found))] for label, found in files.items()}
    labels = [list(shuffled)[i] for i in rng.permutation(len(shuffled))]
    kept_out = max(1, len(labels) // 10) if len(labels) >= _FEWEST_LABELS_FOR_STRANGERS else 0
    known = sorted(labels[kept_out:])
    queries = _round_robin([[(label, file) for file in shuffled[label][shots:]] for label in known])
    strangers = _round_robin([[("", file) for file in shuffled[label]] for label in labels[:kept_out]])
    asked = _pictures(queries[:QUERIES])
    return Task(
        subject=f"labels of {folder.name}, {shots} {'picture' if shots == 1 else 'pictures'} of each",
        examples=_pictures((label, file) for label in known for file in shuffled[label][:shots]),
        queries=asked,
        strangers=_pictures(strangers[:STRANGERS]),
        prompts={label: [label.replace("_", " ").replace("-", " ")] for label in known[:1000]},
        worded=asked[:WORDED],
        use_templates=True,
    )


def _files(folder: Path) -> dict[str, list[Path]]:
    """The pictures of each label, which is called as the server calls it."""
    files = dict[str, list[Path]]()
    for one in read_labelled(folder, "image", Skipped()) if subfolders(folder) else ():
        if isinstance(one, Entry) and isinstance(one.content, Path) and one.label:
            files.setdefault(one.label, []).append(one.content)
    return files


def _worded(rng: np.random.Generator) -> tuple[dict[str, list[str]], list[Picture]]:
    from glimpse.export.drawings.rendering import render_scene
    from glimpse.export.drawings.scenes import HELD_OUT_PAIRS, Scene

    pairs = sorted(HELD_OUT_PAIRS)
    chosen = [pairs[i] for i in rng.permutation(len(pairs))[:PROMPTS]]
    named = {f"{'an' if colour[0] in 'aeiou' else 'a'} {colour} {shape}": (colour, shape) for colour, shape in chosen}
    drawn = [
        Picture(_png(render_scene(Scene(colour, shape, size="large", fill="solid"), rng)), text)
        for _ in range(WORDED // PROMPTS)
        for text, (colour, shape) in named.items()
    ]
    return {text: [text] for text in named}, drawn


def _round_robin(lists: Sequence[Sequence[tuple[str, Path]]]) -> list[tuple[str, Path]]:
    longest = max(map(len, lists), default=0)
    return [one[i] for i in range(longest) for one in lists if i < len(one)]


def _pictures(files: Iterable[tuple[str, Path]]) -> list[Picture]:
    return [Picture(file, label) for label, file in files]


def _png(image: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")  # type: ignore[attr-defined]
    return buffer.getvalue()
