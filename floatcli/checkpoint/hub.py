"""Weights from a Hugging Face hub, through its own library: cached, resumed, and checked before they are used.

A digest that the manifest knows is the one that counts. Of other files the hub's own SHA-256 is, and it is pinned on
this machine, beside the cache: whatever changes later is seen.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.client import responses
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from floatcli.checkpoint.manifest import Origin, RemoteFile, WeightsSet
from floatcli.checkpoint.store import file_digest
from floatcli.checks import values_of
from floatcli.errors import InputError, WeightsError
from floatcli.files import replacing

Tell = Callable[[str], None]

_PART = ".incomplete"  # how names end of what has not arrived whole

PUBLISHED, PINNED = "the published digest", "the digest pinned when it was fetched"
HUBS = "the hub's own digest, by which the cache names it"


def cached_origin(wanted: WeightsSet) -> tuple[Origin, Path] | None:
    """The first source whose files are all in the cache, and the path of its main file."""
    for origin in wanted.sources:
        places = {file.path: cached_file(file) for file in origin.files}
        main = places[origin.main]
        if main is not None and all(places.values()):
            return origin, main
    return None


def cached_file(file: RemoteFile) -> Path | None:
    """A file's place in the cache; None where it is not there."""
    _check_settings()
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(file.repo, file.path)
    return Path(found) if isinstance(found, str) and Path(found).exists() else None


def _check_settings() -> None:
    """Raise WeightsError for settings of the library with which it would fail while it is imported."""
    endpoint = os.environ.get("HF_ENDPOINT", "")
    try:
        _ = urlsplit(endpoint).port
    except ValueError as error:
        said = f"HF_ENDPOINT is {endpoint!r}: {error}"
        raise WeightsError(said, "unset it, or make it an address such as https://huggingface.co") from error
    for name in ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"):
        seconds = os.environ.get(name, "10")
        if not seconds.strip().isdecimal():
            raise WeightsError(f"{name} is {seconds!r}, no whole number of seconds", "unset it, or make it 10")


def is_verified(origin: Origin) -> bool:
    """Whether every file of a source is as it was when its digest was last right."""
    return all((place := cached_file(file)) is not None and pinned(file, place) for file in origin.files)


def fetch(name: str, wanted: WeightsSet, tell: Tell) -> Path:
    """The main file of a set, fetched from the first source that gives all of it.

    Raises:
        WeightsError: no source does, or what came is not what it should be.
    """
    failures = []
    for origin in wanted.sources:
        try:
            places = {file.path: fetch_file(file, tell, name) for file in origin.files}
            return places[origin.main]
        except WeightsError as error:
            failures.append(error)
            tell(f"{error.message}")
    raise failures[0]


def fetch_file(file: RemoteFile, tell: Tell, name: str) -> Path:
    """One file of the set ``name``, from the cache or fetched; its digest is checked and pinned.

    Raises:
        WeightsError: it can't be had, or has another digest; what came with a wrong digest is removed.
    """
    place = cached_file(file)
    if place is not None and pinned(file, place) is not None:
        return place
    if place is not None and not _is_right(file, place):  # the library would hand it out for what the hub has
        tell(f"{file.repo}/{file.path} was changed in the cache, and is fetched anew")
        _remove_file(place)
        place = None
    if place is None:
        place = _fetched(file, tell)
    digest, before = file_digest(place), _pins().get(_key(file))
    if file.sha256 is None and before is not None and before["sha256"] != digest:
        _remove_file(place)
        said = f"{file.repo}/{file.path} differs from what was pinned here: {digest[:12]}..."
        raise WeightsError(said, f"if it may, have the pin forgotten: floatcli weights remove {name}")
    _pin(file, place, digest)
    return place


def _fetched(file: RemoteFile, tell: Tell) -> Path:
    """A file, downloaded. Raises WeightsError where it can't be had, or is not what the manifest or the hub says."""
    size = f", {file.bytes / 1e6:,.0f} MB" if file.bytes else ""
    tell(f"fetching {file.path} from {file.repo}{size}")
    place, hubs = _download(file)
    if not _is_right(file, place, hubs):
        digest, expected = file_digest(place), file.sha256 or hubs
        _remove_file(place)
        said = f"{file.repo}/{file.path} arrived with digest {digest[:12]}..., not {expected[:12]}..."
        raise WeightsError(said, "fetch it again; if that does not help, the source has changed")
    return place


def _is_right(file: RemoteFile, place: Path, hubs: str | None = None) -> bool:
    """Whether a cached file has the manifest's digest, or where that knows none, the hub's own.

    That is SHA-256 of large files, git's SHA-1 of small ones, and by it the cache calls its contents.
    """
    if file.sha256 is not None:
        return file_digest(place) == file.sha256
    return _has_digest(place, hubs or place.resolve().name)


def _has_digest(place: Path, hubs: str) -> bool:
    """Whether a file has the digest that the hub gives for it, of either kind."""
    if re.fullmatch("[0-9a-f]{64}", hubs):
        return file_digest(place) == hubs
    return bool(re.fullmatch("[0-9a-f]{40}", hubs)) and _git_digest(place) == hubs


def pinned(file: RemoteFile, place: Path) -> str | None:
    """The digest that was pinned for a file, if the file has not been touched since."""
    entry = _pins().get(_key(file))
    status = place.stat()
    if entry is None or (entry["size"], entry["time"]) != (status.st_size, status.st_mtime_ns):
        return None
    return entry["sha256"] if file.sha256 in (None, entry["sha256"]) else None


def verify_file(file: RemoteFile) -> tuple[bool, str]:
    """Whether a cached file has the digest it should have, read anew, and which digest that is."""
    place = cached_file(file)
    if place is None:
        raise WeightsError(f"{file.repo}/{file.path} is not there", "fetch it: floatcli weights fetch")
    digest = file_digest(place)
    if file.sha256 is not None:
        return digest == file.sha256, PUBLISHED
    entry = _pins().get(_key(file))
    if entry is not None:
        return digest == entry["sha256"], PINNED
    return _is_right(file, place), HUBS


def remove(wanted: WeightsSet) -> int:
    """Take a set's files out of the cache, and forget what they were; answers how many bytes that freed.

    Raises:
        WeightsError: something may not be removed.
    """
    freed, pins = 0, _pins()
    known = len(pins)
    for origin in wanted.sources:
        for file in origin.files:
            place = cached_file(file)
            if place is not None:
                freed += place.stat().st_size
                _remove_file(place)
            pins.pop(_key(file), None)  # even where the file has gone by other ways
            for part in _blobs(file).glob(f"*{_PART}"):
                freed += part.stat().st_size
                _remove_file(part)
    if len(pins) < known:
        _save_pins(pins)
    return freed


def _download(file: RemoteFile) -> tuple[Path, str]:
    """A file's place in the cache, fetched, and the hub's digest of it. Raises WeightsError where it can't be had."""
    from huggingface_hub import errors as hub
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    endpoint = os.environ.get("HF_ENDPOINT")
    where = f"{file.repo}/{file.path}"
    try:
        url = hf_hub_url(file.repo, file.path, endpoint=endpoint)
        metadata = get_hf_file_metadata(url, endpoint=endpoint)
        _fetch_blob(file, url, metadata.etag or "", metadata.size)
        place = hf_hub_download(file.repo, file.path, endpoint=endpoint, tqdm_class=_bar())
    except hub.OfflineModeIsEnabled as error:
        raise WeightsError(f"{where} is not in the cache, and HF_HUB_OFFLINE is set", "unset it to fetch") from error
    except (hub.HTTPError, OSError, RuntimeError, ValueError) as error:
        raise _refusal(where, error) from error
    return Path(place), metadata.etag or ""


def _refusal(where: str, error: Exception) -> WeightsError:
    """Why a file can't be had: by the status that the hub answered with, if it answered."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    answer = f"{status} {responses.get(status or 0, '')}".strip()
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        said = f"the hub does not give {where} to everybody: {answer}"
        return WeightsError(said, "set HF_TOKEN to a token that may read it")
    if status == HTTPStatus.NOT_FOUND:
        return WeightsError(f"{where} can't be had: the hub has no such file", "check HF_ENDPOINT")
    if status is not None:
        return WeightsError(f"{where} can't be fetched: the hub answers {answer}", "fetch again later: it resumes")
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    said = "check the network, HF_ENDPOINT and the room on the disk, and fetch again: it resumes"
    return WeightsError(f"{where} can't be fetched: {reason}", said)


def _fetch_blob(file: RemoteFile, url: str, etag: str, size: int | None) -> None:
    """A file's content into the cache, from where an earlier fetch stopped, even if that was killed.

    The library takes it from there; by itself it would begin anew in every process, and leave behind what it had.
    """
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import WeakFileLock, build_hf_headers

    blob = _blobs(file) / etag
    if not re.fullmatch("[0-9a-f]{40,64}", etag):
        return
    if blob.exists() and not _has_digest(blob, etag):  # changed here, after its name in the snapshot had gone
        _remove_file(blob)
    part = blob.with_name(f"{etag}{_PART}")
    lock = blob.parents[2] / ".locks" / blob.parts[-3] / f"{etag}.lock"  # as the library locks it
    for folder in (part.parent, lock.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if blob.exists():  # perhaps another process has fetched it meanwhile
            return
        with part.open("ab") as stream:
            if size is not None and stream.tell() > size:
                stream.truncate(0)
            http_get(
                url,
                stream,
                resume_size=stream.seek(0, os.SEEK_END),
                headers=build_hf_headers(),
                expected_size=size,
                displayed_filename=file.path,
                tqdm_class=_bar(),
            )
        os.replace(part, blob)


def _blobs(file: RemoteFile) -> Path:
    """Where the cache has the content of a repository's files."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    return Path(HF_HUB_CACHE, repo_folder_name(repo_id=file.repo, repo_type="model"), "blobs")


def _bar() -> type:
    """The hub's progress bar, silent where stderr is no terminal."""
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any):
            kwargs["disable"] = not sys.stderr.isatty()
            super().__init__(*args, **kwargs)

    return Bar


def _git_digest(place: Path) -> str:
    """SHA-1 of a small file as git counts it, which is the hub's digest of files it does not keep apart."""
    data = place.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _remove_file(place: Path) -> None:
    """A cached file, and the blob that it points to. Raises WeightsError where they may not be removed."""
    blob = place.resolve()
    try:
        place.unlink(missing_ok=True)
        blob.unlink(missing_ok=True)
    except OSError as error:
        raise WeightsError(f"{place} can't be removed: {error.strerror}", "check its folder's permissions") from error


def _key(file: RemoteFile) -> str:
    """What a file's pin is called."""
    return f"{file.repo}/{file.path}"


def _pins_file() -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE) / "floatcli-pins.json"


def _pins() -> dict[str, dict[str, Any]]:
    try:
        found = values_of(_pins_file(), "list of pins")
    except (InputError, OSError, ValueError):
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {
        name: entry for name, entry in entries if isinstance(entry, dict) and {"sha256", "size", "time"} <= set(entry)
    }


def _pin(file: RemoteFile, place: Path, digest: str) -> None:
    status = place.stat()
    entry = {"sha256": digest, "size": status.st_size, "time": status.st_mtime_ns}
    _save_pins(_pins() | {_key(file): entry})


def _save_pins(pins: dict[str, dict[str, Any]]) -> None:
    path = _pins_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(pins, indent=1))
