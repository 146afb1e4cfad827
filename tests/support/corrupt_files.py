"""Damage to a file, as a failing disk causes it."""

from pathlib import Path


def flip_bit(file: Path) -> None:
    """Flips one bit, two thirds into the file."""
    data = bytearray(file.read_bytes())
    data[len(data) * 2 // 3] ^= 1
    file.write_bytes(data)


def truncate(file: Path) -> None:
    """Removes the last five bytes."""
    file.write_bytes(file.read_bytes()[:-5])
