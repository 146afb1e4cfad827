"""Generates src/gen, the messages of the contract in TypeScript: `python client/typescript/generate.py`.

It runs protoc-gen-es, one of the packages that `npm ci` installs in this folder.
"""

import shutil
import sys
from importlib.resources import files
from pathlib import Path

from google.rpc import error_details_pb2
from grpc_tools import protoc

FOLDER = Path(__file__).parent
PROTO = FOLDER.parents[1] / "proto"
_PLUGIN = FOLDER / "node_modules" / ".bin" / "protoc-gen-es"


def generate(out: Path) -> None:
    """Writes the modules below a folder. Raises SystemExit if protoc fails."""
    common = Path(error_details_pb2.__file__).parents[2]  # googleapis-common-protos has the protos of its messages
    protos = [*sorted((PROTO / "glimpse" / "v1").glob("*.proto")), common / "google" / "rpc" / "error_details.proto"]
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    paths = [PROTO, common, files("grpc_tools") / "_proto"]
    arguments = ["protoc", *(f"--proto_path={path}" for path in paths), f"--plugin=protoc-gen-es={_PLUGIN}"]
    arguments += [f"--es_out={out}", "--es_opt=target=ts,import_extension=js", *map(str, protos)]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc failed; its message is above")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER / "src" / "gen")
