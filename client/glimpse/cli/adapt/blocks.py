"""Stage 2: trains the last blocks of the backbone's checkpoint, cross-fitted, and exports it again. Needs torch."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from glimpse.backbone import Bundle, Embedder
from glimpse.backbone.adaptation.write import write_adapted_bundle
from glimpse.cli.adapt.data import TrainingData
from glimpse.cli.adapt.lineage import make_lineage, make_record
from glimpse.cli.common.errors import CliError
from glimpse.export.checkpoint.export_checkpoint import export_checkpoint
from glimpse.export.checkpoint.fine_tuning.cached_inputs import CachedInputs, cache_inputs
from glimpse.export.checkpoint.fine_tuning.settings import FineTuning, settings_for
from glimpse.export.checkpoint.fine_tuning.training import fine_tune, vectors_trained_on
from glimpse.export.checkpoint.parity import compare
from glimpse.export.checkpoint.reference_model import ReferenceModel
from glimpse.export.finalize import ExportOptions
from glimpse.export.tolerance import raise_for_failures
from glimpse.export.verify import load_again
from glimpse.fewshot.adaptation import CrossFitted, Space, cross_fit
from glimpse.fewshot.calibration.near_copies import find_groups
from glimpse.fewshot.statistics.unit_vectors import Rows
from glimpse.files.scratch import scratch_folder

Report = Callable[[str], None]


@dataclass(frozen=True)
class BlockTraining:
    """All that a training of blocks needs.

    Attributes:
        original: the backbone's checkpoint.
        inputs: the examples with their activations below the blocks.
        data: the examples.
        groups: the group of each example, near copies included.
        settings: the settings.
        folder: for the states of unfinished trainings.
        report: is called with a line from time to time.
    """

    original: ReferenceModel
    inputs: CachedInputs
    data: TrainingData
    groups: Sequence[str]
    settings: FineTuning
    folder: Path
    report: Report

    @classmethod
    def prepare(
        cls, parent: Bundle, data: TrainingData, blocks: int, seed: int, folder: Path, report: Report
    ) -> "BlockTraining":
        """Loads the backbone's checkpoint, compares it with the bundle, and embeds the examples below its last blocks.

        Raises:
            CliError: the examples are those of a collection.
            ExportError: the checkpoint is unavailable, differs from the bundle, or cannot be split.
        """
        if data.contents is None:
            raise CliError("--blocks needs the inputs themselves", "give a folder or a table of them")
        report("loading the backbone's checkpoint")
        original = load_again(parent)
        raise_for_failures(compare(original, parent))
        inputs = cache_inputs(original, _read(parent, data), blocks, report)
        units = find_groups(data.frozen.vectors, data.rows, np.arange(len(data.rows)), data.groups)
        groups = [str(unit) for unit in (np.arange(len(data.rows)) if units is None else units)]
        return cls(original, inputs, data, groups, settings_for(data.kind, blocks, seed), folder, report)

    def measure(self, folds: int, after_fold: Callable[[], None]) -> CrossFitted:
        """Trains once for each fold without it. Raises ValueError if no example can be held out."""

        def train(training: Rows) -> Space:
            return Space(vectors_trained_on(training, self.inputs, *self._examples(), **self._where()))

        frozen = replace(self.data.frozen, texts=None)  # labels' names were not embedded by the trained blocks
        return cross_fit(
            train,
            frozen,
            self.data.rows,
            self.data.groups,
            folds=folds,
            seed=self.settings.seed,
            after_fold=after_fold,
        )

    def write(self, out: Path, name: str, parent: Bundle, result: CrossFitted, *, forced: bool) -> Bundle:
        """Trains on all examples, exports the checkpoint, and writes it with its lineage.

        Raises:
            CliError: training does not improve the blocks.
            ExportError: the exported bundle differs from the trained checkpoint.
            BundleError: `out` is not empty.
        """
        steps = fine_tune(self.inputs, *self._examples(), **self._where())
        if not steps:
            raise CliError(
                "no step of the training was better on the part that was held out of it",
                f"keep {parent.manifest.name}, or add examples",
            )
        with scratch_folder() as scratch:
            manifest = parent.manifest
            trained = export_checkpoint(
                self.original,
                scratch / "trained",
                name=name,
                description=manifest.description,
                license=manifest.license,
                options=ExportOptions(manifest.precision),
                progress=self.report,
            )
            proof = trained.manifest.provenance["proof"]
            lineage = make_lineage(
                parent,
                self.data,
                result,
                {"contrast": "supervised contrast", "cross_entropy": "cross-entropy"}[self.settings.objective],
                tuple(self.inputs.tower.trained),
                {**self.settings.record(), "best_step": steps},
                seed=self.settings.seed,
                forced=forced,
                min_cosine=min(check["measured"] for check in proof if check["relation"] == ">="),
            )
            files = {file: trained.path / file for file in trained.manifest.files}
            record = make_record(self.data, result)
            return write_adapted_bundle(out, parent, name, lineage, record, files, _fields(parent, trained))

    def forget(self) -> None:
        """Removes the states of the trainings, which are finished."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _examples(self) -> tuple[Sequence[str], Sequence[str], FineTuning]:
        labels = [self.data.labels[row] for row in self.data.rows]
        return labels, self.groups, self.settings

    def _where(self) -> dict[str, Any]:
        return {"folder": self.folder, "progress": self.report}


def _read(parent: Bundle, data: TrainingData) -> list[Any]:
    """Returns the examples' texts, or the pixels that the backbone sees."""
    contents = data.contents or []
    if data.kind == "text":
        return list(contents)
    embedder = Embedder(parent)
    return [embedder.prepare("image", Path(name).read_bytes()) for name in contents]


def _fields(parent: Bundle, trained: Bundle) -> dict[str, Any]:
    """Returns the fields of the manifest that differ from the parent's."""
    manifest = trained.manifest
    fields: dict[str, Any] = {
        "provenance": {
            # Without a source of its own: the trained checkpoint is nowhere but in the bundle.
            **{key: value for key, value in manifest.provenance.items() if key != "source"},
            "adapted_from": parent.manifest.name,
            "parent_provenance": parent.manifest.provenance,
        }
    }
    if manifest.background is not None:
        fields["background"] = manifest.background.model_dump(exclude_none=True)
    return fields
