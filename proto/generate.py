"""Generates the Python stubs of the contract next to its files: `make proto`, or `python proto/generate.py OUT_DIR`."""

import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parent


def generate(out: Path) -> None:
    """Compiles every glimpse/v1/*.proto into messages, services and their types.

    Args:
        out: The folder that gets the package `glimpse.v1`.

    Raises:
        SystemExit: protoc failed; it has printed why.
    """
    protos = sorted((ROOT / "glimpse" / "v1").glob("*.proto"))
    arguments = [
        "protoc",
        f"--proto_path={ROOT}",
        f"--proto_path={files('grpc_tools') / '_proto'}",
        f"--python_out={out}",
        f"--pyi_out={out}",
        f"--grpc_python_out={out}",
        f"--plugin=protoc-gen-mypy_grpc={Path(sys.executable).parent / 'protoc-gen-mypy_grpc'}",
        f"--mypy_grpc_out=quiet:{out}",
        *map(str, protos),
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc failed; its message is above")
    for empty in (out / "glimpse" / "v1").glob("types_pb2_grpc.py*"):
        empty.unlink()  # types.proto has no service


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
