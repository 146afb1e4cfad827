"""Makes the files of a release in dist/: `make release`, or `python docs/release.py FOLDER`.

    glimpse_fewshot-VERSION.tar.gz             the sdist
    glimpse_fewshot-VERSION-py3-none-any.whl   the wheel, built from the sdist; the sources give the same bytes
    glimpse_fewshot-VERSION.cdx.json           the SBOM: every package that a server installs with the wheel (CycloneDX)
    CHANGES.md                                 the section of CHANGELOG.md
    SHA256SUMS                                 digests of the files above

It uploads nothing. It needs the extra `release` and a package index.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from glimpse.files.digest import digest

ROOT = Path(__file__).parents[1]
#: What the SBOM lists: the extras of the image for processors.
EXTRAS = "server,index,postgres,otel"


def run(*command: str | Path) -> None:
    """Runs a command. Raises CalledProcessError if it fails."""
    subprocess.run([str(part) for part in command], cwd=ROOT, check=True)


def version() -> str:
    """Returns the version of pyproject.toml."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def changes(changelog: str, number: str) -> str:
    """Returns the section of a version in a changelog, without its heading.

    Raises:
        SystemExit: If there is no such section, it is empty, or it has no date.
    """
    pattern = rf"^## {re.escape(number)} - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)"
    section = re.search(pattern, changelog, re.MULTILINE | re.DOTALL)
    if section is None or not section[1].strip():
        sys.exit(f"CHANGELOG.md has no section '## {number} - YYYY-MM-DD': name it after the version of pyproject.toml")
    return section[1].strip() + "\n"


def build(out: Path) -> tuple[Path, Path]:
    """Builds the sdist, and the wheel from it.

    Returns:
        The sdist and the wheel.

    Raises:
        SystemExit: If the sources give another wheel than the sdist.
    """
    run(sys.executable, "-m", "build", "--outdir", out)
    [sdist], [wheel] = out.glob("*.tar.gz"), out.glob("*.whl")
    with tempfile.TemporaryDirectory() as scratch:
        run(sys.executable, "-m", "build", "--wheel", "--outdir", scratch)
        [other] = Path(scratch).glob("*.whl")
        if digest(other) != digest(wheel):
            sys.exit(f"the sources and {sdist.name} give different wheels: see [tool.hatch.build] in pyproject.toml")
    run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel)
    return sdist, wheel


def write_sbom(wheel: Path, file: Path, extras: str = EXTRAS) -> None:
    """Installs a wheel with extras into an environment of its own, and writes its packages as CycloneDX JSON."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = Path(scratch) / "environment"
        run(sys.executable, "-m", "venv", "--without-pip", environment)
        python = environment / "bin" / "python"
        run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", f"{wheel}[{extras}]")
        # Without times and random ids, the same packages give the same file.
        options = ("--pyproject", "pyproject.toml", "--output-reproducible", "--of", "JSON")
        run(sys.executable, "-m", "cyclonedx_py", "environment", *options, "-o", file, python)


def release(out: Path) -> None:
    """Makes the files of a release in an empty folder.

    Raises:
        SystemExit: If the folder is not empty, the changelog lacks the version, or the sdist and the sources differ.
    """
    if out.exists() and any(out.iterdir()):
        sys.exit(f"{out} is not empty: remove what an earlier release has left there")
    number = version()
    notes = changes((ROOT / "CHANGELOG.md").read_text("utf-8"), number)
    sdist, wheel = build(out)
    sbom = out / f"glimpse_fewshot-{number}.cdx.json"
    write_sbom(wheel, sbom)
    (out / "CHANGES.md").write_text(notes, "utf-8")
    files = sorted((sdist, wheel, sbom, out / "CHANGES.md"))
    (out / "SHA256SUMS").write_text("".join(f"{digest(file)}  {file.name}\n" for file in files), "utf-8")
    print(*(file.name for file in [*files, out / "SHA256SUMS"]), sep="\n")


if __name__ == "__main__":
    release(Path(sys.argv[1]).absolute())
