"""A Ray cluster: joined, quiet, and its failures told in a line."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.exceptions import RayError

from glimpse.builder.errors import BuildError

# Of a CPU: a slot is shared by one that encodes and one that makes ready, and what lists the inputs hardly works. Of
# such parts the last finds room on some machine, wherever the others have been put: more than half a CPU might not.
ENCODING, LOOKING, LISTING = 0.4, 0.2, 0.1
# What an error is told by, in a text with the calls of every process on its way.
_ERROR = re.compile(r"^(?!ray\.)[A-Za-z_][\w.]*: .+", re.MULTILINE)


def join() -> None:
    """The cluster that RAY_ADDRESS names; none: one on this machine. What it tells of itself is in its log files."""
    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"ray\.")


@contextmanager
def plain() -> Iterator[None]:
    """What fails in a worker, or Ray itself, as a BuildError of one line."""
    try:
        yield
    except RayError as error:
        raise BuildError(
            f"the cluster stopped: {cause(str(error))}", "once that is mended, go on with --resume"
        ) from error


def cause(told: str) -> str:
    """Of what Ray tells, the line with the error that is the worker's own."""
    found: list[str] = _ERROR.findall(told)
    return found[-1] if found else told.strip().partition("\n")[0]
