"""Detects the processor's instructions for 8-bit integers."""

import platform
from pathlib import Path

# Instructions of x86 and ARM that multiply 8-bit numbers and accumulate in 32 bits; names as in Linux.
_INSTRUCTIONS = ("amx_int8", "avx512_vnni", "avx_vnni", "i8mm", "asimddp")
_CPUINFO = Path("/proc/cpuinfo")


def int8_instructions(cpuinfo: Path = _CPUINFO) -> tuple[str, ...]:
    """Returns the instructions for 8-bit products, best first; empty if there are none, or on systems without
    /proc/cpuinfo.
    """
    flags = _flags(cpuinfo)
    return tuple(name for name in _INSTRUCTIONS if name in flags)


def saturates(cpuinfo: Path = _CPUINFO) -> bool:
    """Returns whether 8-bit products may overflow: x86 without VNNI adds pairs of products in 16 bits."""
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return x86 and bool(_flags(cpuinfo)) and not int8_instructions(cpuinfo)


def _flags(cpuinfo: Path) -> set[str]:
    if not cpuinfo.is_file():
        return set()
    lines = (line.split(":", 1) for line in cpuinfo.read_text("utf-8").splitlines())
    return {flag for line in lines if line[0].strip() in ("flags", "Features") for flag in line[-1].split()}
