"""A folder of runs, one JSON file each, which several evaluations may write at once."""

import errno
import os
from pathlib import Path

from pydantic import ValidationError

from glimpse.evaluate.errors import EvaluationError
from glimpse.evaluate.tracking.run import FORMAT_VERSION, Run


def save_run(run: Run, folder: Path) -> Path:
    """Writes a run's file, complete or not at all, and never over another one.

    Raises:
        FileExistsError: the folder has a run of this id.
        OSError: the file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file, part = folder / f"{run.id}.json", folder / f".{run.id}.part"
    # Only one writer of an id has the part, and it has gone only once the file is there.
    with part.open("x", encoding="utf-8") as stream:
        try:
            if file.exists():
                raise FileExistsError(errno.EEXIST, "the folder has a run of this id", str(file))
            stream.write(run.model_dump_json(indent=1) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        except BaseException:
            part.unlink()
            raise
    os.replace(part, file)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return file


def read_runs(folder: Path) -> list[Run]:
    """Returns the runs of a folder, the earliest first.

    Raises:
        EvaluationError: there is no such folder, or a file is no run; the message has the file and the place in it.
        OSError: a file cannot be read.
    """
    if not folder.is_dir():
        raise EvaluationError(f"{folder} is not a folder", "keep runs there: glimpse evaluate … --track DIR")
    runs = [_read(file) for file in sorted(folder.glob("*.json")) if not file.name.startswith(".")]
    return sorted(runs, key=lambda run: (run.time, run.id))


def find_run(runs: list[Run], id: str, folder: Path) -> Run:
    """Returns the run with an id. Raises EvaluationError."""
    for run in runs:
        if run.id == id:
            return run
    raise EvaluationError(f"{folder} has no run {id!r}", "list them: glimpse experiments list DIR")


def _read(file: Path) -> Run:
    try:
        run = Run.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["loc"] == ("format_version",) and isinstance(first["input"], int) and first["input"] > FORMAT_VERSION:
            message = f"{file} has format {first['input']}, and this version of Glimpse reads {FORMAT_VERSION}"
            raise EvaluationError(message, "install the version that wrote it") from error
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
        raise _damaged(file, f"{place}: {first['msg']}" if place else first["msg"]) from error
    if run.id != file.stem:
        raise _damaged(file, f"it holds the run {run.id}")
    return run


def _damaged(file: Path, problem: str) -> EvaluationError:
    return EvaluationError(f"{file} is no run of glimpse evaluate: {problem}", "restore it, or move it elsewhere")
