"""What can be wrong with a bundle, and with an input.

BundleError     the folder: names the file and what to do
InputError      an image or text that cannot be encoded: carries a stable reason
LargeImage      an image that takes more memory than it was allowed: carries how much
"""

from pathlib import Path


class BundleError(Exception):
    """A bundle that cannot be used. `file` is the file at fault."""

    def __init__(self, file: Path, message: str) -> None:
        super().__init__(f"{file}: {message}")
        self.file = file


class InputError(Exception):
    """An input that cannot be encoded. `reason` is stable, in UPPER_SNAKE_CASE."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class LargeImage(Exception):
    """A picture whose decoding takes more memory than it was allowed; `DecoderPool.decode_large` decodes it."""

    def __init__(self, memory_bytes: int) -> None:
        super().__init__(f"decoding takes {memory_bytes} bytes")
        self.memory_bytes = memory_bytes
