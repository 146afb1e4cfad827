"""Checks that the environment holds one build of each native library."""

from importlib.metadata import PackageNotFoundError, distribution

from glimpse.server.settings import SettingsError

# Both distributions of a pair install the same module, so the one installed last overwrites files of the other.
_PAIRS = (("onnxruntime", "onnxruntime-gpu"), ("faiss-cpu", "faiss-gpu"))


def check_installation() -> None:
    """Checks that no library is installed both in its build for CPUs and in its build for GPUs.

    Raises:
        SettingsError: Both builds are installed. The message has the commands that leave one of them.
    """
    for cpu, gpu in _PAIRS:
        if _installed(cpu) and _installed(gpu):
            raise SettingsError(
                f"{cpu} and {gpu} are both installed and overwrite each other; "
                f"keep one: pip uninstall {cpu} {gpu}, then "
                "pip install --force-reinstall 'glimpse-fewshot[gpu]' (or 'glimpse-fewshot[server]' without a GPU)"
            )


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
