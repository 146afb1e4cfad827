"""Pulls a backbone: finds it in the store, or downloads, wraps and stores it.

hub or server ─▶ files, resumed and checked ─▶ wrap_folder ─▶ bundle in the store or in `out`
"""

import hashlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urljoin

from glimpse.backbone import Bundle, load_bundle
from glimpse.backbone.bundle import check_free
from glimpse.backbone.manifest import MANIFEST_NAME, NAME_PATTERN
from glimpse.backbone.manifest_file import read_manifest
from glimpse.backbone.pull import hub
from glimpse.backbone.pull.download import Downloader
from glimpse.backbone.pull.errors import PullError
from glimpse.backbone.pull.layout import choose_files
from glimpse.backbone.pull.partial_file import RemoteFile
from glimpse.backbone.pull.sources import Source
from glimpse.backbone.pull.store import PulledBundles
from glimpse.export.finalize import Progress
from glimpse.export.foreign.options import ForeignOptions, name_of
from glimpse.export.foreign.pull_options import PullOptions, Reporter
from glimpse.export.foreign.wrap import copy_bundle, wrap_folder

_MAX_MANIFEST_BYTES = 16 << 20


def pull(source: Source, options: PullOptions, reporter: Reporter) -> Bundle:
    """Returns the bundle of a source, which is pulled unless it is in the store already.

    Raises:
        PullError: the source is not available, too large, refused by the user, or not a model that a bundle can hold.
        ExportError: an encoder cannot be wrapped, or the self-check fails.
        BundleError: `out` is not empty, or what was pulled is a bundle that is not valid.
    """
    if options.out:
        check_free(options.out)
    if source.kind == "file":
        return _pull_folder(Path(source.place), options, reporter.step)
    store = PulledBundles(source)
    offline = options.offline or (source.kind == "hub" and hub.is_offline())
    with store.locked():
        found = store.find()
        if found and (offline or not options.refresh):
            return copy_bundle(found, options.out) if options.out else load_bundle(found)
        if offline:
            raise PullError(f"{source} was not pulled yet, and --offline forbids to ask; run it once without")
        fetch = _pull_from_hub if source.kind == "hub" else _pull_from_server
        return fetch(source, store, options, reporter)


def _pull_folder(folder: Path, options: PullOptions, step: Progress) -> Bundle:
    if options.out is None:
        raise PullError(f"give --out: the bundle of {folder} is written there")
    name = _name(options, folder.resolve().name)
    provenance = {"source": f"file:{folder.name}", **options.foreign.provenance}
    return wrap_folder(folder, options.out, replace(options.foreign, name=name, provenance=provenance), step)


def _pull_from_hub(source: Source, store: PulledBundles, options: PullOptions, reporter: Reporter) -> Bundle:
    model = hub.look_up(source)
    place = options.out or store.place(model.commit, options.changes())
    if options.out is None and (place / MANIFEST_NAME).is_file():
        store.remember(place)
        return load_bundle(place)
    layout = choose_files([file.name for file in model.files], options.foreign.variant)
    _confirm(model, reporter)
    needed = [file for file in model.files if file.name in layout.files]
    folder, loader = store.downloads / model.commit, hub.downloader(options.max_bytes)
    if layout.bundle:
        [manifest] = needed
        loader.fetch(manifest, folder)
        names = read_manifest(folder).files
        needed = [file for file in model.files if file.name in names]
    total = hub.total_bytes(needed, options.max_bytes)
    _fetch(f"{model.name} at {model.commit[:12]}", needed, folder, loader, total, reporter)
    provenance = {"source": f"hf:{model.name}@{model.commit}", "asked": str(source), "hub": hub.endpoint()}
    stated = options.foreign.license
    foreign = replace(
        options.foreign,
        name=_name(options, model.name),
        license=model.license if stated == "unknown" else stated,
        provenance=provenance,
    )
    return _stored(folder, place, foreign, store, options, reporter)


def _pull_from_server(source: Source, store: PulledBundles, options: PullOptions, reporter: Reporter) -> Bundle:
    """Pulls a bundle from a web server. Its manifest lists its files; a foreign model's folder has no such list."""
    base = source.place if source.place.endswith(".json") else f"{source.place.rstrip('/')}/{MANIFEST_NAME}"
    if not base.endswith(f"/{MANIFEST_NAME}"):
        raise PullError(f"{source.place} is not a bundle; give the URL of its folder, or of its {MANIFEST_NAME}")
    listing = store.downloads / "listing"
    manifest = Downloader(_MAX_MANIFEST_BYTES).fetch(RemoteFile(MANIFEST_NAME, base), _emptied(listing))
    commit = hashlib.sha256(manifest.read_bytes()).hexdigest()
    contents = read_manifest(listing)
    place = options.out or store.place(commit, options.changes())
    if options.out is None and (place / MANIFEST_NAME).is_file():
        store.remember(place)
        return load_bundle(place)
    folder = store.downloads / commit
    folder.mkdir(exist_ok=True)
    shutil.copyfile(manifest, folder / MANIFEST_NAME)
    needed = [
        RemoteFile(name, urljoin(base, name), contents.sizes.get(name), digest)
        for name, digest in contents.files.items()
    ]
    total = sum(file.size or 0 for file in needed)
    if total > options.max_bytes:
        raise PullError(f"the bundle has {total:,} bytes, more than {options.max_bytes:,}; allow them with --max-size")
    _fetch(contents.name, needed, folder, Downloader(options.max_bytes), total, reporter)
    return _stored(folder, place, options.foreign, store, options, reporter)


def _fetch(
    title: str,
    files: Sequence[RemoteFile],
    folder: Path,
    loader: Downloader,
    total: int,
    reporter: Reporter,
) -> None:
    left = [file for file in files if not (folder / file.name).is_file()]
    missing = loader.max_bytes
    with reporter.downloading(title, total) as received:
        for file in left:
            replace(loader, max_bytes=missing).fetch(file, folder, received)
            missing -= (folder / file.name).stat().st_size


def _stored(
    folder: Path, place: Path, foreign: ForeignOptions, store: PulledBundles, options: PullOptions, reporter: Reporter
) -> Bundle:
    if options.out is None:
        shutil.rmtree(place, ignore_errors=True)  # a bundle that was damaged; the lock is held
    bundle = wrap_folder(folder, place, foreign, reporter.step)
    if options.out is None:
        store.remember(place)
    else:
        shutil.rmtree(store.downloads, ignore_errors=True)
    return bundle


def _confirm(model: hub.HubModel, reporter: Reporter) -> None:
    """Asks the user to accept a model's terms. Raises PullError if they are not accepted."""
    terms = [f"its licence {model.license} forbids commercial use"] if model.non_commercial else []
    terms += ["its owner asks for terms to be accepted"] if model.gated else []
    if terms and not reporter.confirm(f"{model.name}: {' and '.join(terms)} ({hub.endpoint()}/{model.name}). Pull it?"):
        accept = f"accept that with: glimpse pull hf:{model.name} --yes"
        raise PullError(f"{model.name} was not pulled: {' and '.join(terms)}; {accept}")


def _name(options: PullOptions, model: str) -> str:
    """Returns the backbone's name. Raises PullError if it is not valid."""
    name = options.foreign.name or name_of(model)
    if not re.fullmatch(NAME_PATTERN, name):
        problem = f"{name!r} is not a valid backbone name" if name else f"no backbone name can be made from {model!r}"
        raise PullError(f"{problem}; give --name with a lower-case letter, then letters, digits, dots, hyphens")
    return name


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
