"""Prints what was pulled."""

import shlex
from typing import TYPE_CHECKING, Any

from glimpse.cli.common.options import Format
from glimpse.cli.common.output import print_note, print_record
from glimpse.cli.export.options import print_checks

if TYPE_CHECKING:
    from glimpse.backbone import Bundle


def print_bundle(bundle: "Bundle", output: Format) -> None:
    """Prints a bundle, and the checks that were made when it was pulled."""
    manifest = bundle.manifest
    provenance = manifest.provenance
    record: dict[str, Any] = {
        "name": manifest.name,
        "source": provenance.get("source"),
        "modalities": list(manifest.modalities),
        "dimension": manifest.dimension,
        "logit_scale": manifest.logit_scale,
        "logit_bias": manifest.logit_bias,
        "license": manifest.license,
        "embedding_space": manifest.embedding_space,
        "megabytes": round(sum(part.stat().st_size for part in bundle.path.iterdir()) / 1e6, 1),
        "out": str(bundle.path),
    }
    checks = provenance.get("self_check", [])
    if output is not Format.TABLE:
        print_record(output, {**record, "proof": provenance.get("proof", []), "self_check": checks})
        return
    print_record(output, record)
    print_checks(provenance.get("proof", []))
    print_checks(checks, "CHECKED WITHOUT THE ORIGINAL")
    if scale := provenance.get("logit_scale"):
        missing = "no zero-shot probabilities" if manifest.logit_scale is None else "logit scale"
        print_note(f"{missing}: {scale}")
    print(f"\nserve it with: glimpse serve --backbone {shlex.quote(str(bundle.path))}")
