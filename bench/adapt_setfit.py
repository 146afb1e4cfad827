"""Trains SetFit on the texts of one draw, in an environment with setfit: `python -P adapt_setfit.py JOB ANSWER`.

A job has the model's folder, the training texts with labels, the queries, a seed, and the processor minutes that
another method took. SetFit runs with its defaults if these are expected to end within 20 minutes of one processor, and
with `max_steps` for the other method's minutes otherwise.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments
from setfit.sampler import ContrastiveDataset

_LONGEST = 20.0
_PROBE = 12
_BATCH = 16


def main() -> None:
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    torch.set_num_threads(1)
    names = sorted(set(job["labels"]))
    rows = Dataset.from_dict({"text": job["texts"], "label": [names.index(label) for label in job["labels"]]})
    began = time.process_time()
    train(job["model"], rows, job["seed"], 2)
    loaded = time.process_time()
    train(job["model"], rows, job["seed"], _PROBE)
    each = (time.process_time() - loaded - (loaded - began)) / (_PROBE - 2) / 60
    pairs = ContrastiveDataset(rows["text"], rows["label"], multilabel=False, num_iterations=None)
    steps = -(-len(pairs) // _BATCH)
    defaults = steps * each <= _LONGEST
    if not defaults:
        steps = max(1, int(job["minutes"] / each))
    start = time.process_time()
    model = train(job["model"], rows, job["seed"], -1 if defaults else steps)
    minutes = (time.process_time() - start) / 60
    answers = [names[int(row)] for row in model.predict(job["queries"])]
    answer = {"answers": answers, "minutes": minutes, "steps": steps, "defaults": defaults}
    Path(sys.argv[2]).write_text(json.dumps(answer), "utf-8")


def train(model: str, rows: Dataset, seed: int, steps: int) -> SetFitModel:
    """Trains from the model's folder; -1 steps are the defaults."""
    network = SetFitModel.from_pretrained(model)
    folder = Path(sys.argv[2]).with_suffix(".run")
    arguments = TrainingArguments(
        str(folder), seed=seed, max_steps=steps, save_strategy="no", report_to="none", show_progress_bar=False
    )
    Trainer(network, arguments, train_dataset=rows).train()
    return network


if __name__ == "__main__":
    main()
