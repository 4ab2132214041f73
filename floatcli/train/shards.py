"""Shards in WebDataset's format: tar files of samples, each some files that share the name before the first dot."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from floatcli.checks import check_source
from floatcli.errors import InputError
from floatcli.files import replacing

Sample = Mapping[str, bytes]  # files by their suffixes, without the dot
_LARGEST = 1 << 30  # bytes of a file in a shard
_FAULTS = (OSError, ValueError, EOFError, RecursionError, tarfile.TarError)  # of headers that lie


def write_shard(path: Path, samples: Iterable[tuple[str, Sample]]) -> None:
    """Write samples with their keys as they come. The same samples give the same bytes.

    Raises:
        InputError: the place can't be written to.
    """
    with replacing(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, sample in samples:
            for suffix, data in sample.items():
                entry = tarfile.TarInfo(f"{key}.{suffix}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))


def read_sample(path: Path, key: str, *suffixes: str) -> Sample:
    """Some files of one sample, wherever it is in its shard.

    Raises:
        InputError: the shard can't be read, or holds no such files.
    """
    try:
        places = _places(path)
        sample = {}
        with path.open("rb") as file:
            for suffix in suffixes:
                start, size = places[f"{key}.{suffix}"]
                file.seek(start)
                sample[suffix] = file.read(size)
                if len(sample[suffix]) < size:
                    raise tarfile.ReadError("unexpected end of data")
    except KeyError as error:
        raise InputError(f"{path} has no {error.args[0]}", "remove it, and prepare its video again") from error
    except _FAULTS as error:
        raise _unreadable(path, error) from error
    return sample


@cache
def _places(path: Path) -> dict[str, tuple[int, int]]:
    """Where the files of a shard are in it, and their sizes, by name."""
    check_source(path, "shard")
    with tarfile.open(path, "r:") as tar:
        return {entry.name: (entry.offset_data, _size(entry)) for entry in tar}


def _size(entry: tarfile.TarInfo) -> int:
    if not 0 <= entry.size <= _LARGEST:
        raise tarfile.ReadError(f"{entry.name!r:.80} is too large for a file of a clip")
    return entry.size


def read_shard(path: Path) -> Iterator[tuple[str, Sample]]:
    """Samples with their keys, one held at a time.

    Raises:
        InputError: the shard can't be read.
    """
    check_source(path, "shard")
    key, sample = "", dict[str, bytes]()
    try:
        with tarfile.open(path, "r|") as tar:
            for entry in tar:
                _size(entry)
                name, _, suffix = entry.name.partition(".")
                if sample and name != key:
                    yield key, sample
                    sample = {}
                file = tar.extractfile(entry)
                key, sample[suffix] = name, file.read() if file is not None else b""
    except _FAULTS as error:
        raise _unreadable(path, error) from error
    if sample:
        yield key, sample


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or error
    return InputError(f"{path} can't be read: {reason}", "remove it, and prepare its video again")
