"""Exceptions of the package:

BundleError     a bundle cannot be used; names the file and what to do
InputError      an image or text cannot be encoded; carries a stable reason
LargeImage      decoding an image needs more memory than allowed; carries how much
"""

from pathlib import Path


class BundleError(Exception):
    """Raised for a bundle that cannot be used.

    Attributes:
        file: the file or folder at fault.
    """

    def __init__(self, file: Path, message: str) -> None:
        super().__init__(f"{file}: {message}")
        self.file = file


class InputError(Exception):
    """Raised for an input that cannot be encoded.

    Attributes:
        reason: a stable identifier in UPPER_SNAKE_CASE.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class LargeImage(Exception):
    """Raised for a picture that needs more memory than it may take; `DecoderPool.decode_large` decodes it.

    Attributes:
        memory_bytes: the memory that decoding needs, in bytes.
    """

    def __init__(self, memory_bytes: int) -> None:
        super().__init__(f"decoding takes {memory_bytes} bytes")
        self.memory_bytes = memory_bytes
