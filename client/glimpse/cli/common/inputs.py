"""Collects the inputs named on the command line, and the results of those that can be sent."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from grpc import StatusCode

from glimpse.cli.common.errors import CliError
from glimpse.cli.common.input_reader import InputReader, Source, TableOptions
from glimpse.cli.common.output import print_note
from glimpse.cli.common.progress import notice_if_slow
from glimpse.client import Input, ItemError, Timings
from glimpse.inputs import TABLES, Rejected, Unreadable, label_of

T = TypeVar("T")


class Sources:
    """Inputs in order.

    Every iteration reads them again, so that memory does not grow with their number. They were read once before, to
    count and check them.
    """

    def __init__(self, read: Callable[[], Iterator[Source]], count: int) -> None:
        self._read, self._count = read, count

    def __iter__(self) -> Iterator[Source]:
        return self._read()

    def __len__(self) -> int:
        return self._count


def read_sources(
    paths: Iterable[Path] | None, texts: Iterable[str] | None, table_options: TableOptions | None = None
) -> Sources:
    """Returns every input named on the command line, in order. Folders include their subfolders.

    Raises:
        CliError: There is no input, or a table cannot be read with these options.
    """
    return _counted(InputReader(list(paths or ()), list(texts or ()), table_options or TableOptions()))


def read_labelled_sources(
    paths: Iterable[Path] | None, texts: Iterable[str] | None, label: str, table_options: TableOptions | None = None
) -> Sources:
    """Returns every input named on the command line, each with a label.

    The label of an input is that of its table row, else `label`, else the name of its folder.

    Raises:
        CliError: There is no input, a table cannot be read with these options, `label` is not a valid label, or an
            input has no label.
    """
    try:
        default = label_of(label) or ""
    except Rejected as error:
        raise CliError(f"--label: {error}") from error
    options = table_options or TableOptions()
    reader = InputReader(list(paths or ()), list(texts or ()), options, labelled=True, label=default)
    return _counted(reader)


def results_in_order(
    batch: Sequence[Source], call: Callable[[list[Input]], Sequence[T]], result_class: Callable[..., T]
) -> list[T]:
    """Sends the inputs that can be sent, and returns one result per input of the batch, in order.

    Args:
        batch: The inputs.
        call: Sends inputs to the server and returns its results.
        result_class: The client's class of a result. An input that cannot be sent gets one with an error.
    """
    inputs = [source.as_input() for source in batch if not source.failure]
    results = iter(call(inputs) if inputs else ())
    return [failed_result(result_class, source.failure) if source.failure else next(results) for source in batch]


def failed_result(result_class: Callable[..., T], failure: Unreadable) -> T:
    """Returns a result of the client, with an error, for an input that was not sent."""
    error = ItemError(StatusCode.INVALID_ARGUMENT, failure.reason, "", failure.message)
    return result_class(id="", error=error, truncated=False, timings=Timings())


def _counted(reader: InputReader) -> Sources:
    """Reads the inputs once to count and check them, and reports on stderr which files folders leave out."""
    count = failures = unlabelled = 0
    first_failure, first_unlabelled = "", ""
    with notice_if_slow("reading the inputs"):
        for source in reader.read():
            count += 1
            if source.failure:
                failures += 1
                first_failure = first_failure or f"{source.name}: {source.failure.message}"
            elif reader.labelled and not source.label:
                unlabelled += 1
                first_unlabelled = first_unlabelled or source.name
    for line in reader.notes():
        print_note(line)
    if not count:
        step = f"name pictures, folders, .txt files or tables ({' '.join(TABLES)}), or use --text"
        raise CliError("there is nothing to read", step)
    if failures == count:
        message = first_failure if count == 1 else f"none of the {count:,} inputs can be read; {first_failure}"
        raise CliError(message)
    if unlabelled:
        others = f"; {unlabelled - 1} other inputs have none either" if unlabelled > 1 else ""
        step = "give one with --label, or sort the files into one subfolder per label"
        raise CliError(f"{first_unlabelled} has no label{others}", step)
    return Sources(reader.read, count)
