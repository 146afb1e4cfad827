"""Connects to a Ray cluster, silences its logs, and shortens its errors to a line."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.exceptions import RayError

from glimpse.builder.errors import BuildError

# Shares of a CPU. One encoder and one decoder share a slot, and the lister needs little. With these shares the lister
# fits on some machine, wherever the others are; with more than half a CPU it might not.
ENCODING, DECODING, LISTING = 0.4, 0.2, 0.1
# The line of an error, in a text with the call stacks of every process involved.
_ERROR = re.compile(r"^(?!ray\.)[A-Za-z_][\w.]*: .+", re.MULTILINE)


def join() -> None:
    """Connects to the cluster in RAY_ADDRESS, or starts one on this machine. Ray's messages go to its log files."""
    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"ray\.")


@contextmanager
def plain() -> Iterator[None]:
    """Translates errors of a worker, or of Ray itself, to a BuildError of one line."""
    try:
        yield
    except RayError as error:
        raise BuildError(
            f"the cluster stopped: {cause(str(error))}", "fix that, then continue with --resume"
        ) from error


def cause(message: str) -> str:
    """Returns the line with the worker's own error from Ray's message."""
    lines: list[str] = _ERROR.findall(message)
    return lines[-1] if lines else message.strip().partition("\n")[0]
