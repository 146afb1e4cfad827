"""Makes the pictures of docs/deciding.md: `python docs/generate_pictures.py [--data DIR]`.

This file draws the selection of heads, and a server's answers about drawings. docs/measured_pictures.py makes those
that need real data.
"""

import argparse
import io
import sys
import tempfile
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # bench and docs are not part of the distribution

from bench.vectors import DATA  # noqa: E402
from docs import measured_pictures  # noqa: E402
from glimpse.cli.demo.data import CHARACTERS, Picture, Task, drawn_task  # noqa: E402
from glimpse.cli.demo.server import own_server  # noqa: E402
from glimpse.client import Classification, Client, Decision, NewExample  # noqa: E402

_IMAGES = Path(__file__).with_name("images")
_GREY, _INK = "#8a9099", "#22252a"
_SHOTS, _SEED = 5, 1
_STEPS = (
    "input",
    "backbone:\na vector",
    "domain\nadaptation",
    "head:\nscores",
    "temperature:\nprobabilities",
    "p-value:\nknown or\nunknown?",
    "prediction\nset: which\nlabels?",
    "decision",
)
# Each box: text, left, bottom, width, height and colour.
_HEADS = (
    ("no answer", 11, 19, 14, 9, "white"),
    ("PROMPTS", 11, 6, 14, 9, "#dcefe3"),
    ("CLASS_MEAN", 27, 19, 17, 9, "#e3e8ee"),
    ("CLASS_MEAN_\nAND_PROMPTS", 27, 6, 17, 9, "#e3e8ee"),
    ("LDA", 46, 19, 17, 9, "#d6e4f5"),
    ("LDA_AND_PROMPTS", 46, 6, 17, 9, "#d6e4f5"),
    ("as on the left,\nor, if better,\nKERNEL_RIDGE", 65, 6, 16, 22, "#fbe9dc"),
    ("as on the left,\nor, if better,\nPROJECTED_RIDGE", 83, 6, 17, 22, "#f7d5bd"),
)
_TOPS = (
    ("no example", 11),
    ("one per label", 27),
    ("a label with two", 46),
    ("8 per label", 65),
    ("30 per label", 83),
)
_NOTES = (
    ("not calibrated: nothing can be left out", 11),
    ("calibrated from 6 examples that can be left out", 46),
)


def main() -> None:
    """Makes every picture in docs/images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    data = parser.parse_args().data
    mpl.rcParams.update({"svg.hashsalt": "glimpse", "font.size": 9, "text.color": _INK, "axes.edgecolor": _GREY})
    mpl.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False})
    _head_selection()
    _save("heads.svg")
    _decisions()
    _save("decisions.png")
    measured_pictures.make(data, _save)


def _save(name: str) -> None:
    file = _IMAGES / f"deciding-{name}"
    metadata = {"Date": None} if file.suffix == ".svg" else {}
    plt.savefig(file, facecolor="white", bbox_inches="tight", dpi=110, metadata=metadata)
    plt.close()


def _head_selection() -> None:
    _, axes = plt.subplots(figsize=(9.2, 4.1))
    axes.axis("off")
    axes.set(xlim=(0, 100.5), ylim=(0, 46))
    step = 12.7
    for place, text in enumerate(_STEPS):
        _box(axes, (text, step * place, 37, 11, 8.5, "#eef2f7"))
        if place:
            ends = (step * place, 41.2), (step * place - 1.7, 41.2)
            axes.annotate("", *ends, arrowprops={"arrowstyle": "->", "color": _INK})
    for end in (11, 100):  # the head, enlarged
        axes.plot([step * 3 + (0 if end == 11 else 11), end], [37, 33.5], color=_GREY, lw=0.8)
    for head in _HEADS:
        _box(axes, head)
    for text, x in _TOPS:
        axes.text(x, 30, text, weight="bold")
    axes.text(0, 23.5, "examples\nalone", weight="bold", va="center")
    axes.text(0, 10.5, "with text", weight="bold", va="center")
    for text, x in _NOTES:
        axes.text(x, 2, text, va="center")
    axes.plot([45, 45], [0.5, 33], color=_GREY, lw=0.8, ls="--")


def _box(axes: Axes, box: tuple[str, float, float, float, float, str]) -> None:
    text, x, y, width, height, colour = box
    axes.add_patch(Rectangle((x, y), width, height, facecolor=colour, edgecolor=_GREY, lw=0.8))
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", size=8)


def _decisions() -> None:
    """Draws, for each decision, the answer with the median p-value; and an unknown input that was accepted."""
    task = drawn_task(_SEED)
    enrolled, asked = task.queries[: _SHOTS * CHARACTERS], task.queries[_SHOTS * CHARACTERS :]
    with tempfile.TemporaryDirectory() as folder, own_server(Path(folder)) as address, Client(address) as client:
        client.create_collection("characters")
        new = [NewExample(one.content, one.truth) for one in enrolled]
        results = client.enroll("characters", new, create_labels=True, measure_accuracy=True).results
        pictured = {result.unwrap().name: one for result, one in zip(results, enrolled, strict=True)}
        every = [*asked, *task.unknown]
        answers = [one.unwrap() for one in client.classify("characters", [one.content for one in every])]
        _print_gap(client, task)
    pairs = list(zip(answers, every, strict=True))
    for group, some in (("characters", pairs[: len(asked)]), ("unknown", pairs[len(asked) :])):
        counts = {decision.name: sum(answer.decision is decision for answer, _ in some) for decision in Decision}
        print(
            f"{group}: {counts}, {sum(answer.label == picture.truth for answer, picture in some)} of {len(some)} right"
        )
    chosen = []
    for decision, belongs in (
        (Decision.MATCH, True),
        (Decision.AMBIGUOUS, True),
        (Decision.UNKNOWN, False),
        (Decision.MATCH, False),
    ):
        some = [(one, what) for one, what in pairs if one.decision is decision and bool(what.truth) == belongs]
        some.sort(key=lambda pair: pair[0].p_value or 0.0)
        chosen.append(some[len(some) // 2])
    _draw_decisions(chosen, pictured)


def _print_gap(client: Client, task: Task) -> None:
    """Prints how near drawings are to their own texts, and to drawings of the same thing."""
    texts = dict(zip(task.prompts, client.embed(task.prompts), strict=True))
    drawn = [
        (one.truth, result.unwrap().values)
        for one, result in zip(task.zero_shot, client.embed([one.content for one in task.zero_shot]), strict=True)
    ]
    to_text = [vector @ texts[truth].unwrap().values for truth, vector in drawn]
    among = [a @ b for (one, a), (other, b) in combinations(drawn, 2) if one == other]
    print(
        f"mean cosine of a drawing to its own text {np.mean(to_text):.2f}, to drawings of the same {np.mean(among):.2f}"
    )


def _draw_decisions(chosen: Sequence[tuple[Classification, Picture]], pictured: dict[str, Picture]) -> None:
    _, axes = plt.subplots(1, 2 * len(chosen), figsize=(9.2, 2.5), width_ratios=[1, 0.6] * len(chosen))
    for (answer, picture), asked, near in zip(chosen, axes[::2], axes[1::2], strict=True):
        for panel, shown in ((asked, picture), (near, pictured[answer.evidence[0].example])):
            assert isinstance(shown.content, bytes)  # noqa: S101 (drawn, not read)
            panel.imshow(Image.open(io.BytesIO(shown.content)))
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set(visible=True, color=_GREY)
        asked.set_title(answer.decision.name, weight="bold", size=9)
        near.set_title("nearest", size=8)
        near.set_xlabel(answer.evidence[0].label, size=8)
        several = [f"{one.label}  {one.probability:.0%}" for one in answer.labels[: min(2, answer.set_size)]]
        truth = f"true label {picture.truth}" if picture.truth else "another alphabet"
        asked.set_xlabel("\n".join([truth, f"p-value {answer.p_value:.2f}", *several]), size=8)


if __name__ == "__main__":
    main()
